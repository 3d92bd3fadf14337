"""The node's processes: HTTP front and indexer."""
