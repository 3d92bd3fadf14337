"""Keeps a node's task list short: checkpoints first, then the deletion of what is in them.

What always holds: nothing is deleted before the node says that the checkpoint which includes it has succeeded; what is
remembered in between may be forgotten at any time, then the next look plans anew. An index with more shards on the node
than a checkpoint can carry keeps its tasks. Who calls it: the node's keeper, when the node is otherwise as it should
be. It must not know: what may go (``agents/checkpoint.py``).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

from agents.checkpoint import TASKS_MAX, Pruning, plan_pruning
from agents.node_admin import NodeAdmin, TaskEnd, fits_address
from schemas.errors import NodeRejectedError
from schemas.events import IndexRecord
from schemas.ids import NodeId, NodeIndexUid, TaskUid
from schemas.posts import build_metadata

LOOK_S = 60.0
"""Between two looks at how many tasks a node keeps: at a hundred posts a second it gets 6,000 in this time."""

LOOK_SKIPPED_S = 600.0
"""The same where an index's tasks cannot be pruned: the list grows on, and each look reads the whole of it."""

KEPT_PART = 10
"""One in so many of the allowed tasks, the newest, always stays."""

TASK_NOT_FOUND = "task_not_found"

_log = logging.getLogger(__name__)


class TaskPruner:
    """One node's pruner.

    Args:
        node: its id, for the log.
        admin: the way to it; the keeper's.
        require_lead: raises where the indexes given may be of the past: tasks of one that was placed since would be
            taken for nobody's.
        clock: monotonic seconds.
        tasks_max: how many tasks the node may keep.
    """

    def __init__(
        self,
        node: NodeId,
        admin: NodeAdmin,
        *,
        require_lead: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        tasks_max: int = TASKS_MAX,
    ) -> None:
        self._node = node
        self._admin = admin
        self._require_lead = require_lead
        self._clock = clock
        self._tasks_max = tasks_max
        self._said: set[NodeIndexUid] = set()
        self.forget()

    def forget(self) -> None:
        """Believe nothing of what was written: the node may come back with another disk."""
        self._written: list[tuple[Pruning, TaskUid]] = []
        self._look_s = self._clock()

    @property
    def is_waiting(self) -> bool:
        """Whether a checkpoint was written that has not been seen finished."""
        return bool(self._written)

    async def prune(self, indexes: Mapping[NodeIndexUid, IndexRecord]) -> None:
        """Take the next step there is: delete behind a checkpoint that succeeded, or look whether one is needed.

        Raises:
            NodeError: the node did not answer, or refused.
            LogError: another controller leads, or that cannot be asked.
        """
        if self._written:
            await self._finish()
        elif self._clock() >= self._look_s:
            self._look_s = self._clock() + LOOK_S
            if await self._admin.fetch_task_count() > self._tasks_max:
                await self._write(indexes)

    async def _write(self, indexes: Mapping[NodeIndexUid, IndexRecord]) -> None:
        tasks = await self._admin.fetch_tasks()
        incarnations = {uid: index.incarnation for uid, index in indexes.items()}
        await self._require_lead()
        for pruning in plan_pruning(tasks, incarnations, kept=self._tasks_max // KEPT_PART):
            if pruning.uid is None or pruning.checkpoint is None:
                await self._delete(pruning)
            else:
                await self._write_checkpoint(pruning, pruning.uid, build_metadata(pruning.checkpoint))

    async def _write_checkpoint(self, pruning: Pruning, uid: NodeIndexUid, metadata: str) -> None:
        if fits_address(metadata):
            self._written.append((pruning, await self._admin.post_checkpoint(uid, metadata)))
            return
        self._look_s = self._clock() + LOOK_SKIPPED_S
        if uid not in self._said:
            self._said.add(uid)
            text = "finished tasks stay: an index has more shards on a node than a checkpoint can carry; add nodes"
            _log.warning(text, extra={"node": self._node, "index": uid, "tasks": len(pruning.tasks)})

    async def _finish(self) -> None:
        for each in tuple(self._written):
            pruning, task = each
            end = await fetch_task_end(self._admin, task)
            if not end.finished:
                continue
            self._written.remove(each)
            if not end.code:
                await self._delete(pruning)

    async def _delete(self, pruning: Pruning) -> None:
        await self._admin.delete_tasks(pruning.tasks)
        _log.info(
            "finished tasks are deleted",
            extra={"node": self._node, "index": pruning.uid, "tasks": len(pruning.tasks)},
        )


async def fetch_task_end(admin: NodeAdmin, task: TaskUid) -> TaskEnd:
    """Return how a task stands; one that the node does not know will not go on: another disk's, or pruned."""
    try:
        return await admin.fetch_task(task)
    except NodeRejectedError as error:
        if error.code != TASK_NOT_FOUND:
            raise
        return TaskEnd(finished=True, code=error.code, message=error.message)
