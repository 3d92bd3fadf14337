"""Which finished tasks a node may forget, and the checkpoints that must stand on it before.

A node keeps every task until it is told otherwise, and refuses new ones when its task list is full. The cursors of its
replicas are a fold over that list; so a checkpoint, a task that carries what the fold gave up to some uid, is written
first, and what it includes is deleted only once it has succeeded.

What always holds: the fold over what is left, with the checkpoint, gives the same cursors as the fold over the whole,
or, where a post of several parts is cut in two, an earlier one. Who calls it: the keeper of a node; nobody else prunes.
It must not know: HTTP, or time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agents.tail import TaskView, start_tail
from schemas.ids import Incarnation, NodeIndexUid
from schemas.posts import Checkpoint, CheckpointCursor

TASKS_MAX = 20_000
"""So many tasks start a pruning: read in seconds, some 10 MB of metadata, far from the node's own bounds."""

TASKS_KEPT = 2_000
"""The newest ones always stay: a worker that reads on finds the task where it stopped, or takes it for another disk."""

_FINISHED = frozenset({"succeeded", "failed", "canceled"})


class Pruning(NamedTuple):
    """What may go once the checkpoint has succeeded; at once where there is none.

    Attributes:
        uid: where the checkpoint is written; None for tasks that no cursor depends on.
        checkpoint: None where no cursor depends on the tasks.
        tasks: uids, rising; all finished.
    """

    uid: NodeIndexUid | None
    checkpoint: Checkpoint | None
    tasks: tuple[int, ...]


def plan_pruning(
    tasks: Sequence[TaskView], indexes: Mapping[NodeIndexUid, Incarnation], *, kept: int = TASKS_KEPT
) -> tuple[Pruning, ...]:
    """Return what may be forgotten of a node's whole task list.

    Args:
        tasks: all of them, by uid.
        indexes: those placed on the node. Tasks of any other are of the past: nobody asks for its cursors.
        kept: how many of the newest stay.
    """
    old = tasks[: max(0, len(tasks) - kept)]
    tail = start_tail(old)
    prunings = []
    for uid, incarnation in indexes.items():
        index = tail.index(incarnation)
        # Up to the first that waits; one that waits is not in the fold yet.
        upto = index.pending[0].uid - 1 if index.pending else (old[-1].uid if old else -1)
        cursors = {shard: CheckpointCursor(at.cursor, at.attempt, at.whole_ms) for shard, at in index.visible.items()}
        gone = tuple(task.uid for task in old if task.index_uid == uid and task.uid <= upto and _is_finished(task))
        if gone:
            prunings.append(Pruning(uid, Checkpoint(incarnation, upto, cursors) if cursors else None, gone))
    free = tuple(task.uid for task in old if task.index_uid not in indexes and _is_finished(task))
    return (*prunings, Pruning(None, None, free)) if free else tuple(prunings)


def _is_finished(task: TaskView) -> bool:
    return task.status in _FINISHED
