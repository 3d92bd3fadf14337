"""From a query to documents in order: terms, graph, rules, buckets."""
