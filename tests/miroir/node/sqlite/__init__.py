"""Tests of miroir.node.sqlite."""
