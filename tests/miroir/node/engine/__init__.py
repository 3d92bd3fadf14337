"""Tests of miroir.node.engine."""
