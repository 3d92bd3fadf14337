"""An embedded node that behaves as an unmodified Meilisearch."""
