"""The status of a client's task: derived from answers, progress and dead letters, never stored.

====================================== ==============================================================
the task's request has no answer yet   enqueued
its request was refused                failed, with the answer's code and message
a copy has not got so far yet          processing
its records are in the dead topic      failed, once visible, with the first one's reason
else                                   succeeded
====================================== ==============================================================

"So far" means: for documents, that every readable copy of the partition shows the end of the range; for settings and a
new index, that every readable copy's node has the settings' version. At least one copy a shard must say so. What always
holds: a finished status never changes while the task's records stay where they are. Who calls it: the task book. It
must not know: HTTP, or which task comes first.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from query.dead_letters import DeadLetters
from schemas.events import IndexRecord
from schemas.ids import NodeId, Offset, ShardId
from schemas.progress import Progress
from schemas.tasks import TaskRecord
from streams.readable import LAG_RECORDS_MAX, ProgressView, readable_replicas
from streams.topology import Topology


class TaskStatus(StrEnum):
    """Meilisearch's words."""

    ENQUEUED = "enqueued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether it never changes again."""
        return self in (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a task stands.

    Attributes:
        code: Meilisearch's error code; empty where it has not failed.
        message: the error's text.
        refused: how many of its records are dead letters.
        seen_ms: when the last copy that it waited for was seen to have it; 0 where none was waited for.
    """

    status: TaskStatus
    code: str = ""
    message: str = ""
    refused: int = 0
    seen_ms: int = 0


@dataclass(frozen=True, slots=True)
class StatusView:
    """What statuses are derived from.

    Attributes:
        away: nodes that this process cannot reach; a copy there is waited for only where there is no other.
    """

    topology: Topology
    progress: ProgressView
    dead: DeadLetters
    away: Collection[NodeId] = field(default_factory=frozenset)
    lag_records_max: int = LAG_RECORDS_MAX


WAITING = Outcome(TaskStatus.ENQUEUED)
RUNNING = Outcome(TaskStatus.PROCESSING)


def derive_outcome(task: TaskRecord, view: StatusView) -> Outcome:
    """Return where the task stands."""
    if task.error_code:
        return Outcome(TaskStatus.FAILED, task.error_code, task.error_message)
    if task.request is not None and (refusal := _answer(task.request, view.topology)) is not None:
        return refusal
    index = None if task.index is None else view.topology.indexes.get(task.index)
    if index is None or _is_of_earlier(task, index):
        # The index is gone, or another has its name: whatever the task did went with it.
        return Outcome(TaskStatus.SUCCEEDED)
    if task.type == "indexDeletion":
        # Accepted, and the removal of the index is the next thing to be read.
        return RUNNING
    if task.request is not None:
        # An accepted request that had nothing to change has made no version.
        made = task.request <= index.settings_version
        return _versions(task.request, index, view) if made else Outcome(TaskStatus.SUCCEEDED)
    return _documents(task, index, view)


def _is_of_earlier(task: TaskRecord, index: IndexRecord) -> bool:
    """Return whether the task was for an earlier index of this name.

    An index's incarnation is the offset of the request that made it; what a request was for follows from its own
    offset, whatever of the log had been read by whoever wrote the task.
    """
    if task.request is not None:
        return index.incarnation > task.request
    return task.incarnation is not None and index.incarnation != task.incarnation


def _answer(request: Offset, topology: Topology) -> Outcome | None:
    """Return the outcome where the request waits or was refused; None where it was accepted.

    Answers are forgotten some time after they were given: what the controller has passed, and refused, long ago counts
    as accepted.
    """
    answer = topology.answer(request)
    if answer is None:
        return WAITING if request >= topology.requests_cursor else None
    return None if answer.accepted else Outcome(TaskStatus.FAILED, answer.code, answer.message)


def _versions(version: int, index: IndexRecord, view: StatusView) -> Outcome:
    if index.primary_key is None:
        # Nothing is applied to it yet, so nobody reports on it; its settings come before its first document.
        return Outcome(TaskStatus.SUCCEEDED)
    seen_ms = 0
    for shard in map(ShardId, range(index.shards)):
        if not view.topology.replicas_of(index.uid, shard):
            continue
        waited = _waited(index, shard, view)
        if not waited or any(copy.settings_version < version for copy in waited.values()):
            return RUNNING
        seen_ms = max(seen_ms, *(copy.seen_ms for copy in waited.values()))
    return Outcome(TaskStatus.SUCCEEDED, seen_ms=seen_ms)


def _documents(task: TaskRecord, index: IndexRecord, view: StatusView) -> Outcome:
    seen_ms = 0
    for partition, (_, end) in task.ranges.items():
        waited = _waited(index, ShardId(partition), view)
        if not waited or any(copy.cursor < end for copy in waited.values()):
            return RUNNING
        seen_ms = max(seen_ms, *(copy.seen_ms for copy in waited.values()))
    # A deletion has no record that could be refused; what lies between the records of a post is somebody else's.
    pieces = {partition: task.pieces.get(partition, (whole,)) for partition, whole in task.ranges.items()}
    found = None if task.type == "documentDeletion" else view.dead.within(index, pieces)
    if found is None:
        return Outcome(TaskStatus.SUCCEEDED, seen_ms=seen_ms)
    letter = found.first
    code = ERROR_CODES.get(letter.reason, "invalid_document_fields")
    return Outcome(TaskStatus.FAILED, code, letter.message, found.count, seen_ms)


def _waited(index: IndexRecord, shard: ShardId, view: StatusView) -> Mapping[NodeId, Progress]:
    """Return the copies that must have it: the readable ones, of nodes that can be reached if there are such."""
    nodes = readable_replicas(view.topology, view.progress, index, shard, lag_records_max=view.lag_records_max)
    present = [node for node in nodes if node not in view.away] or nodes
    found = {replica.node: view.progress.of(replica) for replica in view.topology.replicas_of(index.uid, shard)}
    return {node: copy for node, copy in found.items() if node in present and copy is not None}


ERROR_CODES: Mapping[str, str] = {
    "invalid_id": "invalid_document_id",
    "id_disagrees": "invalid_document_id",
    "invalid_geo": "invalid_document_geo_field",
    "not_json": "malformed_payload",
    "not_an_object": "malformed_payload",
}
"""Reasons of dead letters as Meilisearch's error codes."""
