"""Score details as keys: which of two hits is the better one."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from query.ranking import RankingKeys


def _rule(name: str, **detail: object) -> dict[str, Any]:
    return {name: {"order": 0, **detail}}


def _geo(direction: str, distance: float | None) -> dict[str, Any]:
    return _rule(f"_geoPoint(1, 2):{direction}", value=None, distance=distance)


PAIRS = {
    "more words": (_rule("words", matchingWords=2, score=1.0), _rule("words", matchingWords=1, score=1.0)),
    "fewer typos": (_rule("typo", typoCount=0, score=0.1), _rule("typo", typoCount=1, score=0.9)),
    "higher score": (_rule("proximity", score=1.0), _rule("proximity", score=0.5)),
    "smaller number ascending": (_rule("year:asc", value=2.0), _rule("year:asc", value=10.0)),
    "larger number descending": (_rule("year:desc", value=10.0), _rule("year:desc", value=2.0)),
    "number before text ascending": (_rule("x:asc", value=9.0), _rule("x:asc", value="")),
    "number before text descending": (_rule("x:desc", value=9.0), _rule("x:desc", value="z")),
    "text by code point": (_rule("x:asc", value="z"), _rule("x:asc", value="é")),
    "text descending": (_rule("x:desc", value="é"), _rule("x:desc", value="z")),
    "longer text first descending": (_rule("x:desc", value="ab"), _rule("x:desc", value="a")),
    "no value last ascending": (_rule("x:asc", value="z"), _rule("x:asc", value=None)),
    "no value last descending": (_rule("x:desc", value=-5.0), _rule("x:desc", value=None)),
    "nearest first": (_geo("asc", 5.0), _geo("asc", 9.5)),
    "farthest first": (_geo("desc", 9.5), _geo("desc", 5.0)),
    "no place last nearest first": (_geo("asc", 1e7), _geo("asc", None)),
    "no place last farthest first": (_geo("desc", 0.0), _geo("desc", None)),
    "more similar": (_rule("vectorSort", similarity=0.9), _rule("vectorSort", similarity=0.2)),
    "no vector last": (_rule("vectorSort", similarity=0.0), _rule("vectorSort", similarity=None)),
    "skipped is worst": (_rule("words", matchingWords=1, score=0.1), _rule("skipped", score=0.0)),
    "skipped is worse than no value": (_rule("x:asc", value=None), _rule("skipped", score=0.0)),
}


@pytest.mark.parametrize(("better", "worse"), PAIRS.values(), ids=PAIRS.keys())
def test_key_of_better_detail_is_smaller(better: dict[str, Any], worse: dict[str, Any]) -> None:
    """Each kind of rule ranks as Meilisearch ranks it, whichever hit is seen first."""
    forth, back = RankingKeys(), RankingKeys()

    assert forth.key_of(better) < forth.key_of(worse)
    assert back.key_of(worse) > back.key_of(better)


def test_keys_compare_rules_in_their_order() -> None:
    """The rule with the lower ``order`` decides, wherever it stands in the object."""
    keys = RankingKeys()
    first = {"typo": {"order": 1, "typoCount": 0}, "words": {"order": 0, "matchingWords": 1}}
    second = {"words": {"order": 0, "matchingWords": 2}, "typo": {"order": 1, "typoCount": 2}}

    assert keys.key_of(second) < keys.key_of(first)


def test_maximum_of_typos_does_not_decide() -> None:
    """Hits that differ only in a maximum, which comes from a node's own dictionary, tie."""
    keys = RankingKeys()
    one = _rule("typo", typoCount=1, maxTypoCount=1, score=0.5)
    other = _rule("typo", typoCount=1, maxTypoCount=3, score=0.75)

    assert keys.key_of(one) == keys.key_of(other)


RULES = ("words", "typo", "title:asc", "title:desc", "_geoPoint(1,2):asc", "exactness", "vectorSort", "skipped")
VALUES = st.one_of(st.none(), st.text(), st.integers(-5, 5), st.floats(allow_nan=False))


@st.composite
def _details(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a hit's details, by any rules in any order."""
    names = draw(st.lists(st.sampled_from(RULES), unique=True, max_size=4))
    number = st.integers(0, 3)
    return {
        name: {
            "order": order,
            "value": draw(VALUES),
            "score": draw(st.floats(0, 1)),
            "distance": draw(st.one_of(st.none(), number)),
            "similarity": draw(st.one_of(st.none(), st.floats(0, 1))),
            "matchingWords": draw(number),
            "typoCount": draw(number),
        }
        for order, name in enumerate(names)
    }


@given(st.lists(_details(), max_size=6))
@example([_rule("title:asc", value="a"), _rule("title:desc", value="b")])
@example([_rule("typo", typoCount=1) | {"exactness": {"order": 1, "score": 0.5}}, _rule("title:asc", value="a")])
def test_hits_ranked_by_different_rules_have_an_order(hits: list[dict[str, Any]]) -> None:
    """While a change of the rules is on its way, nodes rank by the ones and by the others: never an error."""
    keys = RankingKeys()

    assert len(sorted(keys.key_of(details) for details in hits)) == len(hits)


def test_no_details_tie() -> None:
    """Hits of a search without text and sort have no details and tie."""
    assert RankingKeys().key_of({}) == RankingKeys().key_of({})
