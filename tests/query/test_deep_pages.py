"""Deep pages: the very page that merging whole heads gives, from a part of the bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from query.deep_pages import cut_page, is_deep, key_body, key_lists, plan_windows
from query.merge import merge_hits
from query.rewrite import head_length
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchRequest, Window
from schemas.ids import NodeId, ShardId

RULES = IndexRules(index="films", primary_key="id")
SORTED = replace(RULES, ranking_rules=("words", "year:asc"))
PARTS = [Part(NodeId(name), (ShardId(number),)) for number, name in enumerate("abc")]
RANKS_MAX = 6

Hit = Mapping[str, Any]


def _hit(identity: int | str, rank: int, stretch: float) -> dict[str, Any]:
    """Return a hit of this rank; its score is right within a node, whose own stretch is in it."""
    details = {"words": {"order": 0, "matchingWords": RANKS_MAX - rank, "maxMatchingWords": RANKS_MAX, "score": 1.0}}
    score = 1 - (rank / RANKS_MAX) * stretch
    return {"id": identity, "title": f"film {identity}", "_rankingScore": score, "_rankingScoreDetails": details}


@st.composite
def node_lists(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Three nodes' lists with many ties, in an order of the nodes' own; scores of one may be off, ids of two kinds."""
    identities = iter(draw(st.permutations(range(90))))
    named = draw(st.sampled_from([lambda _: False, lambda _: True, lambda number: number % 2]))
    lists = []
    for _ in range(3):
        ranks = sorted(draw(st.lists(st.integers(0, RANKS_MAX), max_size=30)))
        stretch = draw(st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5]))
        own = [f"f{number}" if named(number) else number for _, number in zip(ranks, identities, strict=False)]
        lists.append([_hit(identity, rank, stretch) for identity, rank in zip(own, ranks, strict=True)])
    return lists


def _keys(
    search: SearchRequest, rules: IndexRules, lists: Sequence[Sequence[Hit]], *, length: int | None = None
) -> Any:
    end = search.offset + search.limit if length is None else length
    answers = [(part, {"hits": hits[:end]}) for part, hits in zip(PARTS, lists, strict=True)]
    return key_lists(search, rules, answers, length=length)


@given(node_lists(), st.integers(0, 60), st.integers(1, 12))
def test_page_of_windows_equals_page_of_whole_heads(lists: list[list[dict[str, Any]]], offset: int, limit: int) -> None:
    """Whatever the ties and however wrong the scores: the page is the one, or there is none."""
    search = SearchRequest(q="a", offset=offset, limit=limit)
    keys = _keys(search, RULES, lists)

    plan = plan_windows(search, RULES, keys)
    assert plan is not None
    answers = [hits[own.offset : own.offset + own.limit] for hits, own in zip(lists, plan.windows, strict=True)]
    page = cut_page(search, RULES, plan, answers)

    event("decided" if page else "not decided")
    if page is not None:
        assert page.hits == merge_hits(lists, Window(offset, limit), primary_key="id").hits


@given(node_lists(), st.integers(0, 60), st.integers(1, 12), st.integers(1, 40), st.sampled_from([RULES, SORTED]))
def test_page_of_keys_that_may_end_early_equals_page_of_whole_heads(
    lists: list[list[dict[str, Any]]], offset: int, limit: int, length: int, rules: IndexRules
) -> None:
    """However few keys of each node there are: the page is the one, or there is none."""
    search = SearchRequest(q="a", offset=offset, limit=limit)
    keys = _keys(search, rules, lists, length=min(length, offset + limit))

    plan = plan_windows(search, rules, keys)
    if plan is None:
        event("keys end too early")
        assert any(len(hits) >= length for hits in lists)
        return
    answers = [hits[own.offset : own.offset + own.limit] for hits, own in zip(lists, plan.windows, strict=True)]
    page = cut_page(search, rules, plan, answers)

    event("decided" if page else "not decided")
    if page is not None:
        assert page.hits == merge_hits(lists, Window(offset, limit), primary_key="id").hits


@given(node_lists(), st.integers(0, 60), st.integers(1, 12))
def test_page_where_scores_are_right_is_always_decided(
    lists: list[list[dict[str, Any]]], offset: int, limit: int
) -> None:
    """Where the nodes' scores agree, the second round is the last."""
    lists = [[_hit(hit["id"], RANKS_MAX - _words(hit), 1.0) for hit in hits] for hits in lists]
    search = SearchRequest(q="a", offset=offset, limit=limit)
    keys = _keys(search, RULES, lists)

    plan = plan_windows(search, RULES, keys)
    assert plan is not None
    answers = [hits[own.offset : own.offset + own.limit] for hits, own in zip(lists, plan.windows, strict=True)]

    assert cut_page(search, RULES, plan, answers) is not None


@given(node_lists(), st.integers(0, 60), st.integers(1, 12))
def test_page_by_details_equals_page_of_whole_heads(lists: list[list[dict[str, Any]]], offset: int, limit: int) -> None:
    """With a sort the details are the keys, and the windows hold just the page."""
    search = SearchRequest(q="a", offset=offset, limit=limit)
    keys = _keys(search, SORTED, lists)

    plan = plan_windows(search, SORTED, keys)
    assert plan is not None
    answers = [hits[own.offset : own.offset + own.limit] for hits, own in zip(lists, plan.windows, strict=True)]
    page = cut_page(search, SORTED, plan, answers)

    assert page is not None
    assert page.hits == merge_hits(lists, Window(offset, limit), primary_key="id").hits
    assert sum(own.limit for own in plan.windows) == len(page.hits)


@given(node_lists(), st.integers(0, 40), st.integers(1, 12), st.sampled_from([RULES, SORTED]))
def test_page_by_an_id_within_an_object_is_the_page_by_a_flat_one(
    lists: list[list[dict[str, Any]]], offset: int, limit: int, rules: IndexRules
) -> None:
    """A primary key such as ``meta.id`` plans, checks and orders as any other."""
    nested = [[{**hit, "id": None, "meta": {"id": hit["id"]}} for hit in hits] for hits in lists]
    search = SearchRequest(q="a", offset=offset, limit=limit)

    flat = _two_rounds(search, rules, lists)
    within = _two_rounds(search, replace(rules, primary_key="meta.id"), nested)

    assert [hit["meta"]["id"] for hit in within] == [hit["id"] for hit in flat]


def _two_rounds(search: SearchRequest, rules: IndexRules, lists: Sequence[Sequence[Hit]]) -> Sequence[Hit]:
    """Return the page's hits, none where it is not decided."""
    keys = _keys(search, rules, lists)
    plan = plan_windows(search, rules, keys)
    assert plan is not None
    answers = [hits[own.offset : own.offset + own.limit] for hits, own in zip(lists, plan.windows, strict=True)]
    page = cut_page(search, rules, plan, answers)
    return () if page is None else page.hits


def test_page_of_another_replica_is_refused() -> None:
    """Ids that are not those of the keys come from a replica that orders ties otherwise."""
    lists = [[_hit(number, 0, 1.0) for number in range(start, 30, 3)] for start in range(3)]
    search = SearchRequest(q="a", offset=10, limit=5)
    keys = _keys(search, RULES, lists)
    plan = plan_windows(search, RULES, keys)
    assert plan is not None
    answers = [list(reversed(hits))[own.offset :][: own.limit] for hits, own in zip(lists, plan.windows, strict=True)]

    assert cut_page(search, RULES, plan, answers) is None


@pytest.mark.parametrize(
    ("search", "parts", "deep"),
    [
        (SearchRequest(), 3, False),
        (SearchRequest(offset=980), 3, True),
        (SearchRequest(offset=980), 1, False),
        (SearchRequest(offset=980, limit=0), 3, False),
        (SearchRequest(page=50), 2, True),
        (SearchRequest(limit=1000), 3, True),
    ],
    ids=["first page", "deep", "one node", "no hits wanted", "deep page", "long page"],
)
def test_window_is_deep_where_much_would_be_fetched_for_nothing(
    search: SearchRequest, parts: int, *, deep: bool
) -> None:
    """Two rounds are for windows where most of what one round fetches is thrown away."""
    assert is_deep(search, RULES, parts=parts, length=head_length(search, RULES)) is deep


def test_keys_are_ids_and_scores_unless_something_sorts() -> None:
    """Scores are a tenth of score details; where they do not order a node's list, details are asked for."""
    search = SearchRequest(q="a", offset=980, facets=("genre",), attributes_to_highlight=("*",))

    by_score = key_body(search, RULES, [ShardId(0)])
    sorting = key_body(replace(search, sort=("year:asc",), distinct="kind"), RULES, [ShardId(0)])

    assert by_score["attributesToRetrieve"] == ["id"]
    assert (by_score["showRankingScore"], by_score["showRankingScoreDetails"]) == (True, False)
    assert (sorting["showRankingScore"], sorting["showRankingScoreDetails"]) == (False, True)
    assert sorting["attributesToRetrieve"] == ["id", "kind"]
    assert "attributesToHighlight" not in by_score
    assert (by_score["offset"], by_score["limit"]) == (0, 1000)


def _words(hit: Hit) -> int:
    found: int = hit["_rankingScoreDetails"]["words"]["matchingWords"]
    return found
