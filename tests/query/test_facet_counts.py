"""Facet values counted again where nodes' lists were cut, with an uncut engine as oracle."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from query.facet_counts import VALUES_MAX, added_counts, counts_body, is_countable
from query.rules import IndexRules
from query.search import SearchRequest
from schemas.ids import ShardId
from streams.marker import shards_filter
from tests.query.embedded import EmbeddedIndex, ShardedIndex

RULES = IndexRules(index="films", primary_key="id", facet_values_max=2, facet_values_node=4)
NODE_CUT = 8


def _settings(order: str) -> dict[str, Any]:
    faceting = {"maxValuesPerFacet": 3, "sortFacetValuesBy": {"*": order}}
    return {"filterableAttributes": ["kind", "n"], "faceting": faceting}


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["alpha", "count"]),
    st.integers(1, 60),
    st.sampled_from([None, "word", 'kind != "k1"']),
)
def test_cut_facets_equal_the_single_engines_or_are_said_not_to(
    seed: int, order: str, values: int, wish: str | None
) -> None:
    """Nodes that list eight values only: what is not named inexact is exact, counts and order."""
    random = Random(seed)
    kinds = [f"k{min(int(random.paretovariate(0.6)), values)}" for _ in range(150)]
    documents = [
        {"id": at, "kind": kind if at % 7 else [kind, "k2"], "n": at % 12, "text": random.choice(["word", ""])}
        for at, kind in enumerate(kinds)
    ]
    wishes = {} if wish is None else {"q": wish} if wish == "word" else {"filter": wish}
    body = {"facets": ["kind", "n"], "limit": 2, **wishes}

    wanted = EmbeddedIndex("films", _settings(order), documents).search(body)
    sharded = ShardedIndex("films", _settings(order), documents, facet_values_node=NODE_CUT)
    got = sharded.merged(body)

    event(f"{order}, counted again: {'counts' in sharded.asked}, inexact: {got.inexact_facets}")
    for name in set(wanted["facetDistribution"]) - set(got.inexact_facets):
        assert list(got.body["facetDistribution"][name].items()) == list(wanted["facetDistribution"][name].items())
    assert got.body["facetStats"] == wanted["facetStats"]


def test_most_frequent_values_are_counted_again_and_exact() -> None:
    """Values that few nodes list are counted where they are not; the answer is proven after that."""
    kinds = ["a"] * 90 + ["b"] * 60 + ["c"] * 40 + [f"rare {at}" for at in range(40)]
    documents = [{"id": at, "kind": kind} for at, kind in enumerate(kinds)]
    sharded = ShardedIndex("films", _settings("count"), documents, facet_values_node=NODE_CUT)

    got = sharded.merged({"facets": ["kind"]})

    assert got.inexact_facets == ()
    assert got.body["facetDistribution"]["kind"] == dict(Counter(kinds).most_common(3))


def test_counts_are_asked_of_documents_with_a_doubtful_value() -> None:
    """No hits, the doubtful facet only, and the user's own filter and shards still in force."""
    search = SearchRequest(q="a", filter="n = 1", facets=("kind", "n"), page=3, hits_per_page=10)

    body = counts_body(search, RULES, [ShardId(1)], {"kind": ('say "x"', "y")})

    assert body["filter"] == ["n = 1", shards_filter([ShardId(1)]), ['"kind" IN ["say \\"x\\"", "y"]']]
    assert (body["facets"], body["limit"], body["q"]) == (["kind"], 0, "a")
    assert "page" not in body


def test_listed_values_are_not_counted_twice() -> None:
    """A value that the node had listed, however it is spelt, is left alone; one that it lacks counts 0."""
    added = added_counts({"kind": {"A": 3}}, {"kind": {"a": 3, "b": 2}}, {"kind": ("a", "b", "c")}, RULES)

    assert added == {"kind": {"b": 2, "c": 0}}


def test_values_missing_from_a_list_that_is_cut_again_stay_unknown() -> None:
    """A full list proves nothing about what it leaves out."""
    counted = {"kind": {"b": 2, "x": 1, "y": 1, "z": 1}}

    assert added_counts({"kind": {"a": 3}}, counted, {"kind": ("b", "c")}, RULES) == {"kind": {"b": 2}}


@pytest.mark.parametrize(
    ("search", "doubtful", "countable"),
    [
        (SearchRequest(), {"kind": ("a",)}, True),
        (SearchRequest(), {}, False),
        (SearchRequest(distinct="n"), {"kind": ("a",)}, False),
        (SearchRequest(ranking_score_threshold=0.5), {"kind": ("a",)}, False),
        (SearchRequest(), {"kind": ("a",) * (VALUES_MAX + 1)}, False),
    ],
    ids=["few values", "none", "distinct", "threshold", "too many"],
)
def test_values_are_counted_where_that_tells(
    search: SearchRequest, doubtful: dict[str, tuple[str, ...]], *, countable: bool
) -> None:
    """Distinct and threshold leave other documents over than the filter would."""
    assert is_countable(search, RULES, doubtful) is countable
