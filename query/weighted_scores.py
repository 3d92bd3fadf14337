"""What hits of different queries are compared by: scores with a weight, sort values and distances by themselves.

Consecutive rules that rank are one score, as Meilisearch's federation and its hybrid search fold them; a similarity is
a score of its own. What always holds: comparing two hits says the same as Meilisearch does for hits of one node. Who
calls it: the merge of federated lists, and that of words with similarity. It must not know: queries.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby, starmap
from operator import truediv
from typing import Any

SAME_SCORE = 2.220446049250313e-16
"""Scores nearer than this are equal to Meilisearch."""

DENOMINATOR_MAX = 10_000
"""Scores of single rules are fractions of small numbers; they come as doubles."""

Hit = Mapping[str, Any]

Item = tuple[str, Any]
"""``score``, or ``asc`` and ``desc`` with a sort value, or ``near`` and ``far`` with a distance."""

_DISTANCES = {"asc": "near", "desc": "far"}


def weighted_items(hit: Hit, weight: float) -> Sequence[Item]:
    """Return what a hit, with its score and score details, is compared by.

    The hit's own score folds all ranked rules, so that of the last ones is what it leaves when those before are taken
    out; where all follow each other it is the hit's own. Scores before that are made of the rules' own; of some of them
    the number of steps is guessed: near enough, but not always what the node reckoned with.
    """
    details = sorted(hit["_rankingScoreDetails"].items(), key=lambda entry: entry[1]["order"])
    blocks = [(kind, list(own)) for kind, own in groupby(details, key=_sort_kind)]
    last = max((place for place, (kind, _) in enumerate(blocks) if not kind), default=-1)
    if any(kind == "similarity" for kind, _ in blocks):
        last = -1  # the hit's own score is its similarity
    items: list[Item] = []
    before = (1, 1)
    for place, (kind, own) in enumerate(blocks):
        if not kind:
            rank, steps = before
            ranks = list(starmap(_rank, own))
            score = hit["_rankingScore"] * steps - (rank - 1) if place == last else truediv(*_folded((1, 1), ranks))
            items.append(("score", score * weight))
            before = _folded(before, ranks)
            continue
        for _, detail in own:
            if kind == "similarity":
                items.append(("score", (detail["similarity"] or 0.0) * weight))
            elif "distance" in detail:
                items.append((_DISTANCES[kind], detail["distance"]))
            else:
                items.append((kind, detail["value"]))
    return items or [("score", hit["_rankingScore"] * weight)]


def compare_weighted(left: Sequence[Item], right: Sequence[Item]) -> int | None:
    """Return which comes first, negative for the left one; None where kinds differ and nothing else tells."""
    for place, ((kind, mine), (other_kind, other)) in enumerate(zip(left, right, strict=False)):
        if kind != other_kind:
            # What cannot be compared: the one with more rules left goes first.
            return ((len(right) - place) - (len(left) - place)) or None
        verdict = compare_scores(mine, other) if kind == "score" else _by_value(kind, mine, other)
        if verdict:
            return verdict
    return len(right) - len(left)


def compare_scores(left: float, right: float) -> int:
    """Return which score comes first, negative for the left one."""
    if abs(left - right) <= SAME_SCORE:
        return 0
    return -1 if left > right else 1


def _sort_kind(entry: tuple[str, Any]) -> str:
    """Return the direction of a rule that sorts; nothing for one that ranks."""
    name = entry[0]
    if name == "vectorSort":
        return "similarity"
    return name.rpartition(":")[2] if name.endswith((":asc", ":desc")) else ""


def _rank(name: str, detail: Mapping[str, Any]) -> tuple[int, int]:
    """Return which of how many steps a rule has given; how many is guessed from the score where nothing tells."""
    if name == "words":
        return detail["matchingWords"], detail["maxMatchingWords"]
    if name == "typo":
        steps = detail["maxTypoCount"] + 1
        return max(steps - detail["typoCount"], 0), steps
    if name == "exactness" and "matchingWords" in detail:
        # Two rules in one: no exact match is the last of three steps.
        return detail["matchingWords"] + 1, 3 * (detail["maxMatchingWords"] + 1)
    share = Fraction(detail.get("score", 0.0)).limit_denominator(DENOMINATOR_MAX)
    return share.numerator, share.denominator


def _folded(before: tuple[int, int], block: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return several rules as one, behind those before: each later one divides the last step of those before it."""
    rank, steps = before
    for inner, inner_steps in block:
        rank = max(rank - 1, 0) * inner_steps + inner
        steps *= inner_steps
    return rank, steps


def _by_value(kind: str, left: Any, right: Any) -> int:
    if left == right:
        return 0
    if left is None or right is None:
        return 1 if left is None else -1
    if isinstance(left, str) != isinstance(right, str):
        return 1 if isinstance(left, str) else -1
    return (-1 if left < right else 1) * (1 if kind in ("asc", "near") else -1)
