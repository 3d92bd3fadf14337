"""Shells around the process we run in: its environment, its log lines."""
