"""Tests of miroir.node.protocol."""
