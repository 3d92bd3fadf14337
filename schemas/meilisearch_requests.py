"""The fields of Meilisearch's request bodies, in the order in which its messages list them.

See https://www.meilisearch.com/docs/reference/api/search. Who calls it: the query service and the embedded node, which
refuse an unknown field in the same words; of a facet search they leave it alone. It must not know: what a field means.
"""

FACET_SEARCH_FIELDS = (
    "facetQuery",
    "vector",
    "q",
    "facetName",
    "filter",
    "matchingStrategy",
    "attributesToSearchOn",
    "hybrid",
    "rankingScoreThreshold",
    "locales",
    "exhaustiveFacetCount",
)

FEDERATION_FIELDS = (
    "limit",
    "offset",
    "page",
    "hitsPerPage",
    "facetsByIndex",
    "mergeFacets",
    "distinct",
    "showPerformanceDetails",
    "personalize",
)

KEY_FIELDS = ("description", "name", "uid", "actions", "indexes", "expiresAt")
"""Of a new API key."""
