"""Facets of several indexes: which may be added up, and in which order their values then stand."""

from typing import Any

import pytest

from query.federated_facets import add_facets, check_facet_orders
from query.multi_search import Federation
from query.rules import IndexRules
from schemas.errors import InvalidSearchError


def test_merged_facets_of_two_orders_are_refused() -> None:
    """In Meilisearch's words; facets that are not merged may stand as each index says."""
    films = IndexRules(index="films", primary_key="id", facet_orders={"kind": "count"})
    books = IndexRules(index="books", primary_key="id")
    facets = {"films": ("n", "kind"), "books": ("kind",)}

    check_facet_orders(Federation(facets=facets), [(films, 1), (books, 0)])
    check_facet_orders(Federation(facets={"films": ("kind",), "books": None}, merges_facets=True), [(films, 1)])
    with pytest.raises(InvalidSearchError) as refused:
        check_facet_orders(Federation(facets=facets, merges_facets=True), [(books, 0), (films, 1)])

    assert refused.value.code == "invalid_multi_search_facet_order"
    assert str(refused.value) == (
        "Inside `.federation.facetsByIndex.films`: Inconsistent order for values in facet `kind`: index `books` orders"
        " alphabetically, but index `films` orders by count.\n - Hint: Remove `federation.mergeFacets` or change"
        " `faceting.sortFacetValuesBy` to be consistent in settings.\n - Note: index `films` used in `.queries[1]`"
    )


def test_facets_of_two_indexes_are_added_up_and_cut() -> None:
    """Counts by the text of the values, in the facet's order; the least and the greatest of both."""
    films: dict[str, Any] = {
        "distribution": {"kind": {"a": 1, "b": 2}, "n": {"1": 3}},
        "stats": {"n": {"min": 1, "max": 1}},
    }
    books: dict[str, Any] = {
        "distribution": {"kind": {"c": 4, "a": 2}, "n": {"7": 1}},
        "stats": {"n": {"min": 7, "max": 7}},
    }

    added = add_facets({"films": films, "books": books}, {"kind": "count", "n": "alpha"}, 2)

    assert [*added["facetDistribution"]["kind"].items()] == [("c", 4), ("a", 3)]
    assert added["facetDistribution"]["n"] == {"1": 3, "7": 1}
    assert added["facetStats"] == {"n": {"min": 1, "max": 7}}
