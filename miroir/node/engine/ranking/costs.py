"""Costs of paths to buckets: what the rules that walk the query graph share.

What always holds: a document goes to its cheapest path, and only paths that placed documents are handed on. Source:
``ranking.md`` section 4.1. Who calls it: the rules.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from miroir.node.engine.ranking.graph import Path, Step

Paths = tuple[Path, ...]
"""What one rule hands to the next."""


Options = Callable[[Step], Iterator[tuple[int, Step, Step]]]
"""The ways to satisfy a step, cheapest first: cost, what a document must satisfy, what the next rule gets."""

PATHS_MAX = 2_000
"""Narrowed paths followed per rule and bucket: ten words that all have typos would give 59,049."""


class Placed(NamedTuple):
    """Documents a path places at a cost."""

    cost: int
    path: Path
    numbers: int


def place_by_cost(placed: Sequence[Placed], universe: int) -> Iterator[tuple[int, int, Paths]]:
    """Yield cost, documents and good paths, cost rising; a document goes to its first path at its lowest cost."""
    remaining = universe
    for cost in sorted({entry.cost for entry in placed}):
        found = 0
        good: list[Path] = []
        for entry in placed:
            if entry.cost != cost:
                continue
            new = entry.numbers & remaining
            if new:
                good.append(entry.path)
                found |= new
                remaining &= ~new
            if not remaining:
                break
        if found:
            yield cost, found, tuple(dict.fromkeys(good))
        if not remaining:
            return


def spread(path: Path, universe: int, options: Options, placed: list[Placed]) -> None:
    """Add every combination of options along a path that has documents."""
    # Costliest first, for the stack turns them round; found once the first combination gets so far.
    choices: list[list[tuple[int, int, Step]]] = []
    stack: list[tuple[int, int, int, Path]] = [(0, 0, universe, ())]
    while stack and len(placed) < PATHS_MAX:
        place, cost, numbers, done = stack.pop()
        if place == len(path):
            placed.append(Placed(cost, done, numbers))
            continue
        if place == len(choices):
            choices.append([(own, step.documents(), handed) for own, step, handed in options(path[place])][::-1])
        for own_cost, documents, handed in choices[place]:
            left = numbers & documents
            if left:
                stack.append((place + 1, cost + own_cost, left, (*done, handed)))


def combine(path: Path, classes: Sequence[Mapping[int, int]], universe: int) -> Iterator[Placed]:
    """Yield what a path places, given for each of its parts the documents by cost (lowest cost wins)."""
    sums: dict[int, int] = {0: universe}
    for by_cost in classes:
        following: dict[int, int] = {}
        for total, numbers in sums.items():
            rest = numbers
            for cost in sorted(by_cost):
                own = rest & by_cost[cost]
                if own:
                    following[total + cost] = following.get(total + cost, 0) | own
                    rest &= ~own
        sums = following
    for total, numbers in sums.items():
        yield Placed(total, path, numbers)


def documents_of(path: Path, universe: int) -> int:
    """Return the documents of ``universe`` that satisfy a path."""
    for step in path:
        universe &= step.documents()
        if not universe:
            break
    return universe
