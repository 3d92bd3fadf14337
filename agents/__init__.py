"""Apply the log to nodes."""
