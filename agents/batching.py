"""When a node is sent a post, and what is in it.

A node makes a durable write of every post and runs one batch of tasks after the other, so few large posts are best; but
nothing should wait that need not. So: an idle node is sent what there is at once; behind one running task, what has
gathered while it ran; behind two, nothing. What always holds: each shard's slice begins at its cursor or before, and
ends where a batch ends or where the caller says. Who calls it: the writer of a node. It must not know: HTTP, or time
itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

import xxhash

from agents.operations import Operation, OperationBatch
from agents.posts import ShardSlice
from schemas.ids import Position, ShardId
from schemas.posts import PositionRange

TASKS_AHEAD_MAX = 2
"""Tasks of ours that may be unfinished at a node before it is sent more: one runs, one is queued behind it."""

RANGES_MAX = 256
"""Shards in one post: their ranges then take about 8 KB of metadata; a node was seen to take 20 KB."""


class FlushReason(Enum):
    """Why a post is sent now."""

    IDLE = auto()
    """The node has nothing to do."""
    FULL = auto()
    """Records or bytes have reached their limit."""
    AGE = auto()
    """The oldest has waited long enough."""


@dataclass(frozen=True, slots=True)
class PostLimits:
    """How large a post may be, and how long its oldest record may wait for others."""

    records_max: int
    bytes_max: int
    age_max_s: float


@dataclass(frozen=True, slots=True)
class Flush:
    """Send these slices, for this reason."""

    reason: FlushReason
    slices: Mapping[ShardId, ShardSlice]


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for so many seconds, unless something happens; None: until something happens."""

    wait_s: float | None


def decide_flush(
    slices: Mapping[ShardId, ShardSlice], *, tasks_ahead: int, waited_s: float, is_full: bool, limits: PostLimits
) -> Flush | Wait:
    """Return whether to send what there is.

    Args:
        slices: what could be sent.
        tasks_ahead: tasks of ours at the node that have not finished.
        waited_s: since the oldest of it could have been sent.
        is_full: whether a limit cut the slices short.
        limits: for the age.
    """
    if not slices or tasks_ahead >= TASKS_AHEAD_MAX:
        return Wait(None)
    if is_full:
        return Flush(FlushReason.FULL, slices)
    if tasks_ahead == 0:
        return Flush(FlushReason.IDLE, slices)
    if waited_s >= limits.age_max_s:
        return Flush(FlushReason.AGE, slices)
    return Wait(limits.age_max_s - waited_s)


def take_slices(
    sources: Mapping[ShardId, tuple[Position, Sequence[OperationBatch]]], limits: PostLimits
) -> tuple[Mapping[ShardId, ShardSlice], bool]:
    """Return what one post may hold, and whether a limit cut it short.

    Batches are taken in turn, one of each shard. Whose turn is first depends on where all of them stand, and so differs
    from post to post: however much there is, no shard is starved. The first batch is always taken, even where it alone
    is over a limit: a batch is bounded where it is read.

    Args:
        sources: of each shard its cursor, and the batches that hold what comes from there on.
        limits: of a post.
    """
    taken: dict[ShardId, list[OperationBatch]] = {}
    records = held = depth = 0
    is_full = False
    turns = _turns(sources)
    while not is_full:
        turn = [(shard, batches[depth]) for shard, batches in turns if depth < len(batches)]
        if not turn:
            break
        for shard, batch in turn:
            records += len(batch.operations)
            held += batch.bytes_held
            over = records > limits.records_max or held > limits.bytes_max or len(taken) >= RANGES_MAX
            if over and taken:
                is_full = True
                break
            taken.setdefault(shard, []).append(batch)
        depth += 1
    return {shard: _slice(sources[shard][0], batches) for shard, batches in taken.items()}, is_full


def cut_slice(part: ShardSlice, end: Position) -> ShardSlice:
    """Return the slice up to ``end``, exclusive."""
    start = min(part.range.start, end)
    kept = [operation for operation in part.operations if operation.offset < end]
    return replace(part, range=PositionRange(start, min(part.range.end, end)), operations=kept)


def begin_slice(part: ShardSlice, start: Position) -> ShardSlice:
    """Return the slice from ``start`` on, where it begins before."""
    if part.range.start >= start:
        return part
    kept = [operation for operation in part.operations if operation.offset >= start]
    return replace(part, range=PositionRange(start, max(start, part.range.end)), operations=kept)


def _turns(
    sources: Mapping[ShardId, tuple[Position, Sequence[OperationBatch]]],
) -> Sequence[tuple[ShardId, Sequence[OperationBatch]]]:
    """Return the shards and their batches in the order of their turns; the first is drawn from where all stand."""
    turns = [(shard, batches) for shard, (_, batches) in sources.items()]
    drawn = xxhash.xxh3_64_intdigest(b"".join(cursor.to_bytes(8, "big") for cursor, _ in sources.values()))
    first = drawn % max(1, len(turns))
    return turns[first:] + turns[:first]


def _slice(cursor: Position, batches: Sequence[OperationBatch]) -> ShardSlice:
    # A batch that begins before the cursor is sent whole: writing the same once more changes nothing.
    start = min(cursor, batches[0].start)
    operations: list[Operation] = []
    for batch in batches:
        operations += batch.operations
    return ShardSlice(PositionRange(start, batches[-1].end), operations)
