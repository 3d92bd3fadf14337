"""The values of a facet by falling count, in the real node's order.

It keeps values in a tree of groups of four and walks it from the largest group down, so that among values of equal
count those of a larger group, or of a larger first value, come first. What always holds: counts fall. Source:
``ranking.md`` section 6 and what a real node answers. Who calls it: facets.
"""

import heapq
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeVar

GROUP_SIZE = 4
LEVEL_MIN = 6
"""A level of fewer groups is not kept; the level below is the top then. Found by trying on a real node."""

VALUES_MAX = 10_000
"""Of more values no tree is made: it would cost more than the order among equal counts is worth."""

Value = TypeVar("Value", float, str)


class _Group(NamedTuple):
    numbers: int
    first: int
    last: int


def _levels(values: list[int]) -> list[list[_Group]]:
    """Return the groups of each level, lowest first; a group names its members in the level below, end exclusive."""
    levels = [[_Group(numbers, place, place + 1) for place, numbers in enumerate(values)]]
    while True:
        below = levels[-1]
        level = [
            _Group(reduce(or_, (group.numbers for group in below[start : start + GROUP_SIZE])), start, end)
            for start in range(0, len(below), GROUP_SIZE)
            for end in [min(start + GROUP_SIZE, len(below))]
        ]
        if len(level) < LEVEL_MIN:
            return levels
        levels.append(level)


def by_count(values: Iterable[tuple[Value, int]], candidates: int) -> Iterator[tuple[Value, int]]:
    """Yield values and their counts among ``candidates``, none of them 0.

    Args:
        values: all values of a facet, rising, with their documents.
        candidates: the documents that count.
    """
    listed = [(value, numbers & candidates) for value, numbers in values]
    if len(listed) > VALUES_MAX:
        yield from _simply(listed)
        return
    levels = _levels([numbers for _, numbers in listed])
    starts = _first_values(levels)
    heap: list[tuple[int, int, int, int]] = []
    top = len(levels) - 1
    for place in range(len(levels[top])):
        _push(heap, levels, starts, top, place)
    while heap:
        count, level, _, place = heapq.heappop(heap)
        if level == 0:
            yield listed[place][0], -count
            continue
        group = levels[level][place]
        for below in range(group.first, group.last):
            _push(heap, levels, starts, level - 1, below)


def _simply(listed: list[tuple[Value, int]]) -> Iterator[tuple[Value, int]]:
    counted = [(place, numbers.bit_count()) for place, (_, numbers) in enumerate(listed) if numbers]
    for place, count in sorted(counted, key=lambda item: (-item[1], -item[0])):
        yield listed[place][0], count


def _first_values(levels: list[list[_Group]]) -> list[list[int]]:
    """Return for each group of each level the place of its first value."""
    starts = [list(range(len(levels[0])))]
    starts.extend([starts[-1][group.first] for group in level] for level in levels[1:])
    return starts


def _push(
    heap: list[tuple[int, int, int, int]],
    levels: list[list[_Group]],
    starts: list[list[int]],
    level: int,
    place: int,
) -> None:
    count = levels[level][place].numbers.bit_count()
    if count:
        # Larger counts first, then lower levels, then larger first values.
        heapq.heappush(heap, (-count, level, -starts[level][place], place))
