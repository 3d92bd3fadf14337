"""Where hits of several lists stand that tie: which of them are a part of the merged tie, without merging it.

In the order in which heads merge (``query/merge.py``): the smaller id goes first, but none goes before the one in front
of it in its own list, so each counts as the largest id up to it; among equal ids the order of the lists decides. What
always holds: of some thousand ties nothing is sorted but the part that is asked for. Who calls it: deep pages, which
place the same ties twice. It must not know: scores, or what ties.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from query.identity import identities_of
from query.search import Window


class Run(NamedTuple):
    """Hits of one list that tie, one behind the other."""

    source: int
    """The list's number."""
    first: int
    """The first one's place."""
    size: int


class TieOrder:
    """The order of the hits of some lists, where they tie; what was worked out of a run is kept.

    Args:
        lists: each one's hits.
        name: the id's field.
    """

    __slots__ = ("_lists", "_mixed", "_name", "_rising")

    def __init__(self, lists: Sequence[Sequence[Mapping[str, Any]]], name: str) -> None:
        self._lists = lists
        self._name = name
        self._mixed = False
        self._rising: dict[Run, list[Any]] = {}

    def cut(self, tie: Sequence[Run], part: Window) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
        """Return how many hits of each run come before a part of a tie, and list and place of those within it."""
        try:
            before, entries = _cut_rising([self._of(run) for run in tie], part)
        except TypeError:  # numbers and texts: numbers go first
            self._mixed, self._rising = True, {}
            before, entries = _cut_rising([self._of(run) for run in tie], part)
        return before, [(tie[number].source, tie[number].first + place) for number, place in entries]

    def _of(self, run: Run) -> list[Any]:
        found = self._rising.get(run)
        if found is None:
            identities = identities_of(self._lists[run.source][run.first : run.first + run.size], self._name)
            if self._mixed:
                identities = [(isinstance(identity, str), identity) for identity in identities]
            found = self._rising[run] = _rising(identities)
        return found


def _cut_rising(lists: Sequence[Sequence[Any]], part: Window) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
    """Return how many values of each rising list come before a part of all in order, and list and place of the part's.

    Nothing is sorted but the part itself: of some thousand ties a page needs a few.
    """
    before = _count_first(lists, part.offset)
    entries = sorted(
        (value, number, place)
        for number, (own, start) in enumerate(zip(lists, before, strict=True))
        for place, value in enumerate(own[start : start + part.limit], start)
    )
    return before, [(number, place) for _, number, place in entries[: part.limit]]


def _count_first(lists: Sequence[Sequence[Any]], count: int) -> list[int]:
    """Return how many of the first ``count`` values of all are each rising list's; equal ones in the lists' order."""
    low, high = [0] * len(lists), [len(own) for own in lists]
    while sum(low) < count:
        widest = max(range(len(lists)), key=lambda number: high[number] - low[number])
        pivot = lists[widest][(low[widest] + high[widest]) // 2]
        smaller = [bisect_left(*each) for each in zip(lists, repeat(pivot), low, high, strict=False)]
        equal = [bisect_right(*each) for each in zip(lists, repeat(pivot), low, high, strict=False)]
        if sum(smaller) >= count:
            high = smaller
        elif sum(equal) <= count:
            low = equal
        else:
            for number, end in enumerate(equal):
                smaller[number] += min(end - smaller[number], count - sum(smaller))
            return smaller
        if sum(high) == count:
            return high
    return low


def _rising(identities: list[Any]) -> list[Any]:
    """Return for each id the largest up to it."""
    # Mostly they rise already, or nearly: then sorting them is the fastest way to see it.
    if identities == sorted(identities):
        return identities
    largest = identities[0]
    rising = []
    for identity in identities:
        if identity > largest:  # noqa: PLR1730 - max() takes three times as long
            largest = identity
        rising.append(largest)
    return rising
