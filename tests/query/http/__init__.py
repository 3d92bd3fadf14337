"""The HTTP routes, against a log and nodes in memory."""
