"""The cursor of a replica: a fold over its node's own task list. Nothing else stores progress.

A post names in its task's ``customMetadata`` what it contains: the range of positions of every shard in it, and which
part of how many it is. Folding a node's tasks in uid order from position 0 gives, for each shard, the next position
that the node needs:

====================================================================== ===============================
the task did not succeed                                               nothing
it completes its post (all parts succeeded, no other task of the shard ``w := to``, *assigned*, even
between), and the range begins at or below ``w``                       when that is a step back
any other succeeded task of the shard                                  ``w := min(w, to)``
a drop of the shard                                                    ``w := 0``, of the drop's attempt
a drop of all, for a shard that it does not name                       ``w := 0``
====================================================================== ===============================

What always holds: the node's documents of the shard, plus the log from ``w`` on, give the truth. A step back is no
error: a late post of a former owner has put older values back, and the records after it must be applied once more.
Taking the maximum instead loses documents. Who calls it: the tail of a node. It must not know: HTTP, Kafka, or what a
document is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from schemas.ids import Attempt, Incarnation, Position, ShardId
from schemas.posts import Checkpoint, Drop, Post, PostMetadata

BEGINNING = Position(0)

NO_ATTEMPT = Attempt(-1)
"""The attempt of a shard that was never placed on the node."""


class TaskState(Enum):
    """What the node says of a task."""

    WAITING = auto()
    """Enqueued or processing."""
    SUCCEEDED = auto()
    FAILED = auto()
    """Failed or cancelled."""


class NodeTask(NamedTuple):
    """One task of a node, as far as the fold needs it."""

    uid: int
    state: TaskState
    metadata: PostMetadata


class TornPost(NamedTuple):
    """A post of which some parts have succeeded: only its part ``part_next`` continues it."""

    post: str
    part_next: int


@dataclass(frozen=True, slots=True)
class ShardCursor:
    """Where one shard on one node stands.

    Attributes:
        cursor: the next position needed, exclusive of what the node has.
        attempt: the placement that the last drop began.
        torn: the post that waits for its other parts.
        whole_ms: no delete that the node lacks was written before this time; 0 where none is known. It rises with a
            completed post that knows a later one, and with a drop, after which nothing is lacking.
    """

    cursor: Position = BEGINNING
    attempt: Attempt = NO_ATTEMPT
    torn: TornPost | None = None
    whole_ms: int = 0


UNTOUCHED = ShardCursor()

IndexCursors = Mapping[ShardId, ShardCursor]
"""Every shard of one index incarnation that a node's tasks ever named; others are ``UNTOUCHED``."""


def fold_tasks(cursors: IndexCursors, tasks: Iterable[NodeTask]) -> IndexCursors:
    """Return the cursors after ``tasks``: of one node and one index incarnation, by uid, each finished.

    A checkpoint changes nothing here: whoever folds on has folded what it includes. ``start_from_checkpoint`` is for
    whoever begins.
    """
    folded = dict(cursors)
    for task in tasks:
        if task.state is not TaskState.SUCCEEDED:
            continue
        match task.metadata:
            case Post() as post:
                for shard in post.ranges:
                    folded[shard] = _fold_part(folded.get(shard, UNTOUCHED), post, shard)
            case Drop(attempts=attempts, is_whole=is_whole, at_ms=at_ms):
                if is_whole:
                    # Whoever sent it may not have known of every shard; their owners find them empty, as they are.
                    folded = {s: ShardCursor(BEGINNING, at.attempt, whole_ms=at_ms) for s, at in folded.items()}
                for shard, attempt in attempts.items():
                    folded[shard] = ShardCursor(BEGINNING, attempt, whole_ms=at_ms)
            case Checkpoint():
                pass
    return folded


def fold_accepted(visible: IndexCursors, pending: Iterable[NodeTask]) -> IndexCursors:
    """Return where the cursors will stand if every task that still waits succeeds: where the writer continues."""
    return fold_tasks(
        visible,
        (task._replace(state=TaskState.SUCCEEDED) if task.state is TaskState.WAITING else task for task in pending),
    )


def start_from_checkpoint(incarnation: Incarnation, tasks: Iterable[NodeTask]) -> tuple[IndexCursors, int]:
    """Return the cursors of the succeeded checkpoint that includes most, and the last uid in it; else none and -1.

    Not of the last one: a controller that was frozen posts late what it planned before another one took over, and the
    tasks between its checkpoint and the other's are deleted by then. Nor of one that includes tasks as late as itself:
    it was planned on another disk than the one that it is on. Tasks between the uid returned and the checkpoint's own
    are not in it: fold from the uid after the one returned.
    """
    cursors: IndexCursors = {}
    upto = -1
    for task in tasks:
        checkpoint = task.metadata
        if (
            isinstance(checkpoint, Checkpoint)
            and checkpoint.incarnation == incarnation
            and task.state is TaskState.SUCCEEDED
            and upto < checkpoint.upto < task.uid
        ):
            cursors = {
                shard: ShardCursor(at.cursor, at.attempt, whole_ms=at.whole_ms)
                for shard, at in checkpoint.cursors.items()
            }
            upto = checkpoint.upto
    return cursors, upto


def _fold_part(at: ShardCursor, post: Post, shard: ShardId) -> ShardCursor:
    """Return where the shard is after one succeeded part of a post that holds positions of it."""
    start, end = post.ranges[shard]
    at_most = min(at.cursor, end)
    continues = post.part == 0 or at.torn == TornPost(post.post, post.part)
    if not continues:
        return ShardCursor(at_most, at.attempt, None, at.whole_ms)
    if post.part + 1 < post.parts:
        return ShardCursor(at_most, at.attempt, TornPost(post.post, post.part + 1), at.whole_ms)
    if start > at.cursor:
        return ShardCursor(at_most, at.attempt, None, at.whole_ms)
    return ShardCursor(end, at.attempt, None, max(at.whole_ms, post.marks.get(shard, 0)))
