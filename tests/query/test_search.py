"""A search body, parsed or refused in Meilisearch's words."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from query.search import FIELDS, Hybrid, SearchKind, SearchRequest, Window, parse_search
from schemas.errors import InvalidSearchError

ACCEPTED = {
    "nothing": ({}, SearchRequest()),
    "null text": ({"q": None}, SearchRequest()),
    "window": ({"q": "a", "offset": 3, "limit": 0}, SearchRequest(q="a", offset=3, limit=0)),
    "page": ({"page": 2, "hitsPerPage": 5}, SearchRequest(page=2, hits_per_page=5)),
    "lists": ({"facets": [], "sort": ["a:asc"]}, SearchRequest(facets=(), sort=("a:asc",))),
    "filter of any form": ({"filter": [["a = 1"]]}, SearchRequest(filter=[["a = 1"]])),
    "whole threshold": ({"rankingScoreThreshold": 1}, SearchRequest(ranking_score_threshold=1.0)),
    "locales": ({"locales": ["fr", "jpn"]}, SearchRequest(locales=("fr", "jpn"))),
    "what changes nothing": ({"retrieveVectors": False, "hybrid": None, "useNetwork": False}, SearchRequest()),
}

REFUSED = {
    "number as text": (
        {"q": 1},
        "invalid_search_q",
        "Invalid value type at `.q`: expected a string, but found a positive integer: `1`",
    ),
    "negative limit": (
        {"limit": -1},
        "invalid_search_limit",
        "Invalid value type at `.limit`: expected a positive integer, but found a negative integer: `-1`",
    ),
    "null limit": (
        {"limit": None},
        "invalid_search_limit",
        "Invalid value type at `.limit`: expected a positive integer, but found null",
    ),
    "bool as number": (
        {"page": True},
        "invalid_search_page",
        "Invalid value type at `.page`: expected a positive integer, but found a boolean: `true`",
    ),
    "wrong item": (
        {"sort": ["a:asc", 1.5]},
        "invalid_search_sort",
        "Invalid value type at `.sort[1]`: expected a string, but found a number: `1.5`",
    ),
    "threshold out of range": (
        {"rankingScoreThreshold": 2},
        "invalid_search_ranking_score_threshold",
        (
            "Invalid value at `.rankingScoreThreshold`: the value of `rankingScoreThreshold` is invalid, "
            "expected a float between `0.0` and `1.0`."
        ),
    ),
    "strategy": (
        {"matchingStrategy": "bogus"},
        "invalid_search_matching_strategy",
        "Unknown value `bogus` at `.matchingStrategy`: expected one of `last`, `all`, `frequency`",
    ),
    "vector alone": (
        {"vector": [1, 2]},
        "missing_search_hybrid",
        "Invalid request: missing `hybrid` parameter when `vector` or `media` are present.",
    ),
    "hybrid without embedder": (
        {"hybrid": {}},
        "invalid_search_hybrid_query",
        "Missing field `embedder` inside `.hybrid`",
    ),
    "field within hybrid": (
        {"hybrid": {"embeder": "e"}},
        "invalid_search_hybrid_query",
        (
            "Unknown field `embeder` inside `.hybrid`: did you mean `embedder`?"
            " expected one of `semanticRatio`, `embedder`"
        ),
    ),
    "ratio out of range": (
        {"hybrid": {"embedder": "e", "semanticRatio": 2}},
        "invalid_search_semantic_ratio",
        (
            "Invalid value at `.hybrid.semanticRatio`: the value of `semanticRatio` is invalid,"
            " expected a float between `0.0` and `1.0`."
        ),
    ),
    "first fault in the body's order": (
        {"limit": "3", "q": 1},
        "invalid_search_limit",
        'Invalid value type at `.limit`: expected a positive integer, but found a string: `"3"`',
    ),
}


@pytest.mark.parametrize(("body", "search"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_body_parses_to_its_search(body: Mapping[str, object], search: SearchRequest) -> None:
    """A body of the right types becomes a search; null and absence are the same where Meilisearch says so."""
    assert parse_search(body) == search


@pytest.mark.parametrize(("body", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_body_is_refused_in_meilisearchs_words(body: Mapping[str, object], code: str, message: str) -> None:
    """A wrong type or value is named with its place, the expected type and what was found."""
    with pytest.raises(InvalidSearchError) as refusal:
        parse_search(body)

    assert (refusal.value.code, str(refusal.value)) == (code, message)


def test_body_that_is_no_object_is_refused() -> None:
    """A body of another type is refused as a whole."""
    with pytest.raises(InvalidSearchError, match=r"type: expected an object, but found an array: `\[\]`$"):
        parse_search([])


def test_unknown_field_lists_the_known_and_guesses() -> None:
    """An unknown field is refused with every known one, the nearest suggested."""
    with pytest.raises(InvalidSearchError) as refusal:
        parse_search({"filtr": "a"})

    names = ", ".join(f"`{name}`" for name in FIELDS)
    assert refusal.value.code == "bad_request"
    assert str(refusal.value) == f"Unknown field `filtr`: did you mean `filter`? expected one of {names}"


def test_what_we_cannot_do_is_named() -> None:
    """Parameters Meilisearch knows and we do not honour yet are kept apart by name."""
    search = parse_search(
        {"hybrid": {"embedder": "e"}, "media": {}, "useNetwork": True, "showPerformanceDetails": True}
    )

    assert set(search.unsupported) == {"media", "useNetwork", "showPerformanceDetails"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"q": "a"}, SearchKind.WORDS),
        ({"q": "a", "hybrid": {"embedder": "e"}}, SearchKind.BOTH),
        ({"q": "a", "hybrid": {"embedder": "e", "semanticRatio": 0}, "vector": [1]}, SearchKind.WORDS),
        ({"q": "a", "hybrid": {"embedder": "e", "semanticRatio": 1}}, SearchKind.SIMILARITY),
        ({"q": " ", "hybrid": {"embedder": "e"}}, SearchKind.WORDS),
        ({"q": " ", "hybrid": {"embedder": "e"}, "vector": [1]}, SearchKind.SIMILARITY),
    ],
)
def test_kind_is_what_meilisearch_compares_by(body: dict[str, object], kind: SearchKind) -> None:
    """Ratio, text and vector together decide; see ``search_kind`` in Meilisearch's routes."""
    assert parse_search(body).kind is kind


def test_vectors_are_read_as_numbers() -> None:
    """Whole numbers are numbers, too."""
    search = parse_search({"hybrid": {"embedder": "e", "semanticRatio": 0.25}, "vector": [1, 0.5]})

    assert (search.hybrid, search.vector) == (Hybrid("e", 0.25), (1.0, 0.5))


WINDOWS = {
    "default": (SearchRequest(), Window(0, 20)),
    "cut at the maximum": (SearchRequest(offset=95, limit=20), Window(95, 5)),
    "behind the maximum": (SearchRequest(offset=500, limit=20), Window(100, 0)),
    "pages win over offsets": (SearchRequest(page=3, hits_per_page=7, offset=1, limit=1), Window(14, 7)),
    "page 0": (SearchRequest(page=0, hits_per_page=7), Window(0, 0)),
    "last page cut": (SearchRequest(page=5, hits_per_page=24), Window(96, 4)),
}


@pytest.mark.parametrize(("search", "window"), WINDOWS.values(), ids=WINDOWS.keys())
def test_window_is_cut_as_meilisearch_cuts(search: SearchRequest, window: Window) -> None:
    """Offset and limit, or page and size, become the hits that may be fetched."""
    assert search.window(100) == window
    assert replace(search, q="x").window(100) == window
