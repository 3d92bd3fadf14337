"""The way of a controller to an in-memory node: keys, indexes, settings and tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from agents.node_admin import NO_TASK, KeyRole, NodeKey, TaskEnd
from agents.tail import TaskView
from schemas.errors import NodeRejectedError
from schemas.ids import NodeIndexUid, TaskUid
from schemas.keys import derive_key
from streams.node_settings import settings_version_of
from tests.fakes.node import Disk, FakeIndex, FakeNode, Work


class FakeNodeAdmin:
    """``NodeAdmin`` to a ``FakeNode``."""

    def __init__(self, node: FakeNode, master_key: str) -> None:
        self._node = node
        self._master_key = master_key

    async def fetch_version(self) -> str:
        """Return a version; see ``NodeAdmin``."""
        self._node.require_there("version")
        return "1.50.0"

    async def fetch_keys(self) -> tuple[NodeKey, ...]:
        """Return every key; see ``NodeAdmin``."""
        self._node.require_there("list keys")
        return tuple(self._node.disk.keys.values())

    async def create_key(self, uid: str, role: KeyRole, cluster: str) -> None:
        """Make a key; see ``NodeAdmin``."""
        self._node.require_there("make a key")
        self._node.disk.keys[derive_key(self._master_key, uid)] = NodeKey(uid, f"miroir {role}", cluster)

    async def delete_key(self, uid: str) -> None:
        """Delete a key; see ``NodeAdmin``."""
        self._node.require_there("delete a key")
        self._node.disk.keys.pop(derive_key(self._master_key, uid), None)

    async def fetch_indexes(self) -> Mapping[NodeIndexUid, str | None]:
        """Return every index with its primary key; see ``NodeAdmin``."""
        self._node.require_there("list indexes")
        return {uid: index.primary_key for uid, index in self._node.disk.indexes.items()}

    async def fetch_synonyms(self, uid: NodeIndexUid) -> Mapping[str, Any]:
        """Return the synonyms, which carry the version; see ``NodeAdmin``."""
        self._node.require_there("synonyms")
        if uid not in self._node.disk.indexes:
            raise NodeRejectedError(self._node.id, "synonyms", status=404, code="index_not_found", detail=str(uid))
        version = self._node.version(uid)
        return {} if version is None else {f"_miroir_v{version}": []}

    async def fetch_newest_task(self) -> TaskUid:
        """Return the newest task's uid; see ``NodeAdmin``."""
        self._node.require_there("newest task")
        tasks = self._node.disk.tasks
        return TaskUid(tasks[-1].uid) if tasks else NO_TASK

    async def fetch_task(self, uid: TaskUid) -> TaskEnd:
        """Return how a task stands; see ``NodeAdmin``."""
        self._node.require_there("task")
        found = next((task for task in self._node.disk.tasks if task.uid == uid), None)
        if found is None:
            raise NodeRejectedError(self._node.id, "task", status=404, code="task_not_found", detail=str(uid))
        return TaskEnd(found.status in ("succeeded", "failed"), found.error_code, found.error_message)

    async def fetch_task_count(self) -> int:
        """Return how many tasks there are; see ``NodeAdmin``."""
        self._node.require_there("count tasks")
        return len(self._node.disk.tasks)

    async def fetch_tasks(self) -> Sequence[TaskView]:
        """Return every task; see ``NodeAdmin``."""
        self._node.require_there("list tasks")
        return self._node.list_tasks(0)

    async def post_checkpoint(self, uid: NodeIndexUid, metadata: str) -> TaskUid:
        """Enqueue a task that changes nothing; see ``NodeAdmin``."""
        return self._enqueue("checkpoint", Work(uid), metadata)

    async def delete_tasks(self, uids: Sequence[int]) -> None:
        """Enqueue the deletion of finished tasks; see ``NodeAdmin``."""
        gone = set(uids)

        def delete(disk: Disk) -> str:
            disk.tasks = [task for task in disk.tasks if task.uid not in gone or task.uid in disk.work]
            return ""

        self._enqueue("delete tasks", Work(NodeIndexUid(""), change=delete))

    async def create_index(self, uid: NodeIndexUid, primary_key: str | None) -> TaskUid:
        """Enqueue a creation; see ``NodeAdmin``."""

        def create(disk: Disk) -> str:
            if uid in disk.indexes:
                return "index_already_exists"
            disk.indexes[uid] = FakeIndex(primary_key)
            return ""

        return self._enqueue("create an index", Work(uid, change=create))

    async def set_primary_key(self, uid: NodeIndexUid, primary_key: str) -> TaskUid:
        """Enqueue a change of the primary key; see ``NodeAdmin``."""

        def change(disk: Disk) -> str:
            if uid not in disk.indexes:
                return "index_not_found"
            if disk.indexes[uid].documents:
                return "index_primary_key_already_exists"
            disk.indexes[uid].primary_key = primary_key
            return ""

        return self._enqueue("set the primary key", Work(uid, change=change))

    async def update_settings(self, uid: NodeIndexUid, settings: Mapping[str, Any]) -> TaskUid:
        """Enqueue a change of settings; see ``NodeAdmin``. Of them only the version is kept."""

        def update(disk: Disk) -> str:
            disk.indexes.setdefault(uid, FakeIndex(None)).version = settings_version_of(settings["synonyms"])
            return ""

        return self._enqueue("change settings", Work(uid, change=update))

    async def delete_index(self, uid: NodeIndexUid) -> TaskUid:
        """Enqueue a deletion; see ``NodeAdmin``."""

        def delete(disk: Disk) -> str:
            return "" if disk.indexes.pop(uid, None) is not None else "index_not_found"

        return self._enqueue("delete an index", Work(uid, change=delete))

    async def close(self) -> None:
        """Leave. Safe to call twice."""

    def _enqueue(self, action: str, work: Work, metadata: str = "") -> TaskUid:
        self._node.require_there(action)
        return TaskUid(self._node.enqueue(action, work, metadata))
