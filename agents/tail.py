"""The tail of a node: its task list, folded as it grows, into where every shard on it stands.

Two views of one fold: *visible* counts finished tasks only; *accepted* counts waiting ones as succeeded, and is where a
writer continues. Whatever happens (a failed task, an ambiguous answer, a late post of a former owner, a wiped or an
older disk), it shows here, and the writer goes on from here. Nothing else is remembered about a node.

What always holds: each page begins with a task that was seen before, unless nothing was, and ends at the list's end.
Where that first task is missing or another one, where any waits though it had finished, or a newer one is missing that
was known when the page was asked for, the node has another disk, and everything is forgotten. Who calls it: the worker,
once a node. It must not know: HTTP, or the log.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from schemas.ids import Incarnation, ShardId, parse_node_index_uid
from schemas.posts import Post, parse_metadata
from streams.cursor import (
    UNTOUCHED,
    IndexCursors,
    NodeTask,
    ShardCursor,
    TaskState,
    fold_accepted,
    fold_tasks,
    start_from_checkpoint,
)

_STATES: Mapping[str, TaskState] = {
    "enqueued": TaskState.WAITING,
    "processing": TaskState.WAITING,
    "succeeded": TaskState.SUCCEEDED,
    "failed": TaskState.FAILED,
    "canceled": TaskState.FAILED,
}


class TaskView(NamedTuple):
    """One task as the node tells it."""

    uid: int
    index_uid: str | None
    status: str
    enqueued_at: str
    metadata: str | None
    batch: int | None
    error_code: str
    error_message: str


def parse_task_view(task: Mapping[str, Any]) -> TaskView:
    """Return a task as the node lists it (https://www.meilisearch.com/docs/reference/api/tasks).

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it is none: some other server has answered.
    """
    error = task.get("error") or {}
    metadata, index_uid, batch = task.get("customMetadata"), task["indexUid"], task.get("batchUid")
    return TaskView(
        uid=int(task["uid"]),
        index_uid=None if index_uid is None else str(index_uid),
        status=str(task["status"]),
        enqueued_at=str(task["enqueuedAt"]),
        metadata=None if metadata is None else str(metadata),
        batch=None if batch is None else int(batch),
        error_code=str(error.get("code", "")),
        error_message=str(error.get("message", "")),
    )


class FailedTask(NamedTuple):
    """A task of ours that did not succeed; ``is_alone`` says that no other task was in its batch."""

    task: NodeTask
    error_code: str
    error_message: str
    is_alone: bool


class Seen(NamedTuple):
    """What tells one task from another of the same uid: a node that has lost its disk counts from 0 again."""

    uid: int
    enqueued_at: str


@dataclass(frozen=True, slots=True)
class IndexTail:
    """One index incarnation on the node.

    Attributes:
        visible: cursors after every task before the first that waits.
        folded: uid of the last task that ``visible`` includes, or -1.
        pending: our tasks after it, by uid; the first one waits.
    """

    visible: IndexCursors = field(default_factory=dict)
    folded: int = -1
    pending: tuple[NodeTask, ...] = ()

    def accepted(self) -> IndexCursors:
        """Return where the cursors will stand if all that waits succeeds."""
        return fold_accepted(self.visible, self.pending)

    def is_waiting(self) -> bool:
        """Return whether any task has not finished."""
        return bool(self.pending)

    def is_waiting_for(self, post: str) -> bool:
        """Return whether any task of the post with this id has not finished."""
        waiting = (task.metadata for task in self.pending if task.state is TaskState.WAITING)
        return any(isinstance(each, Post) and each.post == post for each in waiting)

    def posts_ahead(self, prefix: str) -> int:
        """Return how many posts, of those whose ids begin so, have tasks that have not finished."""
        waiting = (task.metadata for task in self.pending if task.state is TaskState.WAITING)
        return len({post.post for post in waiting if isinstance(post, Post) and post.post.startswith(prefix)})


NO_TASKS = IndexTail()


@dataclass(frozen=True, slots=True)
class NodeTail:
    """All that is known of a node's task list.

    Attributes:
        is_whole: whether it was ever read to its end.
        last: the last task seen.
        oldest: the first task that still waits, to be read again; ``last`` where none does.
    """

    is_whole: bool = False
    last: Seen | None = None
    oldest: Seen | None = None
    indexes: Mapping[Incarnation, IndexTail] = field(default_factory=dict)

    def index(self, incarnation: Incarnation) -> IndexTail:
        """Return what is known of an index; nothing, where no task named it."""
        return self.indexes.get(incarnation, NO_TASKS)

    def visible(self, incarnation: Incarnation, shard: ShardId) -> ShardCursor:
        """Return where searches stand."""
        return self.index(incarnation).visible.get(shard, UNTOUCHED)

    @property
    def read_from(self) -> int:
        """The uid from which the list is to be read next, inclusive."""
        return 0 if self.oldest is None else self.oldest.uid


EMPTY_TAIL = NodeTail()


def start_tail(tasks: Sequence[TaskView]) -> NodeTail:
    """Return the tail of a node whose whole task list, by uid, is ``tasks``."""
    ours: dict[Incarnation, list[NodeTask]] = {}
    for view in tasks:
        if (task := _ours(view)) is not None:
            ours.setdefault(task.metadata.incarnation, []).append(task)
    indexes = {}
    for incarnation, own in ours.items():
        cursors, upto = start_from_checkpoint(incarnation, own)
        indexes[incarnation] = _settle(IndexTail(cursors, upto), own)
    return _with_marks(NodeTail(is_whole=True, indexes=indexes), tasks)


def fold_page(tail: NodeTail, tasks: Sequence[TaskView]) -> NodeTail | None:
    """Return the tail after all tasks from ``tail.read_from`` on, by uid; None where they are of another disk."""
    if tail.oldest is not None and (not tasks or _seen(tasks[0]) != tail.oldest):
        return None
    page_last = tasks[-1].uid if tasks else -1
    found: dict[Incarnation, list[NodeTask]] = {incarnation: [] for incarnation in tail.indexes}
    for view in tasks:
        if (task := _ours(view)) is not None:
            found.setdefault(task.metadata.incarnation, []).append(task)
    indexes = {}
    for incarnation, own in found.items():
        index = tail.index(incarnation)
        if any(task.state is TaskState.WAITING and task.uid <= index.folded for task in own):
            # It had finished: the disk is one from before, and what it did may be missing.
            return None
        # The answer to a post may have overtaken the page: what was noted beyond the page's end stays noted.
        noted = [task for task in index.pending if task.uid > page_last]
        indexes[incarnation] = _settle(index, [*own, *noted])
    return _with_marks(NodeTail(is_whole=True, last=tail.last, oldest=tail.oldest, indexes=indexes), tasks)


def lacks_known(known: NodeTail, tasks: Sequence[TaskView]) -> bool:
    """Return whether a page lacks a task that was known before: the disk is one from before it.

    ``fold_page`` alone would not see it where an older task still waits: the page begins as it should. The newest task
    that was seen is enough to look for, it is the first that such a disk lacks; of those that only an answer told of,
    the uid is all that is known.

    Args:
        known: the tail when the page was asked for. What was noted later may be missing: the answer overtook the page.
        tasks: all from ``known.read_from`` to the list's end, by uid.
    """
    page_last = tasks[-1].uid if tasks else -1
    if any(index.pending[-1].uid > page_last for index in known.indexes.values() if index.pending):
        return True
    return known.last is not None and known.last not in map(_seen, tasks)


def note_posted(tail: NodeTail, uid: int, metadata: str) -> NodeTail:
    """Return the tail after the node has answered a post of ours with this uid.

    A page may have overtaken the answer, then nothing changes. A uid from another disk changes nothing that the next
    page does not put right.
    """
    task = _ours(TaskView(uid, None, "enqueued", "", metadata, None, "", ""))
    assert task is not None, "a post of ours carries our metadata"
    incarnation = task.metadata.incarnation
    index = tail.index(incarnation)
    if uid <= index.folded or any(known.uid == uid for known in index.pending):
        return tail
    pending = tuple(sorted((*index.pending, task), key=lambda known: known.uid))
    return replace(tail, indexes={**tail.indexes, incarnation: replace(index, pending=pending)})


def failed_tasks(before: NodeTail, tasks: Sequence[TaskView]) -> Sequence[FailedTask]:
    """Return the tasks of ours that have failed since, by uid: each is told once."""
    if not before.is_whole:
        return ()
    sizes = Counter(view.batch for view in tasks)
    failed = []
    for view in tasks:
        task = _ours(view) if view.status == "failed" else None
        if task is None or view.uid <= before.index(task.metadata.incarnation).folded:
            continue
        is_alone = sizes[view.batch] == 1
        failed.append(FailedTask(task, view.error_code, view.error_message, is_alone))
    return failed


def _settle(index: IndexTail, tasks: Sequence[NodeTask]) -> IndexTail:
    """Fold every task after those folded already and before the first that waits, and keep the rest."""
    rest = [task for task in tasks if task.uid > index.folded]
    first = next((at for at, task in enumerate(rest) if task.state is TaskState.WAITING), len(rest))
    folded = rest[first - 1].uid if first else index.folded
    return IndexTail(fold_tasks(index.visible, rest[:first]), folded, tuple(rest[first:]))


def _with_marks(tail: NodeTail, tasks: Sequence[TaskView]) -> NodeTail:
    """Remember the last task, and the first that waits: the next page begins with one of them."""
    if not tasks:
        return tail
    last = _seen(tasks[-1])
    oldest = next((_seen(view) for view in tasks if _STATES.get(view.status) is TaskState.WAITING), last)
    return NodeTail(is_whole=tail.is_whole, last=last, oldest=oldest, indexes=tail.indexes)


def _ours(view: TaskView) -> NodeTask | None:
    """Return the task where it is a post, a drop or a checkpoint of ours on the index that it names."""
    metadata = parse_metadata(view.metadata)
    if metadata is None:
        return None
    named = parse_node_index_uid(view.index_uid) if view.index_uid is not None else None
    if named is not None and named[1] != metadata.incarnation:
        return None
    return NodeTask(view.uid, _STATES.get(view.status, TaskState.WAITING), metadata)


def _seen(view: TaskView) -> Seen:
    return Seen(view.uid, view.enqueued_at)
