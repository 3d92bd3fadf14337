"""Multi-searches, parsed."""

from typing import Any

import pytest

from query.multi_search import QUERIES_MAX, Federation, Query, parse_multi_search, place_queries
from query.search import SearchRequest, Window
from schemas.errors import InvalidSearchError

ONE = {"indexUid": "films"}
COMPARED = (
    "Inside `.queries[{1}]`: The results of queries #{0} and #{1} are incompatible: \n"
    "  1. `queries[{0}].sort[0]`, `films.rankingRules[0]`: ascending sort rule(s) on field `year`\n"
    "  2. `queries[{1}]`, `films.rankingRules[0..=3]`: relevancy rule(s) words, typo, proximity\n"
    "  - cannot compare a relevancy rule with a sort rule\n"
    "  - note: The ranking rules of query #{1} were modified during canonicalization:\n"
    "    1. Removed relevancy rule `words` at position #1 in ranking rules"
)


def test_plain_queries_keep_their_places() -> None:
    """Without a federation every query is a search of its own."""
    multi = parse_multi_search({"queries": [ONE, {"indexUid": "books", "q": "a", "limit": 3}]})

    assert multi.federation is None
    assert multi.queries == (
        Query(0, "films", SearchRequest()),
        Query(1, "books", SearchRequest(q="a", limit=3)),
    )


def test_federation_has_its_options() -> None:
    """Window, facets and weights come from where Meilisearch has them."""
    multi = parse_multi_search(
        {
            "federation": {
                "page": 2,
                "facetsByIndex": {"films": ["kind"], "books": None},
                "mergeFacets": {"maxValuesPerFacet": 5},
                "distinct": "kind",
            },
            "queries": [{**ONE, "federationOptions": {"weight": 0.5, "remote": "x"}}],
        }
    )

    assert multi.federation == Federation(
        page=2,
        facets={"films": ("kind",), "books": None},
        merges_facets=True,
        values_max=5,
        distinct="kind",
    )
    assert multi.queries[0].search.distinct == "kind"
    assert (multi.queries[0].weight, multi.queries[0].remote) == (0.5, "remote")


@pytest.mark.parametrize(
    ("federation", "window"),
    [
        (Federation(), Window(0, 20)),
        (Federation(offset=3, limit=4), Window(3, 4)),
        (Federation(page=3), Window(40, 20)),
        (Federation(page=0), Window(0, 0)),
        (Federation(hits_per_page=5), Window(0, 5)),
    ],
    ids=["default", "offset", "page", "page 0", "size"],
)
def test_federation_has_a_window(federation: Federation, window: Window) -> None:
    """Pages are windows of the one list."""
    assert federation.window() == window


REFUSED: dict[str, tuple[Any, str, str]] = {
    "no object": ([], "bad_request", "Invalid value type"),
    "no queries": ({}, "bad_request", "Missing field `queries`"),
    "queries": ({"queries": 1}, "bad_request", "Invalid value type at `.queries`: expected an array"),
    "query": ({"queries": [1]}, "bad_request", "Invalid value type at `.queries[0]`: expected an object"),
    "too many": ({"queries": [ONE] * (QUERIES_MAX + 1)}, "bad_request", "Too many queries"),
    "unknown field": (
        {"queries": [], "x": 1},
        "bad_request",
        "Unknown field `x`: expected one of `queries`, `federation`",
    ),
    "no index": ({"queries": [{}]}, "missing_index_uid", "Missing field `indexUid` inside `.queries[0]`"),
    "bad limit": (
        {"queries": [ONE, {**ONE, "limit": "x"}]},
        "invalid_search_limit",
        "Invalid value type at `.queries[1].limit`",
    ),
    "unknown in query": ({"queries": [{**ONE, "x": 1}]}, "bad_request", "Unknown field `x` inside `.queries[0]`"),
    "options alone": (
        {"queries": [{**ONE, "federationOptions": {}}]},
        "invalid_multi_search_federation_options",
        "Inside `.queries[0]`: Using `federationOptions` is not allowed in a non-federated search.",
    ),
    "pagination": (
        {"federation": {}, "queries": [{**ONE, "limit": 3}]},
        "invalid_multi_search_query_pagination",
        "Inside `.queries[0]`: Using pagination options is not allowed in federated queries.",
    ),
    "facets": (
        {"federation": {}, "queries": [{**ONE, "facets": ["a"]}]},
        "invalid_multi_search_query_facets",
        (
            "Inside `.queries[0]`: Using facet options is not allowed in federated queries.\n"
            " - Hint: remove `facets` from the query or remove `federation` from the request\n"
            ' - Hint: pass `federation.facetsByIndex.films: ["a"]` for facets in federated search'
        ),
    ),
    "weight": (
        {"federation": {}, "queries": [{**ONE, "federationOptions": {"weight": -1}}]},
        "invalid_multi_search_weight",
        "Invalid value at `.queries[0].federationOptions.weight`",
    ),
    "option": (
        {"federation": {}, "queries": [{**ONE, "federationOptions": {"x": 1}}]},
        "bad_request",
        "Unknown field `x` inside `.queries[0].federationOptions`",
    ),
    "federation": ({"federation": {"x": 1}, "queries": []}, "bad_request", "Unknown field `x` inside `.federation`"),
    "no federation": ({"federation": 5, "queries": []}, "bad_request", "Invalid value type at `.federation`"),
    "no options": (
        {"federation": {}, "queries": [{**ONE, "federationOptions": 0}]},
        "bad_request",
        "Invalid value type at `.queries[0].federationOptions`: expected an object",
    ),
    "merged facets": (
        {"federation": {"mergeFacets": {"x": 1}}, "queries": []},
        "invalid_multi_search_merge_facets",
        "Unknown field `x` inside `.federation.mergeFacets`: expected one of `maxValuesPerFacet`",
    ),
}


@pytest.mark.parametrize(("body", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_malformed_multi_search_is_refused(body: object, code: str, message: str) -> None:
    """What is wrong is named, with its place, by Meilisearch's codes."""
    with pytest.raises(InvalidSearchError) as caught:
        parse_multi_search(body)

    assert caught.value.code == code
    assert str(caught.value).startswith(message)


def test_distinct_of_a_query_and_of_the_federation_do_not_go_together() -> None:
    """In Meilisearch's words."""
    body = {"federation": {"distinct": "kind"}, "queries": [{**ONE, "distinct": "kind"}]}

    with pytest.raises(InvalidSearchError, match=r"^Inside `.queries\[0\]`: Using `distinct` options is") as caught:
        parse_multi_search(body)

    assert caught.value.code == "invalid_multi_search_distinct"


@pytest.mark.parametrize(
    ("told", "placed"),
    [
        ("Inside `.queries[1]`: bad filter", "Inside `.queries[7]`: bad filter"),
        (
            "Invalid value type at `.queries[0].q`: expected a string",
            "Invalid value type at `.queries[2].q`: expected a string",
        ),
        ("Inside `.queries[0]`: a = '`.queries[1]`' and #1", "Inside `.queries[2]`: a = '`.queries[1]`' and #1"),
        ("Inside `.queries[12]`: beyond those asked", "Inside `.queries[12]`: beyond those asked"),
        ("Index `films`: `.queries[0]`", "Index `films`: `.queries[0]`"),
        (COMPARED.format(0, 1), COMPARED.format(2, 7)),
    ],
)
def test_queries_of_one_node_are_named_by_their_places_in_the_request(told: str, placed: str) -> None:
    """Wherever Meilisearch names one; what it quotes of the user stays."""
    assert place_queries(told, [2, 7]) == placed
