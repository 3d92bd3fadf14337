"""Bucket sort: rules applied one inside the other until the wanted window is full.

What always holds: documents come out bucket by bucket, ties by document number; a rule sees only what its parent bucket
holds. Source: ``ranking.md`` sections 4.9, 6 and 9. Who calls it: searches.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from miroir.node.engine import bitmaps


class Rank(NamedTuple):
    """What a rule adds to the global score: ``rank`` of ``rank_max``, higher is better."""

    rank: int
    rank_max: int


class Bucket(NamedTuple):
    """One bucket of a rule.

    Attributes:
        numbers: its documents.
        state: what the next rule works with (the narrowed query graph).
        ranks: empty for sort rules.
        details: name → detail, without ``order``.
    """

    numbers: int
    state: Any
    ranks: tuple[Rank, ...]
    details: tuple[tuple[str, dict[str, Any]], ...]


class Rule(Protocol):
    """Splits documents into buckets, best first."""

    def buckets(self, universe: int, state: Any) -> Iterator[Bucket]:
        """Yield buckets whose documents together are the universe."""


class Hit(NamedTuple):
    """A document in its place."""

    number: int
    ranks: tuple[Rank, ...]
    details: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(slots=True)
class Sorted:
    """What came out.

    Attributes:
        hits: the wanted window.
        candidates: all documents, less those below the threshold and duplicates met so far.
    """

    hits: list[Hit]
    candidates: int


def score_of(ranks: Sequence[Rank]) -> float:
    """Return the global score of ranks in rule order; 1.0 for none."""
    rank = maximum = 1
    for step in ranks:
        rank = (rank - 1) * step.rank_max + step.rank
        maximum *= step.rank_max
    return rank / maximum


def bucket_sort(
    rules: Sequence[Rule],
    universe: int,
    state: Any,
    *,
    start: int,
    end: int,
    duplicates: Callable[[int], int] | None = None,
    threshold: float | None = None,
) -> Sorted:
    """Return the hits ``[start, end)`` of the sorted universe.

    Args:
        rules: outermost first.
        universe: the documents to sort.
        state: what the first rule works with.
        start: first hit wanted.
        end: exclusive; a large number explores everything.
        duplicates: given a document, the documents of the same distinct values.
        threshold: buckets with a lower score are dropped, with all worse ones at their level.
    """
    run = _Run(rules, universe, start, end, duplicates, threshold)
    run.descend(0, universe, state, (), ())
    return Sorted(run.hits, run.candidates)


def first_of_each(numbers: int, duplicates: Callable[[int], int], limit: int | None = None) -> tuple[int, int]:
    """Return the first document of each distinct value, and all documents that have one of these values.

    Args:
        numbers: documents.
        duplicates: given a document, the documents of the same values.
        limit: how many first documents are enough; None for all.
    """
    remaining = excluded = count = 0
    for number in bitmaps.members(numbers):
        if limit is not None and count >= limit:
            break
        if not excluded >> number & 1:
            excluded |= duplicates(number)
            remaining |= 1 << number
            count += 1
    return remaining, excluded


class _Run:
    def __init__(
        self,
        rules: Sequence[Rule],
        universe: int,
        start: int,
        end: int,
        duplicates: Callable[[int], int] | None,
        threshold: float | None,
    ) -> None:
        self._rules = rules
        self._start = start
        self._end = end
        self._duplicates = duplicates
        self._threshold = threshold
        self._seen = 0
        self.hits: list[Hit] = []
        self.candidates = universe

    def descend(
        self,
        level: int,
        universe: int,
        state: Any,
        ranks: tuple[Rank, ...],
        details: tuple[tuple[str, dict[str, Any]], ...],
    ) -> None:
        universe &= self.candidates
        if not universe or self._seen >= self._end:
            return
        count = universe.bit_count()
        if level == len(self._rules) or self._may_skip(count):
            self._emit(universe, ranks, details)
            return
        rest = universe
        for bucket in self._rules[level].buckets(universe, state):
            own = bucket.numbers & rest
            if not own:
                continue
            reached = (*ranks, *bucket.ranks)
            if self._threshold is not None and score_of(reached) < self._threshold:
                self.candidates &= ~rest
                return
            rest &= ~own
            self.descend(level + 1, own, bucket.state, reached, (*details, *bucket.details))
            if self._seen >= self._end:
                return

    def _may_skip(self, count: int) -> bool:
        # Everything of this bucket lies before the window: its inner order is nobody's business.
        return self._seen + count < self._start

    def _emit(self, universe: int, ranks: tuple[Rank, ...], details: tuple[tuple[str, dict[str, Any]], ...]) -> None:
        if self._duplicates is None:
            count = universe.bit_count()
            if self._seen + count <= self._start:
                self._seen += count
                return
        else:
            universe = self._drop_duplicates(universe)
        for number in bitmaps.iterate(universe):
            if self._seen >= self._end:
                return
            if self._seen >= self._start:
                self.hits.append(Hit(number, ranks, details))
            self._seen += 1

    def _drop_duplicates(self, bucket: int) -> int:
        """Return the first document of each value in the bucket, and forget all others of those values everywhere."""
        assert self._duplicates is not None
        kept = bucket if not self._rules else bucket & self.candidates
        limit = None if self._rules else self._end
        remaining, excluded = first_of_each(kept, self._duplicates, limit)
        self.candidates = self.candidates & ~excluded | remaining
        return remaining
