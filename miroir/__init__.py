"""The front door: command line, local stack, embedded node."""
