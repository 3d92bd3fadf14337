"""Which enqueued tasks run together: Meilisearch's auto-batching.

What always holds: tasks of one index run in the order they were accepted; a batch holds tasks of one index only. Who
calls it: the front, whenever the indexer is idle. It must not know payloads, only their sizes.

==========================================  ====================================================================
the batch so far                            takes the next task of its index when that is
==========================================  ====================================================================
documents added, updated, deleted by id     the same, a deletion of all, or the index's deletion
deletions by id and by filter               more deletions, a deletion of all, or the index's deletion
a deletion of all documents                 more deletions, or the index's deletion
settings                                    settings
creation, update or swap of an index        nothing
==========================================  ====================================================================
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

TASKS_MAX = 2_000
"""Tasks in one batch: keeps what fails together, and what a crash repeats, within seconds."""

PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of payload in one batch: the indexer holds the parsed documents, about eight times as much."""

_OPERATIONS = frozenset({"replace", "update"})
_BY_ID = frozenset({"replace", "update", "delete_ids"})
_DELETIONS = frozenset({"delete_ids", "delete_filter"})
_DOCUMENTS = frozenset({"replace", "update", "delete_ids", "delete_filter", "clear"})
_ALONE = frozenset({"create_index", "update_index", "swap", "delete_index"})


class Waiting(NamedTuple):
    """An enqueued task, as far as batching looks at it.

    Attributes:
        index_uid: None for a task of no single index (a swap).
        kind: the kind of its work.
        creates: it may give birth to its index.
        primary_key: the key it names, or None.
        payload_bytes: size of its payload.
    """

    uid: int
    index_uid: str | None
    kind: str
    creates: bool
    primary_key: str | None
    payload_bytes: int


def decide_batch(waiting: Sequence[Waiting]) -> tuple[int, ...]:
    """Return the uids to run next, in order; empty when nothing waits.

    Args:
        waiting: enqueued tasks by uid rising; at least the oldest must be there.
    """
    if not waiting:
        return ()
    first = waiting[0]
    if first.kind in _ALONE:
        return (first.uid,)
    batch = [first]
    size = first.payload_bytes
    for task in _of_index(waiting[1:], first.index_uid):
        size += task.payload_bytes
        if len(batch) == TASKS_MAX or size > PAYLOAD_BYTES_MAX or not _may_join(batch, task):
            break
        batch.append(task)
        if task.kind == "delete_index":
            break
    return tuple(task.uid for task in batch)


def _of_index(waiting: Iterable[Waiting], index_uid: str | None) -> Iterable[Waiting]:
    for task in waiting:
        if task.kind == "swap":
            # A swap may rename the index: nothing behind it may overtake it.
            return
        if task.index_uid == index_uid:
            yield task


def _may_join(batch: Sequence[Waiting], task: Waiting) -> bool:
    kinds = {member.kind for member in batch}
    if kinds == {"settings"}:
        return task.kind == "settings"
    if task.kind == "delete_index":
        return True
    if task.kind not in _DOCUMENTS:
        return False
    if "clear" in kinds:
        return task.kind not in _OPERATIONS
    if task.kind == "clear":
        return True
    together = kinds | {task.kind}
    if not (together <= _BY_ID or together <= _DELETIONS):
        return False
    return _same_birth(batch, task)


def _same_birth(batch: Sequence[Waiting], task: Waiting) -> bool:
    if task.kind not in _OPERATIONS:
        return True
    operations = [member for member in batch if member.kind in _OPERATIONS]
    return all(
        member.creates == task.creates and (task.primary_key in (None, member.primary_key)) for member in operations
    )
