"""Tests of miroir.node.engine.ranking."""
