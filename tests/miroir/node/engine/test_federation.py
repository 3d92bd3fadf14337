"""Federated searches of the embedded node: what is refused, where lists end, and facets that are merged."""

from typing import Any

import pytest

from miroir.node.engine.federation import parse_multi_search
from schemas.errors import InvalidRequestError
from tests.query.embedded import EmbeddedIndex

DOCUMENTS = [{"id": number, "kind": kind} for number, kind in enumerate("aabbbcdde")]


@pytest.mark.parametrize(
    ("federation", "code"),
    [
        ({"distinct": 5}, "invalid_search_distinct"),
        ({"mergeFacets": {"x": 1}}, "invalid_multi_search_merge_facets"),
        ({"mergeFacets": {"maxValuesPerFacet": -1}}, "invalid_multi_search_max_values_per_facet"),
        ({"mergeFacets": 1}, "invalid_multi_search_merge_facets"),
    ],
)
def test_malformed_federation_is_refused(federation: dict[str, Any], code: str) -> None:
    """With the code of the option."""
    with pytest.raises(InvalidRequestError) as refused:
        parse_multi_search({"federation": federation, "queries": []})

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("order", "values_max", "wanted"),
    [("alpha", 2, {"a": 2, "b": 3}), ("count", 2, {"b": 3, "d": 2}), ("count", None, {"b": 3, "d": 2, "a": 2, "e": 1})],
)
def test_merged_facets_are_ordered_and_then_cut(order: str, values_max: int | None, wanted: dict[str, int]) -> None:
    """By the index's own order; each index counts up to its own maximum first."""
    faceting = {"sortFacetValuesBy": {"*": order}, "maxValuesPerFacet": 4}
    index = EmbeddedIndex("films", {"filterableAttributes": ["kind"], "faceting": faceting}, DOCUMENTS)
    merge = {} if values_max is None else {"maxValuesPerFacet": values_max}
    federation = {"facetsByIndex": {"films": ["kind"]}, "mergeFacets": merge}

    answer = index.multi_search({"federation": federation, "queries": [{"indexUid": "films"}]})

    found = answer["facetDistribution"]["kind"]
    assert sorted(found.items()) == sorted(wanted.items())
    assert list(found.values()) == list(wanted.values())


@pytest.mark.parametrize(
    ("federation", "total"),
    [({"limit": 9}, "estimatedTotalHits"), ({"hitsPerPage": 9}, "totalHits")],
    ids=["window", "page"],
)
def test_index_gives_max_total_hits_to_all_its_queries_together(federation: dict[str, Any], total: str) -> None:
    """Each index for itself; totals count what is beyond, too."""
    settings = {"filterableAttributes": ["kind"], "pagination": {"maxTotalHits": 3}}
    index = EmbeddedIndex("films", settings, DOCUMENTS)
    films = [{"indexUid": "films", "filter": f"kind = {kind}"} for kind in "ab"]

    one = index.multi_search({"federation": federation, "queries": films})
    two = index.multi_search({"federation": federation, "queries": [*films, {"indexUid": "books"}]})

    assert [hit["kind"] for hit in one["hits"]] == ["a", "a", "b"]
    assert one[total] == 5
    assert [hit["_federation"]["indexUid"] for hit in two["hits"]] == ["films"] * 3 + ["books"] * 3
    assert two[total] == 14


def test_distinct_of_a_federation_is_of_lists_that_are_cut_already() -> None:
    """What another index has shown used up a place in its own list; duplicates within one index do not."""
    settings = {"filterableAttributes": ["kind"], "pagination": {"maxTotalHits": 2}}
    index = EmbeddedIndex("films", settings, DOCUMENTS)
    queries = [{"indexUid": "films"}, {"indexUid": "books", "filter": "kind != a"}]

    answer = index.multi_search({"federation": {"distinct": "kind"}, "queries": queries})

    found = [(hit["kind"], hit["_federation"]["indexUid"]) for hit in answer["hits"]]
    assert found == [("a", "films"), ("b", "films"), ("c", "books")]


@pytest.mark.parametrize(("order", "wanted"), [("asc", [1, 2, 0]), ("desc", [0, 2, 1])])
def test_lists_sorted_by_a_value_that_is_not_shown_are_merged_by_it(order: str, wanted: list[int]) -> None:
    """An attribute outside ``displayedAttributes`` sorts a federated list like any other; its values stay hidden."""
    settings = {"filterableAttributes": ["id"], "sortableAttributes": ["n"], "displayedAttributes": ["id"]}
    index = EmbeddedIndex("films", settings, [{"id": 0, "n": 3}, {"id": 1, "n": 1}, {"id": 2, "n": 2}])
    common = {"indexUid": "films", "sort": [f"n:{order}"], "showRankingScoreDetails": True}

    answer = index.multi_search(
        {"federation": {}, "queries": [{**common, "filter": "id < 2"}, {**common, "filter": "id = 2"}]}
    )

    assert [hit["id"] for hit in answer["hits"]] == wanted
    details = [hit["_rankingScoreDetails"] for hit in answer["hits"]]
    assert details == [{"<hidden-rule-0>": {"order": 0, "value": "<hidden>"}}] * 3
