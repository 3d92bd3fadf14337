"""An in-memory node that behaves as the ports of ``agents/ports.py`` say, and has faults on demand.

It passes ``tests/conformance/test_writer.py``, as a real one does.

Nothing happens by itself: tasks are registered at once and run when ``run`` is called, so that a simulation decides on
the order of everything. A task list, a disk and a clock that only rises are all there is; no randomness, no time.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from agents.node_admin import NodeKey
from agents.posts import PostPart
from agents.tail import TaskView
from schemas.document_ids import parse_id
from schemas.errors import (
    InvalidDocumentError,
    NodeForgotError,
    NodeRejectedError,
    NodeTimeoutError,
    NodeUnreachableError,
)
from schemas.ids import NodeId, NodeIndexUid, SettingsVersion
from streams.marker import MARKER_FIELD, shard_of

Document = Mapping[str, Any]

NO_NAME = NodeKey("", "", "")
"""What is known of a key that a test has given."""


@dataclass(slots=True)
class FakeIndex:
    """One index on a node's disk."""

    primary_key: str | None
    version: SettingsVersion | None = None
    documents: dict[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What a task does: documents to write, ids to delete, the markers whose documents are to go, or all of them.

    Or something to the disk, which returns an error's code or an empty text.
    """

    index: NodeIndexUid
    upserts: tuple[Document, ...] = ()
    deletes: tuple[str, ...] = ()
    markers: frozenset[str] | None = None
    is_clear: bool = False
    change: Callable[["Disk"], str] | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no other task may be in its batch."""
        return self.is_clear or self.markers is not None or self.change is not None


@dataclass(slots=True)
class Disk:
    """All that survives a crash, and nothing else."""

    keys: dict[str, NodeKey]
    indexes: dict[NodeIndexUid, FakeIndex] = field(default_factory=dict)
    tasks: list[TaskView] = field(default_factory=list)
    work: dict[int, Work] = field(default_factory=dict)
    task_next: int = 0
    batch_next: int = 0


class FakeNode:
    """One node, shared by all that talk to it.

    Attributes:
        is_down: while True every call is refused.
        is_frozen: while True every call times out; what was sent is registered by ``thaw``.
        is_full: while True it takes no new task, as one whose task database is full.
        answers_lost: so many of the next posts and drops are registered, and their answers lost.
        refused: indexes of which it takes no task, as one whose posts are larger than it takes.
        other_keys: keys it knows beside the worker's.
        poison: documents with this field fail their whole batch, as a bad ``_geo`` does where it is filterable.
    """

    def __init__(self, node: str = "fake", *, key: str = "worker") -> None:
        self.id = NodeId(node)
        self.is_down = False
        self.is_frozen = False
        self.is_full = False
        self.answers_lost = 0
        self.poison = "_poison"
        self.refused: set[NodeIndexUid] = set()
        self.other_keys: set[str] = set()
        self._disk = Disk({key: NO_NAME})
        self._held: list[tuple[Work, str]] = []
        self._ticks = 0

    # --- What a controller does ---------------------------------------------------------------------------------

    def create_index(self, uid: NodeIndexUid, primary_key: str = "id", version: SettingsVersion | None = None) -> None:
        """Make an index; one that exists is left as it is, but for its settings."""
        self._disk.indexes.setdefault(uid, FakeIndex(primary_key)).version = version

    def delete_index(self, uid: NodeIndexUid) -> None:
        """Delete an index at once; its tasks stay in the list."""
        self._disk.indexes.pop(uid, None)

    def make_key(self, key: str) -> None:
        """Make the worker's key anew: a node that joins again."""
        self._disk.keys = {key: NO_NAME}

    def prune(self, upto: int) -> None:
        """Forget every finished task up to the uid, inclusive."""
        self._disk.tasks = [task for task in self._disk.tasks if task.uid > upto or task.uid in self._disk.work]

    # --- What can be seen ----------------------------------------------------------------------------------------

    @property
    def disk(self) -> Disk:
        """All that survives a crash."""
        return self._disk

    def has_index(self, uid: NodeIndexUid) -> bool:
        """Return whether the index is there."""
        return uid in self._disk.indexes

    def documents(self, uid: NodeIndexUid) -> dict[str, Document]:
        """Return the documents of an index by id, markers and all."""
        return dict(self._disk.indexes[uid].documents)

    def is_busy(self) -> bool:
        """Return whether a task waits."""
        return bool(self._disk.work)

    # --- Faults --------------------------------------------------------------------------------------------------

    def wipe(self) -> None:
        """Give it an empty disk: no key, no index, and task uids from 0 again."""
        self._disk = Disk({})

    def copy_disk(self) -> Disk:
        """Return a copy of the disk as it is."""
        return copy.deepcopy(self._disk)

    def restore_disk(self, disk: Disk) -> None:
        """Give it a disk that was copied away."""
        self._disk = copy.deepcopy(disk)

    def thaw(self) -> Sequence[int]:
        """Go on: register what was sent while it was frozen, in order, and return the uids."""
        self.is_frozen = False
        held, self._held = self._held, []
        return [self.register(work, metadata) for work, metadata in held]

    def lose_held(self) -> None:
        """Forget what was sent while it was frozen, as its system does in the end."""
        self._held.clear()

    # --- Tasks ---------------------------------------------------------------------------------------------------

    def run(self, *, tasks_max: int | None = None, fails_with: str = "") -> Sequence[int]:
        """Run the next batch, and return the uids of its tasks; none where nothing waits.

        Args:
            tasks_max: at most so many tasks in the batch; by default as many as fit together.
            fails_with: an error code with which the whole batch fails.
        """
        waiting = [task for task in self._disk.tasks if task.uid in self._disk.work]
        batch: list[TaskView] = []
        for task in waiting:
            if batch and not (self._fits(batch[0], task) and len(batch) != tasks_max):
                break
            batch.append(task)
        if batch:
            number, self._disk.batch_next = self._disk.batch_next, self._disk.batch_next + 1
            self._finish(batch, number, fails_with)
        return [task.uid for task in batch]

    def run_all(self) -> None:
        """Run batches until nothing waits."""
        while self.run():
            pass

    def _fits(self, first: TaskView, task: TaskView) -> bool:
        """Return whether the task may be in the batch: documents of one index; a drop, of some or all, is alone."""
        one, other = (self._disk.work[each.uid] for each in (first, task))
        return one.index == other.index and not one.is_alone and not other.is_alone

    def _finish(self, batch: Sequence[TaskView], number: int, fails_with: str) -> None:
        """Run the tasks together: one that fails by itself leaves the others alone, a poisoned one does not."""
        index = self._disk.indexes.get(self._disk.work[batch[0].uid].index)
        documents = dict(index.documents) if index is not None else {}
        errors = {}
        indexes = {}
        for task in batch:
            work = self._disk.work.pop(task.uid)
            indexes[task.uid] = work.index
            if work.change is not None:
                code = fails_with or work.change(self._disk)
            else:
                code = self._apply(index, documents, work)
            if code == "invalid_document_geo_field":
                fails_with = fails_with or code
            errors[task.uid] = code
        if index is not None and not fails_with:
            index.documents = documents
        for task in batch:
            code = errors[task.uid] if errors[task.uid] == "index_not_found" else fails_with or errors[task.uid]
            done = task._replace(status="failed" if code else "succeeded", batch=number, error_code=code)
            self._replace(done._replace(error_message=f"{indexes[task.uid]}: {code}" if code else ""))

    def _apply(self, index: FakeIndex | None, documents: dict[str, Document], work: Work) -> str:
        """Do one task's work on the documents; return its error code, or an empty text."""
        if index is None:
            return "index_not_found"
        if work.is_clear:
            documents.clear()
            return ""
        if work.markers is not None:
            for key in [key for key, document in documents.items() if document.get(MARKER_FIELD) in work.markers]:
                del documents[key]
            return ""
        if index.primary_key is None and work.upserts:
            # It infers a name that ends in "id"; of the documents here that is the only one.
            index.primary_key = "id"
        try:
            upserts = {parse_id(document[index.primary_key or "id"]): document for document in work.upserts}
        except KeyError:
            return "missing_document_id"
        except InvalidDocumentError:
            return "invalid_document_id"
        if any(self.poison in document for document in work.upserts):
            return "invalid_document_geo_field"
        documents.update(upserts)
        for key in work.deletes:
            documents.pop(key, None)
        return ""

    def _replace(self, task: TaskView) -> None:
        at = next(at for at, known in enumerate(self._disk.tasks) if known.uid == task.uid)
        self._disk.tasks[at] = task

    def register(self, work: Work, metadata: str) -> int:
        """Put a task into the list, whatever else may be wrong, and return its uid."""
        uid, self._disk.task_next = self._disk.task_next, self._disk.task_next + 1
        self._ticks += 1  # of the node, not of the disk: no two lives have a task of the same instant
        self._disk.tasks.append(TaskView(uid, work.index, "enqueued", f"tick-{self._ticks:09}", metadata, None, "", ""))
        self._disk.work[uid] = work
        return uid

    # --- What a writer asks --------------------------------------------------------------------------------------

    def take(self, key: str, action: str, work: Work, metadata: str) -> int:
        """Register a task, or raise as a node's client does."""
        if self.is_frozen:
            # Authentication, too, happens after it has woken up.
            self._held += [(work, metadata)] if key in self._disk.keys else []
        self.check(key, action)
        return self.enqueue(action, work, metadata)

    def enqueue(self, action: str, work: Work, metadata: str = "") -> int:
        """Register a task of somebody who may, or raise where it is full or the answer is lost."""
        if self.is_full:
            raise NodeRejectedError(self.id, action, status=422, code="no_space_left_on_device", detail="full")
        if work.index in self.refused:
            raise NodeRejectedError(self.id, action, status=413, code="payload_too_large", detail=str(work.index))
        uid = self.register(work, metadata)
        if self.answers_lost:
            self.answers_lost -= 1
            raise NodeTimeoutError(self.id, action, "the answer was lost")
        return uid

    def check(self, key: str, action: str) -> None:
        """Raise where it does not answer, or does not know the key."""
        self.require_there(action)
        if key not in self._disk.keys and key not in self.other_keys:
            raise NodeForgotError(self.id, action, "The provided API key is invalid.")

    def require_there(self, action: str) -> None:
        """Raise where it does not answer."""
        if self.is_down:
            raise NodeUnreachableError(self.id, action, "connection refused")
        if self.is_frozen:
            raise NodeTimeoutError(self.id, action, "no answer")

    def list_tasks(self, uid: int) -> Sequence[TaskView]:
        """Return every task from the uid on, inclusive."""
        return [task for task in self._disk.tasks if task.uid >= uid]

    def version(self, index: NodeIndexUid) -> SettingsVersion | None:
        """Return the version of an index's settings, or None."""
        found = self._disk.indexes.get(index)
        return None if found is None else found.version


class FakeNodeWriter:
    """``NodeWriter`` to a ``FakeNode``."""

    def __init__(self, node: FakeNode, key: str = "worker") -> None:
        self._node = node
        self._key = key

    async def post(self, index: NodeIndexUid, part: PostPart) -> int:
        """Send one part; see ``NodeWriter``."""
        if part.is_delete:
            work = Work(index, deletes=tuple(map(str, orjson.loads(part.body))))
        else:
            work = Work(index, upserts=tuple(orjson.loads(line) for line in part.body.split(b"\n") if line))
        return self._node.take(self._key, "post", work, part.metadata)

    async def drop(self, index: NodeIndexUid, condition: str, metadata: str) -> int:
        """Delete by filter; see ``NodeWriter``. Only filters on the marker are understood."""
        markers = frozenset(character for character in condition if shard_of(character) is not None)
        return self._node.take(self._key, "drop", Work(index, markers=markers), metadata)

    async def clear(self, index: NodeIndexUid, metadata: str) -> int:
        """Delete everything; see ``NodeWriter``."""
        return self._node.take(self._key, "clear", Work(index, is_clear=True), metadata)

    async def tasks_from(self, uid: int) -> Sequence[TaskView]:
        """Return all tasks from ``uid`` on; see ``NodeWriter``."""
        self._node.check(self._key, "list tasks")
        return self._node.list_tasks(uid)

    async def settings_version(self, index: NodeIndexUid) -> SettingsVersion | None:
        """Return the settings version; see ``NodeWriter``."""
        self._node.check(self._key, "settings")
        return self._node.version(index)

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[Document]:
        """Return these documents; see ``NodeWriter``."""
        self._node.check(self._key, "documents")
        if not self._node.has_index(index):
            raise NodeRejectedError(self._node.id, "documents", status=404, code="index_not_found", detail=str(index))
        held = self._node.documents(index)
        return [held[each] for each in ids if each in held]

    async def accepts(self, key: str) -> bool:
        """Return whether the node knows the key; see ``NodeWriter``."""
        try:
            self._node.check(key, "version")
        except NodeForgotError:
            return False
        return True

    async def close(self) -> None:
        """Leave. Safe to call twice."""
