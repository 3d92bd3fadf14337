"""A node as the controller sees and changes it, with its master key: keys, indexes, settings, tasks.

What always holds: every change is safe to ask for twice, or fails harmlessly in the node's queue. Who calls it: the
reconciling of nodes. It must not know: any client library.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus

from agents.tail import TaskView
from schemas.ids import NodeIndexUid, TaskUid

KEY_FAULTS = frozenset({"invalid_api_key", "missing_master_key", "missing_authorization_header"})
"""Codes with which a node says that our master key is not its own."""

CHECKPOINT_CHARS_MAX = 60_000
"""Metadata of a checkpoint, percent-encoded: the cursors of some 1,100 shards. It stands in the address, of which the
client takes 65,536 characters; what is left is for the node's own address and the index's name on it."""

NO_TASK = TaskUid(-1)
"""The newest task of a node that never had one."""


class KeyRole(StrEnum):
    """What a key of ours is for."""

    WORKER = "worker"
    SEARCH = "search"


class NodeKey(NamedTuple):
    """A key on a node.

    Attributes:
        uid: a hyphenated UUID.
        name: ``miroir worker`` or ``miroir search`` for one of ours; "" where it has none.
        cluster: the cluster it was made by; "" where it is not one of ours.
    """

    uid: str
    name: str
    cluster: str


class TaskEnd(NamedTuple):
    """How a task stands: finished or not, and the error of one that failed; "" for none."""

    finished: bool
    code: str = ""
    message: str = ""


def fits_address(metadata: str) -> bool:
    """Return whether ``post_checkpoint`` can carry the metadata; else it fails each time, as if the node were away."""
    return len(quote_plus(metadata)) <= CHECKPOINT_CHARS_MAX


class NodeAdmin(Protocol):
    """The controller's questions and orders to one node.

    Every method raises:
        NodeUnreachableError: the connection was refused or cut.
        NodeTimeoutError: no answer in time; it may have been done.
        NodeRejectedError: an answer that is no success.
    """

    async def fetch_version(self) -> str:
        """Return Meilisearch's version, such as ``1.50.0``; proves that the master key is right."""

    async def fetch_keys(self) -> tuple[NodeKey, ...]:
        """Return every key."""

    async def create_key(self, uid: str, role: KeyRole, cluster: str) -> None:
        """Make a key of ours; one with this uid may exist already."""

    async def delete_key(self, uid: str) -> None:
        """Delete a key; it may be gone already. Whoever holds it is refused from now on."""

    async def fetch_indexes(self) -> Mapping[NodeIndexUid, str | None]:
        """Return every index with its primary key."""

    async def fetch_synonyms(self, uid: NodeIndexUid) -> Mapping[str, Any]:
        """Return an index's synonyms, among which stands the version of its settings."""

    async def fetch_newest_task(self) -> TaskUid:
        """Return the uid of the newest task; ``NO_TASK`` for none."""

    async def fetch_task(self, uid: TaskUid) -> TaskEnd:
        """Return how a task stands."""

    async def fetch_task_count(self) -> int:
        """Return how many tasks the node keeps."""

    async def fetch_tasks(self) -> Sequence[TaskView]:
        """Return every task, by uid. Megabytes where there are thousands."""

    async def post_checkpoint(self, uid: NodeIndexUid, metadata: str) -> TaskUid:
        """Enqueue a task that changes nothing and carries the metadata, which ``fits_address``."""

    async def delete_tasks(self, uids: Sequence[int]) -> None:
        """Enqueue the deletion of finished tasks; of one that has not finished nothing happens."""

    async def create_index(self, uid: NodeIndexUid, primary_key: str | None) -> TaskUid:
        """Enqueue a creation; it fails in the queue where the index exists."""

    async def set_primary_key(self, uid: NodeIndexUid, primary_key: str) -> TaskUid:
        """Enqueue a change of the primary key; it fails in the queue where the index has documents."""

    async def update_settings(self, uid: NodeIndexUid, settings: Mapping[str, Any]) -> TaskUid:
        """Enqueue a change of settings."""

    async def delete_index(self, uid: NodeIndexUid) -> TaskUid:
        """Enqueue a deletion; it fails in the queue where the index is gone."""

    async def close(self) -> None:
        """Leave. Safe to call twice."""
