"""What is published of each replica, and when.

What always holds: the visible cursor only, with the attempt that the node's own task list names; a placement that its
node has not begun is said to lag behind from the log's beginning, under no attempt, so that nobody reads it. Who calls
it: the worker, at an interval. It must not know: who reads it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from agents.operations import OperationBatch
from schemas.events import ReplicaRecord, ReplicaState
from schemas.ids import Position, SettingsVersion
from schemas.progress import REPEAT_S, Progress
from streams.cursor import BEGINNING, NO_ATTEMPT, ShardCursor
from streams.readable import ProgressView
from streams.topology import Topology

NEAR_MS = 3_000
"""So old may the oldest record be that is not visible: a busy node takes a second for a post, and two are ahead."""

FORGET_S = 4 * REPEAT_S
"""So long nobody has published of a replica that is not placed before its record is removed: a worker that knows of it
earlier than the one that removes would have."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the owner sees of a replica.

    Attributes:
        replica: its placement.
        cursor: the visible one, as the node's task list tells; None where the node does not tell.
        end: the log's end, as far as it is known; exclusive.
        settings_version: what the node's index was last seen to have.
        node_key: the worker key's uid that the node is spoken to with.
        log: the id of the topic that the index was begun on.
        differing: sampled documents that were found not to be what the log says.
    """

    replica: ReplicaRecord
    cursor: ShardCursor | None
    end: Position
    settings_version: SettingsVersion
    node_key: str
    log: str
    differing: int = 0


def build_next_progress(
    sight: Sight,
    before: Progress | None,
    batches: Iterable[OperationBatch],
    *,
    now_ms: int,
    first_end: Position = BEGINNING,
) -> Progress | None:
    """Return what is to be known of the replica now; None where that is nothing.

    ======================================== =============================================================
    the node tells of this placement          where it stands
    it does not answer, and did before        what was seen before, and that it is away
    it has not begun, or never answered       no attempt, at the log's beginning: it lags by all there is
    it tells of a later placement             nothing: our view is old
    ======================================== =============================================================

    Args:
        sight: what is seen now.
        before: what was published last of this placement, begun or not, by whichever worker; None where nothing was.
        batches: what is held of the partition, by position; looked at no further than needed.
        now_ms: milliseconds since 1970.
        first_end: the log's end when this placement was first seen. Until the copy shows what other copies showed by
            then it is not near the end, however young those records are.
    """
    replica, seen = sight.replica, sight.cursor
    if seen is not None and seen.attempt > replica.attempt:
        return None
    has_begun = seen is not None and seen.attempt == replica.attempt
    if seen is None and before is not None and before.attempt == replica.attempt:
        return replace(
            before,
            away=True,
            end=max(sight.end, before.cursor),
            lag_ms=_lag_ms(before.cursor, max(sight.end, before.cursor), batches, before, now_ms=now_ms),
            seen_ms=now_ms,
        )
    if not has_begun and replica.state is ReplicaState.LEAVING:
        return None
    cursor = seen.cursor if seen is not None and has_begun else BEGINNING
    end = max(sight.end, cursor)
    held = (batch for batch in batches if batch.end > cursor)
    first = next(held, None)
    lag = _lag_ms(cursor, end, held if first is None else chain((first,), held), before, now_ms=now_ms)
    # Only where the very next record is held is the lag more than a guess.
    is_known = first is not None and first.start <= cursor and any(o.offset >= cursor for o in first.operations[-1:])
    near_ms = lag if is_known and cursor >= first_end else None
    return Progress(
        uid=replica.uid,
        incarnation=replica.incarnation,
        shard=replica.shard,
        node=replica.node,
        attempt=replica.attempt if has_begun else NO_ATTEMPT,
        cursor=cursor,
        end=end,
        settings_version=sight.settings_version,
        seen_ms=now_ms,
        at_end_ms=at_end_ms(cursor, end, before, now_ms=now_ms, near_ms=near_ms) if has_begun else 0,
        lag_ms=lag,
        node_key=sight.node_key,
        away=seen is None,
        log=sight.log,
        # What an earlier owner has found of this attempt is as true.
        differing=max(sight.differing, before.differing if before is not None and has_begun else 0),
    )


def find_forgotten(view: ProgressView, topology: Topology, *, now_ms: int) -> Sequence[str]:
    """Return the keys of records of which nothing will ever come again, by key: their replica is not placed any more.

    Args:
        view: the progress topic, folded.
        topology: the placements.
        now_ms: milliseconds since 1970.
    """
    placed = {
        f"{record.uid}/{record.incarnation}/{record.shard}/{record.node}"
        for record in topology.entities.values()
        if isinstance(record, ReplicaRecord)
    }
    return sorted(
        key
        for key, progress in view.replicas.items()
        if key not in placed and now_ms - progress.seen_ms > FORGET_S * 1000
    )


def is_due(progress: Progress, published: Progress | None) -> bool:
    """Return whether the progress is news.

    Args:
        progress: as seen now.
        published: what was published last by this worker, or None.
    """
    if published is None:
        return True
    same = replace(progress, seen_ms=0, lag_ms=0, at_end_ms=0) == replace(published, seen_ms=0, lag_ms=0, at_end_ms=0)
    first_at_end = progress.at_end_ms > 0 and published.at_end_ms == 0
    return not same or first_at_end or progress.seen_ms - published.seen_ms >= REPEAT_S * 1000


def at_end_ms(
    cursor: Position, end: Position, before: Progress | None, *, now_ms: int, near_ms: int | None = None
) -> int:
    """Return when the replica last stood at the end, 0 for never.

    One that stands lower than before (a late post, an older disk) must reach the end again before it counts. While
    writes go on all the time, no visible cursor ever stands at the end of this moment: one that lacks only the records
    of the last moments stood at the end before them.

    Args:
        cursor: the visible one.
        end: the log's end.
        before: the last progress of the same attempt that anybody published, or None.
        now_ms: milliseconds since 1970.
        near_ms: age of the oldest record that is not visible; None where that is not known for sure.
    """
    if cursor >= end:
        return now_ms
    if near_ms is not None and near_ms <= NEAR_MS:
        return now_ms - near_ms
    if before is None or cursor < before.cursor:
        return 0
    return before.at_end_ms


def lag_ms(cursor: Position, end: Position, batches: Iterable[OperationBatch], *, now_ms: int, known_ms: int) -> int:
    """Return the age of the oldest record that is not visible; 0 at the end.

    Args:
        cursor: the visible one.
        end: the log's end.
        batches: what is held of the partition; where the record is not among them, its age is at least as large as
            that of the first record held.
        now_ms: milliseconds since 1970.
        known_ms: the last lag that was published: while the record is not held, the lag has only grown.
    """
    if cursor >= end:
        return 0
    for batch in batches:
        for operation in batch.operations:
            if operation.offset >= cursor:
                return max(0, now_ms - operation.timestamp_ms)
    return known_ms


def _lag_ms(
    cursor: Position, end: Position, batches: Iterable[OperationBatch], before: Progress | None, *, now_ms: int
) -> int:
    known_ms = 0 if before is None else before.lag_ms + now_ms - before.seen_ms
    held = (batch for batch in batches if batch.end > cursor)
    return lag_ms(cursor, end, held, now_ms=now_ms, known_ms=known_ms)
