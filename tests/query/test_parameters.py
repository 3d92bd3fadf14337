"""GET parameters, parsed or refused in Meilisearch's words."""

from collections.abc import Mapping

import pytest

from query.parameters import parse_search_parameters
from query.search import Hybrid, SearchRequest
from schemas.errors import InvalidSearchError

ACCEPTED = {
    "nothing": ({}, SearchRequest()),
    "lists": (
        {"facets": "a,b", "attributesToRetrieve": ""},
        SearchRequest(facets=("a", "b"), attributes_to_retrieve=()),
    ),
    "numbers and flags": (
        {"limit": "3", "page": "2", "showRankingScore": "true", "rankingScoreThreshold": "0.5"},
        SearchRequest(limit=3, page=2, show_ranking_score=True, ranking_score_threshold=0.5),
    ),
    "plain filter": ({"filter": "year > 1990"}, SearchRequest(filter="year > 1990")),
    "JSON filter": ({"filter": '[["a = 1","b = 2"]]'}, SearchRequest(filter=[["a = 1", "b = 2"]])),
    "sort with a point": (
        {"sort": "_geoPoint(1.5, 2):asc, year:desc"},
        SearchRequest(sort=("_geoPoint(1.5,2):asc", "year:desc")),
    ),
    "embedder after its ratio": (
        {"hybridSemanticRatio": "0.2", "vector": "1,0.5", "hybridEmbedder": "e"},
        SearchRequest(hybrid=Hybrid("e", 0.2), vector=(1.0, 0.5)),
    ),
}

REFUSED = {
    "limit": (
        {"limit": "x"},
        "invalid_search_limit",
        "Invalid value in parameter `limit`: could not parse `x` as a positive integer",
    ),
    "flag": (
        {"showRankingScore": "yes"},
        "invalid_search_show_ranking_score",
        (
            "Invalid value in parameter `showRankingScore`: could not parse `yes` as a boolean, "
            "expected either `true` or `false`"
        ),
    ),
    "strategy": (
        {"matchingStrategy": "lsat"},
        "invalid_search_matching_strategy",
        (
            "Unknown value `lsat` for parameter `matchingStrategy`: did you mean `last`? "
            "expected one of `last`, `all`, `frequency`"
        ),
    ),
    "threshold": (
        {"rankingScoreThreshold": "nan"},
        "invalid_search_ranking_score_threshold",
        (
            "Invalid value in parameter `rankingScoreThreshold`: the value of `rankingScoreThreshold` is invalid, "
            "expected a float between `0.0` and `1.0`."
        ),
    ),
    "ratio alone": (
        {"hybridSemanticRatio": "0.5"},
        "invalid_search_hybrid_query",
        "`hybridEmbedder` is mandatory when `hybridSemanticRatio` is present",
    ),
    "vector of words": (
        {"vector": "1,x", "hybridEmbedder": "e"},
        "invalid_search_vector",
        "Invalid value in parameter `vector`: invalid float literal",
    ),
    "vector alone": (
        {"vector": "1,2"},
        "missing_search_hybrid",
        "`hybridEmbedder` is mandatory when `vector` is present",
    ),
}


@pytest.mark.parametrize(("parameters", "search"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_parameters_parse_to_their_search(parameters: Mapping[str, str], search: SearchRequest) -> None:
    """Parameters become the search the same body would give."""
    assert parse_search_parameters(parameters) == search


@pytest.mark.parametrize(("parameters", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_parameter_is_refused_in_meilisearchs_words(
    parameters: Mapping[str, str], code: str, message: str
) -> None:
    """A text that does not parse is named with its parameter."""
    with pytest.raises(InvalidSearchError) as refusal:
        parse_search_parameters(parameters)

    assert (refusal.value.code, str(refusal.value)) == (code, message)


def test_unknown_parameter_lists_the_known() -> None:
    """An unknown parameter is refused as a parameter, not as a field."""
    with pytest.raises(InvalidSearchError, match=r"^Unknown parameter `foo`: expected one of `q`, `vector`, `offset`"):
        parse_search_parameters({"foo": "1"})
