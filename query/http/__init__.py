"""Shells of the query service: aiohttp routes."""
