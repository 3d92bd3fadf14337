"""The log and what it means: partitions, cursors, cluster fold, placement."""
