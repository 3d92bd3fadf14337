"""Shells that write to nodes over HTTP."""
