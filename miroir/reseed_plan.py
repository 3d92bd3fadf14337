"""What a new log is made of: a copy of each shard, what the old log holds behind it, and what neither holds.

What always holds: a position is in a copy, is carried over, or is counted as lost. Who calls it: ``log reseed``. It
must not know: how documents are read or written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from miroir.copies import Copy
from miroir.log_wholeness import LogSight, log_is_ours
from schemas.ids import Position, ShardId
from schemas.posts import PositionRange
from streams.log import Bounds


@dataclass(frozen=True, slots=True)
class ReseedPlan:
    """What becomes of every position of the old log.

    Attributes:
        copies: one of each shard, by shard: everything before its cursor.
        carried: of each partition of the old topic the position from which it is carried over; none where it is gone.
        lost: of some shards a range that no copy and no log holds.
    """

    copies: Sequence[Copy]
    carried: Mapping[ShardId, Position]
    lost: Mapping[ShardId, PositionRange]

    def describe_loss(self) -> str:
        """Return what is lost, for people; compaction may have left less than the positions say."""
        known = {copy.shard for copy in self.copies}
        return "; ".join(
            f"{'shard' if shard in known else 'no shard but partition'} {shard}: positions {r.start} to {r.end - 1}"
            for shard, r in sorted(self.lost.items())
        )


def plan_reseed(
    copies: Sequence[Copy], sight: LogSight, begun_on: Sequence[str], ends: Mapping[ShardId, Position]
) -> ReseedPlan:
    """Return the plan for an index.

    Args:
        copies: the best of each shard.
        sight: the old topic as it is now.
        begun_on: as in ``log_is_ours``.
        ends: how far the log of each shard was known to reach, while it was there.
    """
    bounds = sight.bounds or {}
    is_ours = log_is_ours(sight, begun_on)
    carried: dict[ShardId, Position] = {}
    lost: dict[ShardId, PositionRange] = {}
    for copy in copies:
        shard = copy.shard
        held = bounds.get(shard)
        # A log made anew has none of the old positions, and whatever it holds came later.
        known_to = held.beginning if is_ours and held is not None else ends.get(shard, copy.cursor)
        if known_to > copy.cursor:
            lost[shard] = PositionRange(copy.cursor, known_to)
        if is_ours and held is not None:
            carried[shard] = max(copy.cursor, held.beginning)
    if is_ours:
        # Partitions that were added: their records are dead letters at best, and whether anything newer of their keys
        # stands in the partitions where these belong cannot be told.
        beyond = {shard: held for shard, held in bounds.items() if shard not in {copy.shard for copy in copies}}
        lost |= {shard: PositionRange(held.beginning, held.end) for shard, held in beyond.items() if held.end > 0}
    elif sight.exists:
        carried = {shard: held.beginning for shard, held in bounds.items()}
    return ReseedPlan(copies, carried, lost)


def starts_left(
    carried: Mapping[ShardId, Position], bounds: Mapping[ShardId, Bounds]
) -> tuple[Mapping[ShardId, Position], str]:
    """Return from where a topic is carried on, and what it does not hold any more; for people, empty for nothing.

    Args:
        carried: of each partition up to where it was carried over.
        bounds: what each of them holds now.
    """
    starts: dict[ShardId, Position] = {}
    lost: list[str] = []
    for shard, at in carried.items():
        beginning, end = bounds[shard]
        if beginning > at:
            lost.append(f"shard {shard}: positions {at} to {beginning - 1}, unless they were carried before")
        elif end < at:
            lost.append(f"shard {shard}: positions from {at} on, unless they were carried before: it was made anew")
        # All of one that was made anew came later.
        starts[shard] = at if beginning <= at <= end else beginning
    return starts, "; ".join(lost)
