"""Tests of miroir.node.server."""
