"""Tests of miroir."""
