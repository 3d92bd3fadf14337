"""Which replicas may have missed deletes, and which of those are rebuilt now.

Compaction removes a tombstone once it is older than its topic keeps them, counted from when it first came over it and
removed what the tombstone deletes (KIP-534). A replica that has not read it by then would keep the deleted document for
ever: it is not caught up from its cursor but rebuilt from the beginning, where what is gone from the log is gone from
the copy. What is needed to know it is one time a replica, ``whole_ms``: *no delete that its documents lack was first
compacted before it*; none that was written later was. It is known wherever the log's end was seen, for every replica
that stands at that end or beyond; and for a shard that begins anew, which reads what an older tombstone deletes only
where compaction has not come over that yet. It stands with the cursor in the node's own task list, so that an older
disk brings the older time.

What always holds: a replica is caught up only while every tombstone after its cursor is still in the log. Who calls it:
the worker. It must not know: HTTP, Kafka, or what the time is.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.ids import NodeId, Position

MARK_EVERY_MS = 60 * 60 * 1000
"""Marks are so far apart: an hour does not count beside the weeks for which tombstones are kept."""

MARKS_MAX = 48
"""Of one partition: two days. Who stands before the first of them has the time in its own task list."""

SHARE_MAX = 0.9
"""Of the time for which tombstones are kept. The rest is for what was read and is still on its way to the node, and for
clocks that differ.
"""


class EndMarks:
    """Where the log of one partition ended, and when: nothing at or after that position was written before."""

    def __init__(self) -> None:
        self._marks: list[tuple[Position, int]] = []

    def note(self, end: Position, now_ms: int) -> None:
        """Remember an end; one that is lower than the last, as a broker that lags tells it, says nothing.

        Args:
            end: exclusive.
            now_ms: when that was, give or take seconds; not before the last one.
        """
        marks = self._marks
        if marks and end < marks[-1][0]:
            return
        # The newest mark moves with the end; it stays where it is once the one before it is long enough ago.
        is_same = bool(marks) and end == marks[-1][0]
        is_near = len(marks) > 1 and marks[-1][1] - marks[-2][1] < MARK_EVERY_MS
        if is_same or is_near:
            marks[-1] = (end, now_ms)
        else:
            marks.append((end, now_ms))
            del marks[:-MARKS_MAX]

    def whole_ms(self, position: Position) -> int:
        """Return the latest known time before which nothing at or after ``position`` was written; 0 for none."""
        return next((at_ms for end, at_ms in reversed(self._marks) if end <= position), 0)


def news_ms(mark_ms: int, known_ms: int) -> int:
    """Return the time that a node is told with a post; 0 where what its task list says is nearly as late.

    Args:
        mark_ms: before it nothing that the node lacks was written.
        known_ms: what follows from its task list.
    """
    return mark_ms if mark_ms >= known_ms + MARK_EVERY_MS else 0


def may_miss_deletes(whole_ms: int, *, now_ms: int, kept_ms: int) -> bool:
    """Return whether a replica may be after tombstones that the log does not hold any more.

    Args:
        whole_ms: no delete that it lacks was written before.
        now_ms: milliseconds since 1970.
        kept_ms: how long the log keeps tombstones.
    """
    return now_ms - whole_ms >= kept_ms * SHARE_MAX


class Copy(NamedTuple):
    """One copy of a shard, as its owner sees it.

    Attributes:
        node: where it is.
        is_stale: it may have missed deletes, and is not fed.
        is_seen: its node answers; of one that does not, nothing is known.
        is_readable: it is not stale, and searches may use it.
    """

    node: NodeId
    is_stale: bool
    is_seen: bool
    is_readable: bool


def choose_rebuilds(copies: Iterable[Copy]) -> tuple[NodeId, ...]:
    """Return the nodes whose stale copies of one shard are rebuilt now, by id; the others wait, and can be searched.

    All of them where another copy can be searched; none while one is on its way there; else the first.
    """
    seen = sorted(copy for copy in copies if copy.is_seen)
    stale = tuple(copy.node for copy in seen if copy.is_stale)
    if any(copy.is_readable for copy in seen):
        return stale
    return stale[:1] if len(stale) == len(seen) else ()
