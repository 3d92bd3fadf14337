"""Documents like one of them: parsed, asked as a search, shown. Real nodes are asked in the integration tests."""

from typing import Any

import pytest

from query.merge import MergedAnswer
from query.parameters import parse_similar_parameters
from query.rules import IndexRules
from query.search import Hybrid, SearchRequest
from query.similar import (
    SimilarRequest,
    build_similar,
    check_similar,
    parse_similar,
    ranks_otherwise,
    similar_search,
    vectors_of,
)
from schemas.errors import InvalidSearchError

RULES = IndexRules(index="films", primary_key="meta.id", embedders={"e": 2}, displayed=("title", "meta"))
WORDS = ("words", "typo", "sort")


def answer(*similarities: tuple[int, float | None], total: int = 9) -> MergedAnswer:
    """Return an answer of these ids, by similarity."""
    hits = [
        {
            "meta": {"id": identity},
            "hidden": 1,
            "_rankingScore": similarity or 0.0,
            "_rankingScoreDetails": {"vectorSort": {"order": 0, "similarity": similarity}},
        }
        for identity, similarity in similarities
    ]
    return MergedAnswer({"hits": hits, "estimatedTotalHits": total})


def test_body_and_parameters_ask_for_the_same() -> None:
    """By POST values have types, by GET all are text."""
    body = {"id": 7, "embedder": "e", "limit": 2, "attributesToRetrieve": ["a"], "showRankingScore": True}
    parameters = {"id": "7", "embedder": "e", "limit": "2", "attributesToRetrieve": "a", "showRankingScore": "true"}

    wanted = parse_similar(body)

    assert wanted == parse_similar_parameters(parameters)
    assert wanted == SimilarRequest(
        "7", "e", SearchRequest(limit=2, attributes_to_retrieve=("a",), show_ranking_score=True)
    )


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"embedder": "e"}, "bad_request", "Missing field `id`"),
        ({"id": 1}, "bad_request", "Missing field `embedder`"),
        ({"id": 1.5, "embedder": "e"}, "invalid_similar_id", "Invalid value at `.id`: Document identifier `1.5` is"),
        ({"id": 1, "embedder": None}, "invalid_similar_embedder", "Invalid value type at `.embedder`: expected a str"),
        ({"id": 1, "q": "x"}, "bad_request", "Unknown field `q`: expected one of `id`, `offset`, `limit`, `filter`"),
        ([], "bad_request", "Invalid value type: expected an object"),
    ],
)
def test_wrong_bodies_are_refused_in_meilisearchs_words(body: object, code: str, words: str) -> None:
    """The first wrong field counts."""
    with pytest.raises(InvalidSearchError) as caught:
        parse_similar(body)

    assert (caught.value.code, str(caught.value)[: len(words)]) == (code, words)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (SimilarRequest("1", "x", SearchRequest()), "invalid_similar_embedder"),
        (SimilarRequest("1", "e", SearchRequest(filter="a = 1")), "invalid_similar_filter"),
        (SimilarRequest("a b", "e", SearchRequest()), "invalid_similar_id"),
    ],
)
def test_settings_are_looked_at_before_any_node_is_asked(wanted: SimilarRequest, code: str) -> None:
    """Embedder, filter, id, in this order."""
    with pytest.raises(InvalidSearchError) as caught:
        check_similar(wanted, RULES)

    assert caught.value.code == code


def test_search_asks_for_one_hit_more_and_the_id() -> None:
    """The document itself is the most similar to itself."""
    wanted = SimilarRequest("1", "e", SearchRequest(offset=3, limit=4, attributes_to_retrieve=("title", "hidden")))

    search = similar_search(wanted, [0.5, 1.0], RULES)

    assert (search.offset, search.limit, search.hybrid, search.vector) == (0, 8, Hybrid("e", 1.0), (0.5, 1.0))
    assert search.attributes_to_retrieve == ("title", "meta.id")


@pytest.mark.parametrize("limit", [999, 2**64 - 1])
def test_search_asks_for_no_more_hits_than_there_can_be(limit: int) -> None:
    """Not even for one hit more: what is behind ``maxTotalHits`` no node gives, and 64 bits hold no more."""
    search = similar_search(SimilarRequest("1", "e", SearchRequest(offset=2, limit=limit)), [0.5], RULES)

    assert search.limit == RULES.hits_max


def test_document_without_a_vector_is_like_none() -> None:
    """All others are counted all the same, as a node counts them."""
    wanted = SimilarRequest("1", "e", SearchRequest(filter="a = 1"))

    assert vectors_of({"id": 1, "_vectors": {}}, "e") == ()
    assert similar_search(wanted, None, RULES) == SearchRequest(filter="a = 1", limit=0)
    assert build_similar(wanted, [answer()], RULES)["estimatedTotalHits"] == 8


def test_hits_leave_out_the_document_and_those_without_a_vector() -> None:
    """The window is cut behind that, and hits are stripped."""
    wanted = SimilarRequest("2", "e", SearchRequest(offset=1, limit=2, show_ranking_score=True))

    body = build_similar(wanted, [answer((2, 1.0), (3, 0.9), (4, 0.8), (5, 0.7), (6, None))], RULES)

    assert [(hit["meta"]["id"], hit["_rankingScore"]) for hit in body["hits"]] == [(4, 0.8), (5, 0.7)]
    assert set(body["hits"][0]) == {"meta", "_rankingScore"}
    assert (body["id"], body["estimatedTotalHits"]) == ("2", 8)


def test_of_several_vectors_the_best_match_counts() -> None:
    """One search each; a document shows once."""
    wanted = SimilarRequest("1", "e", SearchRequest())

    body = build_similar(wanted, [answer((3, 0.9), (4, 0.2)), answer((4, 0.95), (3, 0.1))], RULES)

    assert [hit["meta"]["id"] for hit in body["hits"]] == [4, 3]


@pytest.mark.parametrize(
    ("ranking_rules", "otherwise"),
    [(WORDS, False), (("sort", *WORDS), False), (("year:desc", *WORDS), True), (("sort",), True)],
)
def test_own_rules_before_similarity_are_noticed(ranking_rules: Any, otherwise: bool) -> None:  # noqa: FBT001 -- a row
    """A search would put them first, where similar documents know no rules."""
    assert ranks_otherwise(IndexRules(index="i", primary_key="id", ranking_rules=ranking_rules)) is otherwise
