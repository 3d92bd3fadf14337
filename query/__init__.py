"""Ask the nodes, merge their answers, answer as one Meilisearch."""
