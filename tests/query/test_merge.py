"""The merge: one list out of several, and one answer out of several."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.merge import DIRECTORY_DEFAULT, measure
from query.merge import merge_answers, merge_hits, pass_through
from query.rules import IndexRules
from query.search import SearchRequest, Window
from schemas.ids import ShardId
from streams.marker import MARKER_FIELD, marker_of

RULES = IndexRules(index="films", primary_key="id")
HITS_MAX = 60

Hit = dict[str, Any]


def _hit(identity: int | str, typos: int = 0, value: object = 0.0) -> Hit:
    details = {
        "typo": {"order": 0, "typoCount": typos, "maxTypoCount": 2, "score": 1.0},
        "year:asc": {"order": 1, "value": value},
    }
    return {"id": identity, MARKER_FIELD: marker_of(ShardId(0)), "_rankingScoreDetails": details}


def _ids(hits: Sequence[Mapping[str, Any]]) -> list[int | str]:
    return [hit["id"] for hit in hits]


@st.composite
def node_lists(draw: st.DrawFn) -> list[list[Hit]]:
    """Lists of several nodes: each in ranking order, with ties in an order of the node's own that is not by id."""
    count = draw(st.integers(0, HITS_MAX))
    identities = draw(st.permutations(range(count)))
    ranks = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=count, max_size=count))
    nodes = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    lists: list[list[Hit]] = [[], [], [], []]
    # Sorting is stable: hits that tie keep the drawn order of ids.
    ranked = sorted(zip(ranks, identities, nodes, strict=True), key=lambda entry: entry[0])
    for (typos, value), identity, node in ranked:
        lists[node].append(_hit(identity, typos, float(value)))
    return lists


@given(node_lists(), st.integers(0, HITS_MAX))
@example([[_hit(5), _hit(1)], [_hit(3)]], 2)
def test_merge_of_heads_is_head_of_merge(lists: list[list[Hit]], length: int) -> None:
    """Asking each node for the first n hits gives the first n of the whole merge."""
    window = Window(0, length)

    of_heads = merge_hits([hits[:length] for hits in lists], window, primary_key="id", asked=length)
    of_wholes = merge_hits(lists, Window(0, HITS_MAX), primary_key="id")

    assert _ids(of_heads.hits) == _ids(of_wholes.hits)[:length]
    assert not of_heads.short


@given(node_lists())
def test_equal_heads_are_told_apart_by_an_id_within_an_object(lists: list[list[Hit]]) -> None:
    """A primary key such as ``meta.id`` merges as a flat one."""
    nested = [[{**hit, "id": 0, "meta": {"id": hit["id"]}} for hit in hits] for hits in lists]

    flat = merge_hits(lists, Window(0, HITS_MAX), primary_key="id")
    within = merge_hits(nested, Window(0, HITS_MAX), primary_key="meta.id")

    assert [hit["meta"]["id"] for hit in within.hits] == _ids(flat.hits)


@given(node_lists(), st.integers(1, 10))
def test_paging_through_equals_one_long_page(lists: list[list[Hit]], size: int) -> None:
    """Pages, each merged from its own heads, line up to one long page: nothing twice, nothing lost."""
    paged: list[int | str] = []
    for offset in range(0, HITS_MAX + size, size):
        heads = [hits[: offset + size] for hits in lists]
        paged += _ids(merge_hits(heads, Window(offset, size), primary_key="id", asked=offset + size).hits)

    assert paged == _ids(merge_hits(lists, Window(0, HITS_MAX), primary_key="id").hits)
    assert sorted(paged) == sorted(hit["id"] for hits in lists for hit in hits)


@given(node_lists())
def test_merge_keeps_each_nodes_order(lists: list[list[Hit]]) -> None:
    """Hits of one node stay in that node's order, ties included; where each came from is told."""
    merged = merge_hits(lists, Window(0, HITS_MAX), primary_key="id")

    for source, hits in enumerate(lists):
        own = [place for place, origin in zip(merged.places, merged.sources, strict=True) if origin == source]
        assert own == list(range(len(hits)))
    named = zip(merged.sources, merged.places, strict=True)
    assert [lists[source][place] for source, place in named] == list(merged.hits)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 3)), unique=True, max_size=40), st.data())
def test_merge_of_split_list_is_the_list(ranks: list[tuple[int, int]], data: st.DataObject) -> None:
    """However a totally ordered list is split over nodes, the merge is that list."""
    whole = [_hit(-number, typos, float(value)) for number, (typos, value) in enumerate(sorted(ranks))]
    owners = data.draw(st.lists(st.integers(0, 4), min_size=len(whole), max_size=len(whole)))
    lists = [[hit for hit, owner in zip(whole, owners, strict=True) if owner == node] for node in range(5)]

    assert list(merge_hits(lists, Window(0, len(whole)), primary_key="id").hits) == whole


def test_merge_of_equal_heads_takes_smaller_id() -> None:
    """Between equal heads the id decides, numbers before texts; behind a head its node's order stays."""
    lists = [[_hit("a"), _hit(1)], [_hit(7), _hit(2)], [_hit(5)]]

    assert _ids(merge_hits(lists, Window(0, 9), primary_key="id").hits) == [5, 7, 2, "a", 1]


def test_distinct_drops_later_hits_with_a_kept_value() -> None:
    """Of documents sharing a value on different nodes the best stays, and the total loses the others."""
    lists = [
        [{**_hit(1), "kind": "Drama"}, {**_hit(2), "kind": None}],
        [{**_hit(3, typos=1), "kind": ["war", " drama"]}, {**_hit(4, typos=2)}],
    ]
    answers = [{"hits": hits, "estimatedTotalHits": 2} for hits in lists]

    merged = merge_answers(SearchRequest(distinct="kind"), answers, rules=RULES, processing_time_ms=1)

    assert _ids(merged.body["hits"]) == [1, 2, 4]
    assert merged.body["estimatedTotalHits"] == 3


def test_distinct_over_lists_says_which_node_to_ask_again() -> None:
    """A node whose whole head was dropped, while it has more, is named; one that gave all it has is not."""
    lists = [
        [{**_hit(1), "kind": ["a", "b"]}],
        [{**_hit(2, typos=1), "kind": "a"}, {**_hit(3, typos=1), "kind": "b"}],
    ]

    merged = merge_hits(lists, Window(0, 2), primary_key="id", distinct="kind", asked=2)

    assert _ids(merged.hits) == [1]
    assert merged.short == (1,)


@given(
    node_lists(), st.booleans(), st.booleans(), st.sampled_from([None, ("*",), ("id", MARKER_FIELD), (), ("title",)])
)
def test_answer_never_contains_the_marker(
    lists: list[list[Hit]],
    scored: bool,  # noqa: FBT001 - Hypothesis passes by position
    detailed: bool,  # noqa: FBT001 - the same
    attributes: tuple[str, ...] | None,
) -> None:
    """Whatever is asked for, no byte of an answer shows the field or its value."""
    marker = marker_of(ShardId(0))
    search = SearchRequest(
        q=f"a{marker}b",
        facets=("*",),
        attributes_to_retrieve=attributes,
        show_ranking_score=scored,
        show_ranking_score_details=detailed,
    )
    extra = {"_formatted": {"id": "1", MARKER_FIELD: marker}, "_matchesPosition": {MARKER_FIELD: [{"start": 0}]}}
    answers = [
        {
            "hits": [{**hit, **extra} for hit in hits],
            "estimatedTotalHits": len(hits),
            "facetDistribution": {MARKER_FIELD: {marker: 1}, "kind": {"a": 1}},
            "facetStats": {MARKER_FIELD: {"min": 1.0, "max": 1.0}},
        }
        for hits in lists
    ]

    merged = merge_answers(search, answers, rules=RULES, processing_time_ms=1)
    passed = pass_through(search, answers[0], rules=RULES, processing_time_ms=1)

    for body in (merged.body, passed.body):
        text = orjson.dumps(body).decode()
        assert MARKER_FIELD not in text
        assert marker not in text


def test_answer_has_meilisearchs_fields_in_order() -> None:
    """An answer in offset mode has Meilisearch's fields, in its order, echoing what was asked."""
    answers = [{"hits": [_hit(1)], "estimatedTotalHits": 7}, {"hits": [_hit(2)], "estimatedTotalHits": 5}]

    body = merge_answers(
        SearchRequest(q="x", offset=1, limit=5), answers, rules=RULES, processing_time_ms=3, request_uid="u"
    ).body

    assert list(body.items()) == [
        ("hits", [{"id": 2}]),
        ("query", "x"),
        ("processingTimeMs", 3),
        ("limit", 5),
        ("offset", 1),
        ("estimatedTotalHits", 12),
        ("requestUid", "u"),
    ]


PAGES = {
    "second page": (SearchRequest(page=2, hits_per_page=2), [3], {"totalPages": 2, "totalHits": 3}),
    "page without size": (SearchRequest(page=1), [1, 2, 3], {"hitsPerPage": 20, "totalPages": 1}),
    "size without page": (SearchRequest(hits_per_page=1), [1], {"page": 1, "totalPages": 3}),
    "page 0": (SearchRequest(page=0, hits_per_page=2), [], {"page": 0, "totalPages": 2}),
    "size 0": (SearchRequest(page=1, hits_per_page=0), [], {"hitsPerPage": 0, "totalPages": 0, "totalHits": 3}),
}


@pytest.mark.parametrize(("search", "identities", "fields"), PAGES.values(), ids=PAGES.keys())
def test_pages_count_exactly(search: SearchRequest, identities: list[int], fields: dict[str, int]) -> None:
    """Page mode answers with pages, sizes and totals as one node does."""
    answers = [{"hits": [_hit(1), _hit(3)], "totalHits": 2}, {"hits": [_hit(2)], "totalHits": 1}]

    body = merge_answers(search, answers, rules=RULES, processing_time_ms=1).body

    assert _ids(body["hits"]) == identities
    assert fields.items() <= body.items()
    assert "estimatedTotalHits" not in body


def test_hits_beyond_the_maximum_are_not_shown_but_counted() -> None:
    """``maxTotalHits`` caps what can be fetched, not what is counted."""
    rules = IndexRules(index="films", primary_key="id", hits_max=3)
    answers = [
        {"hits": [_hit(1), _hit(2)], "estimatedTotalHits": 9},
        {"hits": [_hit(3), _hit(4)], "estimatedTotalHits": 2},
    ]

    body = merge_answers(SearchRequest(offset=2, limit=20), answers, rules=rules, processing_time_ms=1).body

    assert _ids(body["hits"]) == [3]
    assert (body["limit"], body["offset"], body["estimatedTotalHits"]) == (20, 2, 11)


def test_degraded_node_degrades_the_answer() -> None:
    """One node that hit its cut-off is not hidden by the others."""
    answers: list[dict[str, Any]] = [{"hits": [], "estimatedTotalHits": 0, "degraded": flag} for flag in (False, True)]

    assert merge_answers(SearchRequest(), answers, rules=RULES, processing_time_ms=1).body["degraded"] is True


@pytest.mark.skipif(
    not Path(DIRECTORY_DEFAULT).is_dir(), reason="no recordings beside the checkout (../shared/fixtures)"
)
def test_recorded_answers_merge_to_the_single_nodes_answer() -> None:
    """Of the recorded cases 99 % and more, and all without a text, merge to what one node answered."""
    result = measure(DIRECTORY_DEFAULT)

    assert result["cases"] >= 500
    assert result["equal"] / result["cases"] >= 0.99, result["differing"]
    assert result["no_text_cases"] >= 60
    assert result["no_text_equal"] == result["no_text_cases"]
