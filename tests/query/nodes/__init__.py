"""The shells that ask nodes."""
