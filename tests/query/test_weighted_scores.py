"""Weighted scores: what hits of different queries are compared by."""

from typing import Any

import pytest

from query.weighted_scores import SAME_SCORE, compare_scores, compare_weighted, weighted_items


def hit(score: float = 0.8, /, **details: Any) -> dict[str, Any]:
    """Return a hit with this score and these rules, in this order."""
    ordered = {name: {"order": order, **detail} for order, (name, detail) in enumerate(details.items())}
    return {"_rankingScore": score, "_rankingScoreDetails": ordered}


WORDS = {"matchingWords": 3, "maxMatchingWords": 3, "score": 1.0}
TYPO = {"typoCount": 0, "maxTypoCount": 3, "score": 1.0}


@pytest.mark.parametrize(
    ("found", "items"),
    [
        (hit(), [("score", 0.4)]),
        (hit(words=WORDS, typo=TYPO), [("score", 0.4)]),
        (hit(vectorSort={"similarity": 0.5}), [("score", 0.25)]),
        (hit(vectorSort={"similarity": None}), [("score", 0.0)]),
        (hit(**{"n:asc": {"value": 3}, "words": WORDS}), [("asc", 3), ("score", 0.4)]),
        (hit(**{"_geoPoint(1, 2):desc": {"distance": 7}}), [("far", 7)]),
        (
            hit(
                82 / 84,
                **{
                    "words": WORDS,
                    "typo": TYPO,
                    "proximity": {"score": 5 / 7},
                    "n:asc": {"value": 0},
                    "x": {"score": 1},
                },
            ),
            [("score", 82 / 84 / 2), ("asc", 0), ("score", 0.5)],
        ),
        (
            hit(
                3 / 27,
                **{
                    "exactness": {"matchingWords": 0, "maxMatchingWords": 2, "score": 1 / 9},
                    "n:asc": {"value": 0},
                    "words": WORDS,
                },
            ),
            [("score", 1 / 18), ("asc", 0), ("score", 0.5)],
        ),
    ],
    ids=["none", "ranked", "similar", "without vector", "sorted first", "far", "in blocks", "two rules in one"],
)
def test_items_are_scores_and_values_in_the_order_of_rules(
    found: dict[str, Any], items: list[tuple[str, float]]
) -> None:
    """Consecutive rules are one score; the steps of words and typos are known even where all of them were taken."""
    got = weighted_items(found, 0.5)

    assert [kind for kind, _ in got] == [kind for kind, _ in items]
    assert [value for _, value in got] == pytest.approx([value for _, value in items])


@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        ([("score", 0.9)], [("score", 0.8)], -1),
        ([("score", 0.5), ("asc", 2)], [("score", 0.5), ("asc", 1)], 1),
        ([("desc", "b")], [("desc", "a")], -1),
        ([("asc", None)], [("asc", 1)], 1),
        ([("asc", 1)], [("asc", "a")], -1),
        ([("far", 9.0)], [("far", 1.0)], -1),
        ([("score", 0.5)], [("asc", 1)], None),
        ([("score", 0.5), ("asc", 1)], [("asc", 1)], -1),
        ([("score", 0.5)], [("score", 0.5), ("asc", 1)], 1),
        ([("score", 0.5)], [("score", 0.5)], 0),
    ],
)
def test_first_difference_decides(left: Any, right: Any, verdict: int | None) -> None:
    """Where kinds differ, the one with more rules left goes first; equally many say nothing."""
    assert compare_weighted(left, right) == verdict
    reverse = compare_weighted(right, left)
    assert reverse == (None if verdict is None else -verdict)


def test_scores_nearer_than_meilisearch_tells_are_equal() -> None:
    """Both sums of the same shares, in another order."""
    assert compare_scores(0.5, 0.5 + SAME_SCORE) == 0


def test_rules_behind_a_sort_count_as_the_node_has_reckoned() -> None:
    """A position that is the best of 11 and two of three steps of exactness are 32 of 33, not two of three."""
    first = {"words": {"matchingWords": 1, "maxMatchingWords": 1}, "typo": {"typoCount": 0, "maxTypoCount": 1}}
    last = {"wordPosition": {"score": 1.0}, "exactness": {"matchType": "matchesStart", "score": 2 / 3}}

    items = weighted_items(hit(65 / 66, **first, **{"n:asc": {"value": 1}}, **last), 0.5)

    assert [value for _, value in items] == pytest.approx([0.5, 1, 32 / 33 / 2])
