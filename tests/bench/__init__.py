"""Tests of what benchmarks compare and read."""
