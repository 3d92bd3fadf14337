"""Totals of pages under ``distinct``, with one embedded engine as oracle."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from query.distinct_totals import is_total_countable, total_of_values, values_body
from query.rules import IndexRules, rules_of
from query.search import Hybrid, SearchRequest
from schemas.ids import ShardId
from streams.marker import shards_filter
from tests.query.embedded import EmbeddedIndex, ShardedIndex

RULES = IndexRules(index="films", primary_key="id", filterable=("kind", 'a"b'))
PAGES = SearchRequest(page=2, hits_per_page=5, distinct="kind", filter="n = 1")
SETTINGS = {"filterableAttributes": ["kind"]}
SINGLE: st.SearchStrategy[Any] = st.sampled_from(["a", "A", "b", "c", "d", "e", None, "", [], ["f"], 7, 8.5, {"x": 1}])
SEVERAL: st.SearchStrategy[Any] = st.sampled_from([["a", "b"], ["c", "a"], ["e", "g"]])


def _documents(kinds: list[Any]) -> list[dict[str, Any]]:
    return [{"id": at, "kind": kind, "text": "moon" if at % 3 else "sun"} for at, kind in enumerate(kinds)]


@settings(max_examples=50)
@given(st.lists(SINGLE, max_size=60), st.sampled_from([None, "moon"]), st.integers(1, 8))
def test_total_of_pages_equals_the_single_engines(kinds: list[Any], text: str | None, size: int) -> None:
    """Where documents have one value at most, the total is right on every page, or is said not to be."""
    body = {"q": text, "distinct": "kind", "page": 1, "hitsPerPage": size}
    documents = _documents(kinds)

    wanted = EmbeddedIndex("films", SETTINGS, documents).search(body)
    got = ShardedIndex("films", SETTINGS, documents).merged(body)

    event("exact" if not got.inexact_total else "not exact")
    # An object is a value that there is, but none that counts.
    assert not got.inexact_total or {"x": 1} in kinds
    if not got.inexact_total:
        assert (got.body["totalHits"], got.body["totalPages"]) == (wanted["totalHits"], wanted["totalPages"])


@settings(max_examples=50)
@given(st.lists(st.one_of(SINGLE.filter(lambda kind: kind != {"x": 1}), SEVERAL), max_size=60), st.integers(1, 8))
def test_total_over_lists_of_values_is_right_or_said_not_to_be(kinds: list[Any], size: int) -> None:
    """A document of several values may hide others: then nobody can tell from the values alone."""
    body = {"distinct": "kind", "page": 1, "hitsPerPage": size}
    sharded = ShardedIndex("films", SETTINGS, _documents(kinds))

    got = sharded.merged(body)

    event("exact" if not got.inexact_total else "not exact")
    if not got.inexact_total and not any(isinstance(kind, list) and len(kind) > 1 for kind in kinds):
        wanted = EmbeddedIndex("films", SETTINGS, _documents(kinds)).search(body)
        assert got.body["totalHits"] == wanted["totalHits"]


def test_total_of_a_wide_attribute_is_that_of_all_nodes() -> None:
    """Values of which every node has some count once; where all hits were looked at, nobody is asked again."""
    documents = _documents([f"k{number % 50}" for number in range(400)])
    sharded = ShardedIndex("films", SETTINGS, documents)

    first = sharded.merged({"distinct": "kind", "page": 1, "hitsPerPage": 20, "facets": ["kind"]})
    last = sharded.merged({"distinct": "kind", "page": 3, "hitsPerPage": 20})

    assert [(got.body["totalHits"], got.body["totalPages"]) for got in (first, last)] == [(50, 3)] * 2
    assert (first.inexact_facets, len(last.body["hits"])) == (("kind",), 10)
    assert sharded.asked["values"] == 1


def test_node_is_asked_for_the_values_of_documents_that_have_one() -> None:
    """Without hits, in page mode, since only there a node counts exactly; the user's filter counts."""
    body = values_body(replace(PAGES, distinct='a"b', facets=("n",)), RULES, [ShardId(1)])

    assert (body["page"], body["hitsPerPage"], body["distinct"], body["facets"]) == (1, 0, 'a"b', ['a"b'])
    assert body["filter"] == [
        "n = 1",
        shards_filter([ShardId(1)]),
        '"a\\"b" EXISTS AND "a\\"b" IS NOT NULL AND "a\\"b" IS NOT EMPTY',
    ]


FEW = [{"totalHits": 3}, {"totalHits": 4}]
ENTRY = {"attributePatterns": ["kind"], "features": {"filter": {"equality": True, "comparison": False}}}


@pytest.mark.parametrize(
    ("rules", "search", "answers", "countable"),
    [
        (RULES, PAGES, FEW, True),
        (RULES, PAGES, [*FEW, {"totalHits": 10_000}], False),
        (RULES, replace(PAGES, distinct=None), FEW, False),
        (replace(RULES, distinct="kind"), replace(PAGES, distinct=None), FEW, True),
        (replace(RULES, distinct="hidden"), replace(PAGES, distinct=None), FEW, False),
        (rules_of("films", "id", {"filterableAttributes": [ENTRY]}), PAGES, FEW, False),
    ],
    ids=["few", "many", "no distinct", "setting", "setting that is not filterable", "pattern"],
)
def test_values_are_asked_for_where_they_can_be_told(
    rules: IndexRules, search: SearchRequest, answers: list[dict[str, Any]], *, countable: bool
) -> None:
    """No node is asked in vain, nor for what its settings refuse."""
    assert is_total_countable(search, rules, answers) is countable


def _valued(total: int, **counts: int) -> dict[str, Any]:
    return {"totalHits": total, "facetDistribution": {"kind": counts}}


@pytest.mark.parametrize(
    ("valued", "total"),
    [
        ([_valued(2, a=1, b=1), _valued(3, A=1, c=1, d=1)], 4 + 1 + 1),
        ([_valued(2, a=1, b=1), _valued(3, a=1, c=1)], None),
        ([_valued(2, a=1, b=1), _valued(1, a=2)], None),
        ([_valued(0), {"totalHits": 0, "facetDistribution": {}}], 3 + 4),
        ([_valued(4, a=1, b=1, c=1, d=1), _valued(5, e=1, f=1, g=1, h=1, i=1)], None),
    ],
    ids=["values", "several in one", "twice", "none", "more than before"],
)
def test_total_of_values(valued: list[dict[str, Any]], total: int | None) -> None:
    """Different values, and documents without one; nothing where values and documents do not fit."""
    assert total_of_values(PAGES, RULES, FEW, valued) == total


def test_values_of_a_search_by_similarity_are_those_it_finds() -> None:
    """The nodes are asked the same search, whatever it compares by."""
    search = replace(PAGES, hybrid=Hybrid("own", 1.0), vector=(1.0, 2.0))

    assert values_body(search, RULES, [ShardId(0)])["hybrid"] == {"embedder": "own", "semanticRatio": 1.0}
