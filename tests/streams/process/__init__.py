"""Tests of the shells around the process."""
