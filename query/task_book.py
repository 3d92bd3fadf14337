"""The tasks of the HTTP API, newest kept, with their outcomes.

One object, changed in place: there may be many tasks, and most never change again. What always holds: tasks of one
index finish in order, since a later one is only looked at when those before it are final; a final outcome stays. Tasks
beyond ``KEPT_MAX`` push out the oldest. Who calls it: the views fold and settle it, the task routes read it. It must
not know: how a status is derived, or HTTP.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from query.task_status import WAITING, Outcome, TaskStatus
from schemas.ids import IndexUid, TaskUid
from schemas.tasks import TaskRecord, parse_task
from streams.log import LogBatch

KEPT_MAX = 20_000
"""About 20 MB; older tasks answer 404, as pruned ones do in Meilisearch."""


@dataclass(slots=True)
class Task:
    """One task: what was asked for, and where it stands.

    Attributes:
        finished_ms: when the outcome became final, as this process knows it; 0 before.
    """

    uid: TaskUid
    record: TaskRecord
    outcome: Outcome = WAITING
    finished_ms: int = 0

    @property
    def started_ms(self) -> int | None:
        """When it began: nothing is known of when a copy did, so that is when it was enqueued."""
        return None if self.outcome.status is TaskStatus.ENQUEUED else self.record.enqueued_ms

    @property
    def ended_ms(self) -> int | None:
        """When its outcome became final, or None before."""
        return self.finished_ms if self.outcome.status.is_final else None


class TaskBook:
    """The tasks by uid, and for each index those that are not final yet, in order."""

    def __init__(self) -> None:
        self._tasks: dict[TaskUid, Task] = {}
        self._pending: dict[IndexUid | None, deque[TaskUid]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, uid: TaskUid) -> Task | None:
        """Return the task, or None where it is not known, or not any more."""
        return self._tasks.get(uid)

    def newest_first(self) -> Iterator[Task]:
        """Yield the tasks by falling uid."""
        return reversed(self._tasks.values())

    def oldest_first(self) -> Iterator[Task]:
        """Yield the tasks by rising uid."""
        return iter(self._tasks.values())

    def fold(self, batches: Iterable[LogBatch]) -> None:
        """Take in what these batches of the tasks topic hold.

        Raises:
            InvalidInputError: a value is not of its form.
        """
        for batch in batches:
            for record in batch.records:
                if record.value is not None:
                    self._add(TaskUid(record.offset), parse_task(record.value))

    def settle(self, derive: Callable[[TaskRecord], Outcome], now_ms: int) -> bool:
        """Look at what may have become final; return whether anything has.

        Costs one derivation an index with pending tasks, and one for each task that has become final.
        """
        settled = False
        for index, uids in list(self._pending.items()):
            while uids and self._settle_one(uids[0], derive, now_ms):
                uids.popleft()
                settled = True
            if not uids:
                del self._pending[index]
        return settled

    def _settle_one(self, uid: TaskUid, derive: Callable[[TaskRecord], Outcome], now_ms: int) -> bool:
        task = self._tasks.get(uid)
        if task is None:
            return True
        task.outcome = derive(task.record)
        if not task.outcome.status.is_final:
            return False
        task.finished_ms = max(task.record.enqueued_ms, min(task.outcome.seen_ms or now_ms, now_ms))
        return True

    def _add(self, uid: TaskUid, record: TaskRecord) -> None:
        if uid in self._tasks:
            return
        self._tasks[uid] = Task(uid, record)
        self._pending.setdefault(record.index, deque()).append(uid)
        while len(self._tasks) > KEPT_MAX:
            del self._tasks[next(iter(self._tasks))]
