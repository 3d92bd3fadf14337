"""Meilisearch's protocol without I/O: what a request means, what an answer looks like."""
