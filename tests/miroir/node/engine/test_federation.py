"""Federated searches of the embedded node: what is refused, and facets that are merged."""

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
