"""Federated queries whose hits cannot be compared; the messages are what Meilisearch 1.50 said."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from query.federated_rules import check_federated_rules
from query.multi_search import parse_multi_search
from query.rules import rules_of
from schemas.errors import InvalidSearchError


def refusal(rules: Mapping[str, Sequence[str]], queries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the code and message by which the queries are refused; None where they are not."""
    parsed = parse_multi_search({"federation": {}, "queries": list(queries)}).queries
    settings = {index: {"rankingRules": list(rules[index])} if index in rules else {} for index in "ab"}
    sides = [(query, rules_of(query.index, "id", settings[query.index])) for query in parsed]
    try:
        check_federated_rules(sorted(sides, key=lambda side: side[0].index))
    except InvalidSearchError as error:
        return f"{error.code}: {error}"
    return None


CODE = "invalid_multi_search_query_ranking_rules"
A, B = {"indexUid": "a"}, {"indexUid": "b"}

COMPARABLE: Mapping[str, tuple[Mapping[str, Sequence[str]], Sequence[Mapping[str, Any]]]] = {
    "defaults": ({}, [{**A, "q": "x"}, {**B, "q": "y"}]),
    "words and nothing": ({}, [{**A, "q": "x"}, {**B, "q": " "}]),
    "rules by words in another order": (
        {"a": ["typo", "words"], "b": ["exactness"]},
        [{**A, "q": "x"}, {**B, "q": "x"}],
    ),
    "a sort without its rule": ({"a": ["words"], "b": ["words", "y:asc"]}, [{**A, "q": "x"}, {**B, "q": "x"}]),
    "other attributes": ({"a": ["x:asc"], "b": ["y:asc", "x:desc"]}, [A, B]),
    "rules by words on both sides of a sort that is empty": (
        {"a": ["words", "sort", "typo", "x:asc"], "b": ["words", "x:asc"]},
        [{**A, "q": "x", "sort": []}, {**B, "q": "x"}],
    ),
    "near vectors": (
        {"a": ["words", "typo", "x:asc"], "b": ["typo", "x:asc", "words", "y:desc"]},
        [{**each, "vector": [1.0], "hybrid": {"embedder": "e", "semanticRatio": 1.0}} for each in (A, B)],
    ),
}


@pytest.mark.parametrize(("rules", "queries"), COMPARABLE.values(), ids=COMPARABLE.keys())
def test_queries_of_comparable_rules_pass(
    rules: Mapping[str, Sequence[str]], queries: Sequence[Mapping[str, Any]]
) -> None:
    """One kind at each place as far as both go, whatever the attributes."""
    assert refusal(rules, queries) is None


REFUSED: Mapping[str, tuple[Mapping[str, Sequence[str]], Sequence[Mapping[str, Any]], str]] = {
    "opposite directions": (
        {"a": ["x:asc"], "b": ["x:desc"]},
        [A, B],
        (
            "Inside `.queries[1]`: The results of queries #0 and #1 are incompatible: \n"
            "  1. `queries[0]`, `a.rankingRules[0]`: ascending sort rule(s) x:asc\n"
            "  2. `queries[1]`, `b.rankingRules[0]`: descending sort rule(s) x:desc\n"
            "  - cannot compare two sort rules in opposite directions\n"
        ),
    ),
    "what comes twice": (
        {"a": ["sort"], "b": ["words", "sort"]},
        [
            {**B, "q": "a", "matchingStrategy": "all", "sort": ["_geoPoint(1,2):asc", "_geoPoint(1,3):asc"]},
            {**A, "q": "", "sort": ["x:asc", "x:desc"]},
        ],
        (
            "Inside `.queries[0]`: The results of queries #1 and #0 are incompatible: \n"
            "  1. `queries[1].sort[0]`, `a.rankingRules[0]`: ascending sort rule(s) on field `x`\n"
            "  2. `queries[0].sort[0]`, `b.rankingRules[0]`: ascending geo sort rule(s) default\n"
            "  - cannot compare a sort rule with a geosort rule\n"
            "  - note: The ranking rules of query #1 were modified during canonicalization:\n"
            "    1. Removed duplicate rule `x:asc` at position #1 in `query.sort` (as `sort` is #0 in ranking rules)"
            " as it already appears at position #0 in `query.sort` (as `sort` is #0 in ranking rules)\n"
            "  - note: The ranking rules of query #0 were modified during canonicalization:\n"
            "    1. Removed rule `words` at position #0 in ranking rules because `query.matchingWords` is set to"
            " `all`\n"
            "    2. Removed duplicate rule `_geo(..):asc` at position #1 in `query.sort`"
            " (as `sort` is #1 in ranking rules) as it already appears at"
            " position #0 in `query.sort` (as `sort` is #1 in ranking rules)\n"
        ),
    ),
}


@pytest.mark.parametrize(("rules", "queries", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_queries_that_cannot_be_compared_are_refused_in_meilisearchs_words(
    rules: Mapping[str, Sequence[str]], queries: Sequence[Mapping[str, Any]], message: str
) -> None:
    """With both rules, why they do not fit, and what became of the rules before."""
    assert refusal(rules, queries) == f"{CODE}: {message}"


@pytest.mark.parametrize(
    ("rules", "queries", "reason"),
    [
        (
            {"a": ["typo", "words"], "b": ["x:desc"]},
            [{**A, "q": "x"}, B],
            "cannot compare a relevancy rule with a sort rule",
        ),
        (
            {"a": ["words"], "b": ["sort"]},
            [{**A, "q": "x"}, {**B, "sort": ["_geoPoint(1,2):desc"]}],
            "cannot compare a relevancy rule with a geosort rule",
        ),
        (
            {"a": ["sort"], "b": ["sort"]},
            [{**A, "sort": ["_geoPoint(1,2):desc"]}, {**B, "sort": ["_geoPoint(1,2):asc"]}],
            "cannot compare two geosort rules in opposite directions",
        ),
    ],
    ids=["words and a sort", "words and a distance", "near and far"],
)
def test_refusal_says_what_does_not_fit(
    rules: Mapping[str, Sequence[str]], queries: Sequence[Mapping[str, Any]], reason: str
) -> None:
    """Each pair of kinds has its own words."""
    assert f"  - {reason}\n" in (refusal(rules, queries) or "")


def test_query_is_held_against_that_of_most_rules() -> None:
    """A query in between that ranks by less hides no difference."""
    rules = {"a": ["x:asc", "y:asc", "sort"], "b": ["x:asc", "y:desc"]}

    message = refusal(rules, [A, {**A, "q": "z"}, B]) or ""

    assert message.startswith(f"{CODE}: Inside `.queries[2]`: The results of queries #1 and #2 are incompatible")


def test_words_are_put_in_front_of_what_ranks_by_words() -> None:
    """Unless every word must match; and the rule that is there comes a second time."""
    message = refusal({"a": ["typo", "words", "typo", "sort"], "b": ["x:asc"]}, [{**A, "q": "z"}, B]) or ""

    assert "`a.rankingRules[0..=2]`: relevancy rule(s) words, typo, words\n" in message
    assert (
        "    1. Prepended rule `words` before first relevancy rule `typo` at position #0 in ranking rules\n"
        "    2. Removed rule `words` at position #1 in ranking rules because it was previously prepended\n"
        "    3. Removed duplicate rule `typo` at position #2 in ranking rules as it already appears at position #0 in"
        " ranking rules\n"
        "   4. Removed rule `sort` at position #3 in ranking rules because `query.sort` is empty\n"
    ) in message
