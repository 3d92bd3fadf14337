"""Batches as ``GET /batches`` shows them: the tasks that were run together.

What always holds: everything shown is told by the batch's tasks; nothing else is kept of a batch. Steps and their
times, which a real node traces, are left out. Who calls it: task routes.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from miroir.node.protocol import tasks as types
from miroir.node.protocol.instants import format_duration, format_instant
from miroir.node.protocol.tasks import STATUSES, Task

_ALONE = frozenset((types.INDEX_CREATION, types.INDEX_UPDATE, types.INDEX_SWAP, types.TASK_CANCELATION))


def view_batch(batch_uid: int, members: Sequence[Task]) -> dict[str, Any]:
    """Return a batch as an answer shows it.

    Args:
        batch_uid: its uid.
        members: its tasks, at least one, by uid rising.
    """
    started = min((task.started_ns for task in members if task.started_ns is not None), default=None)
    is_running = any(task.finished_ns is None for task in members)
    finished = None if is_running else max(task.finished_ns or 0 for task in members)
    statuses = Counter(task.status for task in members)
    return {
        "uid": batch_uid,
        "progress": {"steps": [], "percentage": 0.0} if is_running else None,
        "details": _sum_details(members),
        "stats": {
            "totalNbTasks": len(members),
            "status": {status: statuses[status] for status in STATUSES if status in statuses},
            "types": dict(sorted(Counter(task.type for task in members).items())),
            "indexUids": dict(
                sorted(Counter(task.index_uid for task in members if task.index_uid is not None).items())
            ),
            "progressTrace": {},
        },
        "duration": None if finished is None or started is None else format_duration(finished - started),
        "startedAt": None if started is None else format_instant(started),
        "finishedAt": None if finished is None else format_instant(finished),
        "batchStrategy": _strategy(members[-1]),
    }


def _sum_details(members: Sequence[Task]) -> dict[str, Any]:
    """Return what the tasks tell together: counts are added, of anything else the last one stays."""
    found: dict[str, Any] = {}
    for task in members:
        for name, value in task.details.items():
            known = found.get(name)
            if isinstance(known, int) and isinstance(value, int) and not isinstance(value, bool):
                found[name] = known + value
            elif known is None or value is not None:
                found[name] = value
    return found


def _strategy(last: Task) -> str:
    """Return why no more tasks were taken in, in the words of a real node where the last task tells it."""
    if last.type in _ALONE:
        own = f"task with id {last.uid} of type `{last.type}`"
        return f"created batch containing only {own} that cannot be batched with any other task."
    if last.type == types.TASK_DELETION:
        reason = "because they cannot be batched with tasks of any other type."
        return f"stopped after the last task of type `{last.type}` {reason}"
    if last.type == types.INDEX_DELETION:
        return f"stopped after task with id {last.uid} because it deletes the index"
    return "batched all enqueued tasks"
