"""What the node keeps on disk: the only users of sqlite3."""
