"""Words and similarity over nodes that are lists, against one list of all documents."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.hybrid import decide_hybrid, hybrid_body, hybrid_case, weights
from query.merge import MergedAnswer
from query.rounds import Ask, Round, SearchCase
from query.routing import Part
from query.rules import IndexRules
from query.search import Hybrid, SearchKind, SearchRequest
from schemas.ids import NodeId, ShardId

RULES = IndexRules(index="films", primary_key="id", embedders={"e": 2}, displayed=("id", "title"))
SEARCH = SearchRequest(q="a", hybrid=Hybrid("e", 0.5), vector=(0.0, 1.0), show_ranking_score=True)
ROUTE = tuple(Part(NodeId(name), (ShardId(number),)) for number, name in enumerate("abc"))
WHOLE = Part(NodeId("d"), (ShardId(0), ShardId(1), ShardId(2)))

Document = Mapping[str, Any]


@st.composite
def corpora(draw: st.DrawFn) -> list[Document]:
    """Return documents with scores of their own, so that nothing ties: for words some, for similarity some."""
    count = draw(st.integers(0, 25))
    words, similar = (draw(st.permutations(range(count))) for _ in range(2))
    best = draw(st.sampled_from((1.0, 0.8)))
    return [
        {
            "id": number,
            "shard": draw(st.integers(0, 2)),
            "words": best - words[number] / 100 if draw(st.booleans()) else None,
            "similar": 0.995 - similar[number] / 60 if draw(st.booleans()) else None,
        }
        for number in range(count)
    ]


def hits_of(documents: Sequence[Document], kind: SearchKind) -> list[dict[str, Any]]:
    """Return a node's list by one of both: by similarity it holds documents without a vector, too."""
    name = "words" if kind is SearchKind.WORDS else "similar"
    rule = "proximity" if kind is SearchKind.WORDS else "vectorSort"
    field = "score" if kind is SearchKind.WORDS else "similarity"
    found = [each for each in documents if kind is SearchKind.SIMILARITY or each[name] is not None]
    found.sort(key=lambda each: (-(each[name] or 0.0), each["id"]))
    return [
        {
            "id": each["id"],
            "title": "t",
            "hidden": 1,
            "_rankingScore": each[name] or 0.0,
            "_rankingScoreDetails": {rule: {"order": 0, field: each[name]}},
        }
        for each in found
    ]


def answer_of(documents: Sequence[Document], part: Part, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a node answers for its shards."""
    own = [each for each in documents if each["shard"] in part.shards]
    if len(part.shards) == len(ROUTE) and body.get("hybrid", {}).get("semanticRatio") not in (None, 1.0):
        return single(own, body["offset"], body["limit"])
    hits = hits_of(own, SearchKind.SIMILARITY if "hybrid" in body else SearchKind.WORDS)
    return {"hits": hits[body["offset"] : body["offset"] + body["limit"]], "estimatedTotalHits": len(hits)}


def single(documents: Sequence[Document], offset: int, limit: int) -> dict[str, Any]:
    """Return what one node with all documents answers, as Meilisearch's ``execute_hybrid`` does."""
    end = offset + limit
    words, similar = (hits_of(documents, kind)[:end] for kind in (SearchKind.WORDS, SearchKind.SIMILARITY))
    if len(words) >= end and all(hit["_rankingScore"] * 0.5 >= 0.45 for hit in words):
        found = [each["id"] for each in documents if each["words"] is not None]
        return {"hits": words[offset:], "estimatedTotalHits": len(found), "semanticHitCount": 0}
    both = [*((hit, True) for hit in similar), *((hit, False) for hit in words)]
    both.sort(key=lambda entry: -entry[0]["_rankingScore"])
    kept: dict[int, tuple[dict[str, Any], bool]] = {}
    for hit, is_similar in both:
        kept.setdefault(hit["id"], (hit, is_similar))
    page = list(kept.values())[offset:end]
    return {
        "hits": [hit for hit, _ in page],
        "estimatedTotalHits": len(documents),
        "semanticHitCount": sum(is_similar for _, is_similar in page),
    }


def run(
    search: SearchRequest, documents: Sequence[Document], route: Sequence[Part] = ROUTE, then: Sequence[Part] = ROUTE
) -> tuple[list[Ask], dict[str, Any]]:
    """Return what was asked and the answer; whoever is on the route, the first round is answered by ``then``."""
    case = hybrid_case(SearchCase(search, RULES, len(ROUTE)))
    asked: list[Ask] = []
    rounds: list[Round] = []
    while isinstance(step := decide_hybrid(case, route, rounds), Ask):
        asked.append(step)
        parts = step.parts or (then if not rounds else route)
        found = tuple((part, answer_of(documents, part, hybrid_body(case, step, part))) for part in parts)
        rounds.append(Round(step, found))
    assert isinstance(step, MergedAnswer)
    return asked, step.body


def outline(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return ids, scores and counts."""
    hits = [(hit["id"], hit["_rankingScore"]) for hit in body["hits"]]
    return (hits, body["estimatedTotalHits"], body["semanticHitCount"])


@given(corpora(), st.integers(0, 6), st.integers(0, 12))
def test_any_split_is_answered_as_by_one_node(documents: list[Document], offset: int, limit: int) -> None:
    """Order, scores, total, and how many hits are there for their similarity."""
    _, body = run(replace(SEARCH, offset=offset, limit=limit), documents)

    assert outline(body) == outline(single(documents, offset, limit))


@given(corpora())
def test_node_with_everything_is_asked_the_users_own_question(documents: list[Document]) -> None:
    """Once; its answer is passed on, stripped."""
    asked, body = run(SEARCH, documents, (WHOLE,), (WHOLE,))

    assert [ask.kind for ask in asked] == [SearchKind.BOTH]
    assert outline(body) == outline(single(documents, 0, 20))


@given(corpora())
def test_several_nodes_in_place_of_the_one_are_asked_anew(documents: list[Document]) -> None:
    """What each of them says of both would not make one list."""
    asked, body = run(SEARCH, documents, (WHOLE,), ROUTE)

    assert asked[0].kind is SearchKind.BOTH
    assert outline(body) == outline(single(documents, 0, 20))


def test_hits_show_what_is_displayed_and_asked_for_only() -> None:
    """Scores, ids and attributes that only the merge needs are gone."""
    documents = [{"id": 1, "shard": 0, "words": 0.5, "similar": 0.25}]

    _, body = run(replace(SEARCH, show_ranking_score=False, attributes_to_retrieve=("title", "hidden")), documents)

    assert body["hits"] == [{"title": "t"}]


@pytest.mark.parametrize(
    ("search", "kinds"),
    [
        (SEARCH, [SearchKind.WORDS, SearchKind.SIMILARITY]),
        (replace(SEARCH, limit=1), [SearchKind.WORDS]),
        (replace(SEARCH, vector=None), [SearchKind.WORDS]),
    ],
    ids=["too few", "good enough", "no vector"],
)
def test_similarity_is_left_out_where_a_node_would(search: SearchRequest, kinds: list[SearchKind]) -> None:
    """Where words found enough good hits, or nobody can make a vector of the text."""
    asked, body = run(search, [{"id": 1, "shard": 0, "words": 0.95, "similar": 0.25}])

    assert [ask.kind for ask in asked] == kinds
    assert body["semanticHitCount"] == 0


def test_weights_are_reckoned_in_single_precision() -> None:
    """As nodes keep the ratio."""
    assert weights(replace(SEARCH, hybrid=Hybrid("e", 0.3))) == (0.699999988079071, 0.30000001192092896)


def test_nobody_to_ask_is_an_empty_answer() -> None:
    """An index without a primary key, or of which no shard can be asked."""
    case = hybrid_case(SearchCase(SEARCH, RULES, len(ROUTE)))
    ask = decide_hybrid(case, (), [])
    assert isinstance(ask, Ask)

    answer = decide_hybrid(case, (), [Round(ask, ())])

    assert isinstance(answer, MergedAnswer)
    assert (answer.body["hits"], answer.body["semanticHitCount"]) == ([], 0)
