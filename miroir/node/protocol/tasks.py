"""A task of the node's queue, and how it is shown.

What always holds: a task's uid is larger than those of all tasks accepted before it. Who calls it: queue, routes,
indexer.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from miroir.node.protocol.instants import format_duration, format_instant

DOCUMENTS = "documentAdditionOrUpdate"
DOCUMENT_DELETION = "documentDeletion"
SETTINGS = "settingsUpdate"
INDEX_CREATION = "indexCreation"
INDEX_UPDATE = "indexUpdate"
INDEX_DELETION = "indexDeletion"
INDEX_SWAP = "indexSwap"
TASK_CANCELATION = "taskCancelation"
TASK_DELETION = "taskDeletion"

TYPES = (
    DOCUMENTS,
    "documentEdition",
    DOCUMENT_DELETION,
    SETTINGS,
    INDEX_CREATION,
    INDEX_DELETION,
    INDEX_UPDATE,
    INDEX_SWAP,
    TASK_CANCELATION,
    TASK_DELETION,
    "dumpCreation",
    "snapshotCreation",
    "export",
    "upgradeDatabase",
    "indexCompaction",
    "networkTopologyChange",
    "dsrUpdate",
    "dsrClear",
)
STATUSES = ("enqueued", "processing", "succeeded", "failed", "canceled")


class Work(NamedTuple):
    """What a task asks for, apart from its payload.

    Attributes:
        kind: the operation: one of ``replace``, ``update``, ``delete_ids``, ``delete_filter``, ``clear``, ``settings``,
            ``create_index``, ``update_index``, ``delete_index``, ``swap``, ``cancel``, ``prune``.
        options: what the operation needs to know (primary key, changes, filter …), as JSON.
    """

    kind: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One task as the queue keeps it.

    Attributes:
        started_ns: None before it ran.
        details: what the answer shows under ``details``.
        error: Meilisearch's error object, or None.
    """

    uid: int
    index_uid: str | None
    type: str
    status: str
    enqueued_ns: int
    work: Work
    details: dict[str, Any]
    batch_uid: int | None = None
    error: dict[str, Any] | None = None
    canceled_by: int | None = None
    started_ns: int | None = None
    finished_ns: int | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task ended.

    Attributes:
        details: laid over the task's own details.
    """

    uid: int
    error: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)


def view_task(task: Task) -> dict[str, Any]:
    """Return a task as ``GET /tasks`` shows it."""
    duration = None
    if task.started_ns is not None and task.finished_ns is not None:
        duration = format_duration(task.finished_ns - task.started_ns)
    shown = {
        "uid": task.uid,
        "batchUid": task.batch_uid,
        "indexUid": task.index_uid,
        "status": task.status,
        "type": task.type,
        "canceledBy": task.canceled_by,
        "details": task.details,
        "error": task.error,
        "duration": duration,
        "enqueuedAt": format_instant(task.enqueued_ns),
        "startedAt": None if task.started_ns is None else format_instant(task.started_ns),
        "finishedAt": None if task.finished_ns is None else format_instant(task.finished_ns),
    }
    if task.metadata is not None:
        shown["customMetadata"] = task.metadata
    return shown


def view_summary(task: Task) -> dict[str, Any]:
    """Return the body of the 202 that accepts a task."""
    shown = {
        "taskUid": task.uid,
        "indexUid": task.index_uid,
        "status": "enqueued",
        "type": task.type,
        "enqueuedAt": format_instant(task.enqueued_ns),
    }
    if task.metadata is not None:
        shown["customMetadata"] = task.metadata
    return shown
