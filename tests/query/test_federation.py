"""Federated searches over shards, with one embedded engine's federation as oracle."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query.federation import (
    FederatedCase,
    IndexAnswers,
    Reach,
    check_window,
    federated_body,
    further_reach,
    merge_federated,
)
from query.multi_search import Federation, Query
from query.rounds import ROUNDS_MAX, Ask, Purpose
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchRequest
from schemas.errors import InvalidSearchError
from schemas.ids import NodeId, ShardId
from streams.marker import marker_of, shards_filter
from tests.query.embedded import EmbeddedIndex, ShardedIndex, ids_of

RULES = IndexRules(index="films", primary_key="id", filterable=("kind",))
ASK = Ask(Purpose.HEADS)
PARTS = [Part(NodeId("a"), (ShardId(0),)), Part(NodeId("b"), (ShardId(1),))]
SETTINGS = {
    "filterableAttributes": ["kind", "n"],
    "sortableAttributes": ["n"],
    "faceting": {"sortFacetValuesBy": {"kind": "count"}},
}
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.lists(st.sampled_from(["moon", "moonlight", "sun", "star"]), max_size=3).map(" ".join),
            "kind": st.sampled_from(["a", "b", "c"]),
            "n": st.sampled_from([1, 2, 3, "x", None]),
        }
    ),
    max_size=25,
).map(lambda found: [{"id": number, **document} for number, document in enumerate(found)])
QUERIES = st.lists(
    st.fixed_dictionaries(
        {"q": st.sampled_from(["moon", "sun", "moonlgiht", "star sun"])},
        optional={
            "filter": st.sampled_from(["kind = a", "kind != b"]),
            "federationOptions": st.sampled_from([{"weight": 0.5}, {"weight": 2.0}, {"weight": 0}]),
        },
    ).map(lambda query: {"indexUid": "films", **query, "showRankingScore": True}),
    min_size=1,
    max_size=3,
)
FEDERATIONS: st.SearchStrategy[Mapping[str, Any]] = st.sampled_from(
    [
        {},
        {"limit": 3, "offset": 2},
        {"page": 2, "hitsPerPage": 4},
        {"facetsByIndex": {"films": ["kind", "n"]}},
        {"facetsByIndex": {"films": ["kind"]}, "mergeFacets": {"maxValuesPerFacet": 2}},
    ]
)


@settings(max_examples=60)
@given(DOCUMENTS, QUERIES, FEDERATIONS)
def test_federation_over_shards_equals_the_single_engines(
    documents: list[dict[str, Any]], queries: list[dict[str, Any]], federation: Mapping[str, Any]
) -> None:
    """Scores in order, totals, pages and facets are those of one node; equal scores may stand in either order."""
    body = {"queries": queries, "federation": federation}

    wanted = EmbeddedIndex("films", SETTINGS, documents).multi_search(body)
    got = ShardedIndex("films", SETTINGS, documents).federated(body)

    assert _scores(got) == pytest.approx(_scores(wanted))
    assert {name: value for name, value in got.items() if name not in ("hits", "processingTimeMs")} == {
        name: value for name, value in wanted.items() if name != "hits"
    }
    if not federation.get("limit") and not federation.get("page"):
        assert sorted(ids_of(got["hits"])) == sorted(ids_of(wanted["hits"]))


def _capped(hits_max: int) -> dict[str, Any]:
    return {**SETTINGS, "pagination": {"maxTotalHits": hits_max}}


@settings(max_examples=60)
@given(
    DOCUMENTS,
    QUERIES,
    st.integers(1, 8),
    st.sampled_from([{}, {"limit": 3, "offset": 2}, {"limit": 100, "offset": 4}, {"page": 2, "hitsPerPage": 4}]),
    st.sampled_from([{}, {"distinct": "kind"}]),
)
def test_federation_ends_where_the_single_engines_does(
    documents: list[dict[str, Any]],
    queries: list[dict[str, Any]],
    hits_max: int,
    federation: Mapping[str, Any],
    distinct: Mapping[str, Any],
) -> None:
    """At ``maxTotalHits`` of all queries of an index together, with its best hits, and totals that count all."""
    body = {"queries": queries, "federation": {**federation, **distinct}}

    wanted = EmbeddedIndex("films", _capped(hits_max), documents).multi_search(body)
    got = ShardedIndex("films", _capped(hits_max), documents).federated(body)

    assert _scores(got) == pytest.approx(_scores(wanted))
    if not distinct:
        shown = ("hits", "processingTimeMs")
        assert {name: value for name, value in got.items() if name not in shown} == {
            name: value for name, value in wanted.items() if name != "hits"
        }


def test_no_hit_beyond_what_one_node_gives_stands_for_better_ones() -> None:
    """One node has all the best hits, more than ``maxTotalHits``: worse ones of other nodes do not follow them."""
    documents = [{"id": number, "text": "moon"} for number in range(20)]
    documents += [{"id": number, "text": "moonlight"} for number in range(20, 60)]
    sharded = ShardedIndex("films", _capped(4), documents)

    got = sharded.federated({"queries": [{"indexUid": "films", "q": "moon"}], "federation": {"limit": 50}})

    assert [hit["text"] for hit in got["hits"]] == ["moon"] * 4
    assert got["estimatedTotalHits"] == 60


VALUES: st.SearchStrategy[Any] = st.sampled_from(["a", "b", "c", "d", None])


@settings(max_examples=40)
@given(
    DOCUMENTS,
    st.lists(VALUES, min_size=25, max_size=25),
    st.sampled_from([{}, {"limit": 2}, {"limit": 2, "offset": 1}, {"page": 2, "hitsPerPage": 2}]),
)
def test_distinct_of_a_federation_is_refilled_as_the_single_engine_fills_it(
    documents: list[dict[str, Any]], kinds: list[Any], federation: Mapping[str, Any]
) -> None:
    """A page is as long, and its scores are those, of one node: duplicates on other nodes leave no gap."""
    named = [{**document, "kind": kind} for document, kind in zip(documents, kinds, strict=False)]
    queries = [
        {"indexUid": "films", "q": "moon"},
        {"indexUid": "films", "q": "sun", "federationOptions": {"weight": 0.5}},
    ]
    body = {"queries": queries, "federation": {**federation, "distinct": "kind"}}

    wanted = EmbeddedIndex("films", SETTINGS, named).multi_search(body)
    got = ShardedIndex("films", SETTINGS, named).federated(body)

    assert _scores(got) == pytest.approx(_scores(wanted))


@pytest.mark.parametrize("federation", [{"distinct": "kind"}, {}], ids=["federation", "query"])
def test_page_that_distinct_left_short_is_asked_for_again(federation: dict[str, Any]) -> None:
    """Every node's best hits have one value; the others stand behind them."""
    documents = [{"id": number, "text": "moon", "kind": "a"} for number in range(60)]
    documents += [{"id": number, "text": "moon moonlight", "kind": "bcd"[number % 3]} for number in range(100, 106)]
    query = {"indexUid": "films", "q": "moon", **({} if federation else {"distinct": "kind"})}
    sharded = ShardedIndex("films", SETTINGS, documents)

    got = sharded.federated({"queries": [query], "federation": {**federation, "limit": 4}})

    assert sorted(hit["kind"] for hit in got["hits"]) == ["a", "b", "c", "d"]
    assert sharded.asked.get("further", 0) <= ROUNDS_MAX


@pytest.mark.parametrize("merged", [{}, {"mergeFacets": {}}], ids=["by index", "merged"])
def test_facets_beside_distinct_are_said_not_to_be_exact(merged: dict[str, Any]) -> None:
    """Each node counts a document of its own of a value that several have; without ``distinct`` counts just add up."""
    documents = [{"id": number, "text": "moon", "kind": "abc"[number % 3], "n": number % 2} for number in range(60)]
    sharded = ShardedIndex("films", SETTINGS, documents)
    federation = {"facetsByIndex": {"films": ["kind", "n"]}, **merged}

    plain = sharded.federated({"queries": [{"indexUid": "films"}], "federation": {**federation, "page": 1}})
    listed = sharded.federated({"queries": [{"indexUid": "films", "distinct": "kind"}], "federation": federation})
    paged = sharded.federated({"queries": [{"indexUid": "films"}], "federation": {"distinct": "kind", "page": 1}})

    assert "_miroir" not in plain
    assert listed["_miroir"] == {"inexactFacets": {"films": ["kind", "n"]}}
    assert paged["_miroir"] == {"inexactTotal": True}


def test_facets_that_nodes_cut_are_named_by_index() -> None:
    """What a node left out of its list may be among the first of all."""
    counted = {**SETTINGS, "faceting": {"maxValuesPerFacet": 2, "sortFacetValuesBy": {"kind": "count"}}}
    documents = [{"id": number, "kind": f"k{number % 20}"} for number in range(100)]
    sharded = ShardedIndex("films", counted, documents, facet_values_node=3)

    got = sharded.federated(
        {"queries": [{"indexUid": "films"}], "federation": {"facetsByIndex": {"films": ["kind", "n"]}}}
    )

    assert got["_miroir"] == {"inexactFacets": {"films": ["kind"]}}


def _scores(answer: Mapping[str, Any]) -> list[float]:
    return [hit["_federation"]["weightedRankingScore"] for hit in answer["hits"]]


@settings(max_examples=30)
@given(DOCUMENTS, st.sampled_from([["n:asc"], ["n:desc"]]))
def test_federation_of_sorted_queries_keeps_the_order_of_values(
    documents: list[dict[str, Any]], sort: list[str]
) -> None:
    """Sort values of hits on different nodes compare by themselves: numbers, then texts, then none."""
    body = {
        "queries": [{"indexUid": "films", "sort": sort}, {"indexUid": "films", "q": "moon", "sort": sort}],
        "federation": {"limit": 100},
    }

    wanted = EmbeddedIndex("films", SETTINGS, documents).multi_search(body)
    got = ShardedIndex("films", SETTINGS, documents).federated(body)

    assert sorted(ids_of(got["hits"])) == sorted(ids_of(wanted["hits"]))
    of_first = [
        [hit["n"] for hit in each["hits"] if not hit["_federation"]["queriesPosition"]] for each in (got, wanted)
    ]
    assert of_first[0] == of_first[1]


def _case(*queries: Query, rules: IndexRules = RULES, federation: Federation | None = None) -> FederatedCase:
    return FederatedCase(federation or Federation(), queries, rules, 2, f"{rules.index}-7")


def _hit(identity: int, position: int = 0, score: float = 1.0, **fields: Any) -> dict[str, Any]:
    federation = {"indexUid": "films-7", "queriesPosition": position, "weightedRankingScore": 0.0}
    details = {"proximity": {"order": 0, "score": score}}
    marked = {"id": identity, "_miroir": marker_of(ShardId(0)), **fields}
    return {**marked, "_federation": federation, "_rankingScore": score, "_rankingScoreDetails": details}


def _answer(*hits: dict[str, Any]) -> dict[str, Any]:
    return {"hits": list(hits), "estimatedTotalHits": len(hits)}


def test_hits_of_several_indexes_merge_by_weighted_score() -> None:
    """Indexes keep their users' names, queries their places, and equal scores the queries' order."""
    other = IndexRules(index="books", primary_key="isbn")
    films = _case(Query(0, "films", SearchRequest()), Query(2, "films", SearchRequest(), weight=0.5))
    books = _case(Query(1, "books", SearchRequest()), rules=other)
    answers = [
        IndexAnswers(films, (_answer(_hit(1, 0, 0.9), _hit(2, 1, 0.8)), _answer(_hit(3, 0, 0.5)))),
        IndexAnswers(books, (_answer({**_hit(0, 0, 0.5), "isbn": 4}),)),
    ]

    body = merge_federated(Federation(limit=3), answers)

    places = [
        (hit["id"], hit["_federation"]["indexUid"], hit["_federation"]["queriesPosition"]) for hit in body["hits"]
    ]
    assert places == [(1, "films", 0), (3, "films", 0), (0, "books", 1)]
    assert body["estimatedTotalHits"] == 4
    assert all("_rankingScore" not in hit and "_miroir" not in hit for hit in body["hits"])


def test_distinct_of_a_query_holds_across_nodes() -> None:
    """A value that one node's better hit has shown is not shown again by another node."""
    case = _case(Query(0, "films", SearchRequest(distinct="kind")))
    answers = (_answer(_hit(1, kind="a"), _hit(2, score=0.5, kind="b")), _answer(_hit(3, score=0.8, kind="A")))

    body = merge_federated(Federation(), [IndexAnswers(case, answers)])

    assert ids_of(body["hits"]) == [1, 2]
    assert body["estimatedTotalHits"] == 2


def test_each_index_gives_as_many_hits_as_its_own_settings_let_it() -> None:
    """Of all its queries together; what another index has then follows, and all are counted."""
    few = IndexRules(index="films", primary_key="id", hits_max=2)
    films = _case(Query(0, "films", SearchRequest()), Query(2, "films", SearchRequest()), rules=few)
    books = _case(Query(1, "books", SearchRequest()), rules=IndexRules(index="books", primary_key="id"))
    answers = [
        IndexAnswers(films, (_answer(_hit(1, 0, 0.9), _hit(2, 1, 0.7)), _answer(_hit(3, 0, 0.8), _hit(4, 1, 0.6)))),
        IndexAnswers(books, (_answer(_hit(5, score=0.75)), _answer(_hit(6, score=0.1)))),
    ]

    body = merge_federated(Federation(), answers)

    assert ids_of(body["hits"]) == [1, 3, 5, 6]
    assert body["estimatedTotalHits"] == 6


def test_hit_whose_value_another_index_has_shown_uses_up_its_place() -> None:
    """An index's list is made, and cut, before lists are merged; a duplicate within it takes no place."""
    federation, search = Federation(distinct="kind"), SearchRequest(distinct="kind")
    few = IndexRules(index="films", primary_key="id", hits_max=2)
    films = _case(Query(0, "films", search), rules=few, federation=federation)
    books = _case(Query(1, "books", search), rules=replace(few, index="books"), federation=federation)
    ours = _answer(_hit(1, score=0.8, kind="a"), _hit(2, score=0.6, kind="b"))
    others = _answer(_hit(3, score=0.7, kind="A"), _hit(4, score=0.5, kind="c"))

    body = merge_federated(
        federation, [IndexAnswers(films, (ours, others)), IndexAnswers(books, (_answer(_hit(5, kind="a")),))]
    )

    assert ids_of(body["hits"]) == [5, 2]


def test_duplicates_that_fill_all_a_node_gives_are_left_out_again() -> None:
    """No longer list can be had, so the last one is what nodes make of it themselves."""
    rules = IndexRules(index="films", primary_key="id", hits_max=3)
    case = _case(Query(0, "films", SearchRequest(distinct="kind")), rules=rules)
    orphans = (_answer(_hit(1, kind="a")), _answer(_hit(2, score=0.9, kind=["a", "b"])))
    filled = tuple(_answer(*(_hit(number, kind="a") for number in range(first, first + 3))) for first in (0, 3))

    plain = further_reach(Federation(), [IndexAnswers(case, orphans)])
    assert plain == Reach(200, plain=True)
    last = further_reach(Federation(), [IndexAnswers(replace(case, reach=plain), filled)])
    assert last == Reach(200, last=True)
    assert further_reach(Federation(), [IndexAnswers(replace(case, reach=last), orphans)]) is None


def test_equal_hits_of_two_nodes_are_told_apart_by_an_id_within_an_object() -> None:
    """Whichever node answers first."""
    case = _case(Query(0, "films", SearchRequest()), rules=IndexRules(index="films", primary_key="meta.id"))
    answers = tuple(_answer({**_hit(0), "meta": {"id": identity}}) for identity in (2, 1))

    bodies = [merge_federated(Federation(), [IndexAnswers(case, found)]) for found in (answers, answers[::-1])]

    assert [[hit["meta"]["id"] for hit in body["hits"]] for body in bodies] == [[1, 2], [1, 2]]


def test_node_is_asked_for_its_shards_and_the_head_of_the_list() -> None:
    """Every query carries the shards' filter, what the merge needs, and no window of its own."""
    query = Query(4, "films", SearchRequest(q="a", filter="kind = a", attributes_to_retrieve=("title",)), weight=2.0)
    federation = Federation(offset=5, limit=10, facets={"films": ("*",), "books": ("x",)})

    body = federated_body(_case(query, federation=federation), ASK, PARTS[0])

    assert body["federation"] == {"offset": 0, "limit": 15, "facetsByIndex": {"films-7": ["kind"]}}
    (asked,) = body["queries"]
    assert (asked["indexUid"], asked["federationOptions"]) == ("films-7", {"weight": 2.0})
    assert asked["filter"] == ["kind = a", shards_filter([ShardId(0)])]
    assert asked["attributesToRetrieve"] == ["title", "id"]
    assert "limit" not in asked


def test_node_is_asked_for_no_more_than_it_gives() -> None:
    """That is ``maxTotalHits``, however far the window or a later round reaches."""
    rules = IndexRules(index="films", primary_key="id", hits_max=12)
    case = _case(Query(0, "films", SearchRequest()), rules=rules, federation=Federation(offset=5, limit=10))
    paged = replace(case, federation=Federation(page=3), reach=Reach(240))

    asked = [federated_body(each, ASK, PARTS[0])["federation"] for each in (case, paged)]

    assert asked == [{"offset": 0, "limit": 12}, {"page": 1, "hitsPerPage": 12}]


@pytest.mark.parametrize(
    ("federation", "hits_max", "refused"),
    [
        (Federation(offset=9_990, limit=10), 20_000, False),
        (Federation(offset=9_990, limit=11), 20_000, True),
        (Federation(offset=9_990, limit=11), 5_000, False),
        (Federation(offset=9_990, limit=11), 5_001, True),
        (Federation(offset=20_000, limit=0), 20_000, False),
        (Federation(page=101, hits_per_page=100), 20_000, True),
        (Federation(page=100, hits_per_page=100), 20_000, False),
    ],
)
def test_window_that_would_lack_hits_is_refused(federation: Federation, hits_max: int, *, refused: bool) -> None:
    """Two indexes of this ``maxTotalHits``: no window is cut in silence."""
    indexes = [replace(RULES, hits_max=hits_max), replace(RULES, index="more", hits_max=hits_max)]

    with pytest.raises(InvalidSearchError, match="at most 10000 hits") if refused else nullcontext():
        check_window(federation, indexes)
