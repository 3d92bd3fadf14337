"""A task as Meilisearch shows it. Pure.

What always holds: every field Meilisearch 1.50 gives is there. Who calls it: the task routes, and whatever answers 202.
It must not know: where tasks are kept.
"""

from datetime import UTC, datetime
from typing import Any

from query.http.errors import error_body
from query.task_book import Task
from query.task_status import TaskStatus
from schemas.ids import TaskUid
from schemas.tasks import TaskRecord

COUNTED = ("documentAdditionOrUpdate",)
"""Types whose details say how many documents were indexed."""


def summarise(uid: TaskUid, record: TaskRecord) -> dict[str, Any]:
    """Return what a client gets with its 202."""
    summary: dict[str, Any] = {
        "taskUid": uid,
        "indexUid": record.index,
        "status": TaskStatus.ENQUEUED,
        "type": record.type,
        "enqueuedAt": to_rfc3339(record.enqueued_ms),
    }
    if record.custom_metadata is not None:
        summary["customMetadata"] = record.custom_metadata
    return summary


def show_task(task: Task) -> dict[str, Any]:
    """Return the whole task."""
    record, outcome = task.record, task.outcome
    started_ms, ended_ms = task.started_ms, task.ended_ms
    shown: dict[str, Any] = {
        "uid": task.uid,
        "batchUid": None if started_ms is None else task.uid,
        "indexUid": record.index,
        "status": outcome.status,
        "type": record.type,
        "canceledBy": None,
        "details": _details(task),
        "error": error_body(outcome.code, outcome.message) if outcome.status is TaskStatus.FAILED else None,
        "duration": None if ended_ms is None else _duration(ended_ms - record.enqueued_ms),
        "enqueuedAt": to_rfc3339(record.enqueued_ms),
        "startedAt": None if started_ms is None else to_rfc3339(started_ms),
        "finishedAt": None if ended_ms is None else to_rfc3339(ended_ms),
    }
    if record.custom_metadata is not None:
        shown["customMetadata"] = record.custom_metadata
    return shown


def to_rfc3339(milliseconds: int) -> str:
    """Return a time of day, UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def _duration(milliseconds: int) -> str:
    """Return an ISO 8601 duration."""
    return f"PT{max(0, milliseconds) / 1000:.3f}S"


def _details(task: Task) -> dict[str, Any]:
    details = dict(task.record.details)
    if task.record.type in COUNTED:
        received = details.get("receivedDocuments", 0)
        indexed = None
        if task.outcome.status is TaskStatus.SUCCEEDED:
            indexed = received
        elif task.outcome.status is TaskStatus.FAILED:
            indexed = max(0, received - task.outcome.refused) if task.outcome.refused else 0
        details["indexedDocuments"] = indexed
    elif "deletedDocuments" in details and not task.outcome.status.is_final:
        details["deletedDocuments"] = None
    elif "deletedDocuments" in details and task.outcome.status is TaskStatus.FAILED:
        details["deletedDocuments"] = 0
    return details
