"""Twins of miroir/commands."""
