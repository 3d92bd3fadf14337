"""Shells that search nodes over HTTP."""
