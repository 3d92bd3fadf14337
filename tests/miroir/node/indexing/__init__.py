"""Tests of miroir.node.indexing."""
