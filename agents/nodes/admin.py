"""``NodeAdmin`` over HTTP: the only place where a node's master key is used.

What always holds: ``Accept-Encoding: identity`` (a compressed answer stalls 40 ms), the proxy settings of the
environment are ignored, and every foreign exception becomes a ``NodeError``. Who calls it: the reconciling shell and
``miroir doctor``. It must not know: what is wanted of a node, or why.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from agents.node_admin import NO_TASK, KeyRole, NodeKey, TaskEnd
from agents.nodes.understood import next_page, understood
from agents.tail import TaskView, parse_task_view
from schemas.errors import NodeRejectedError, NodeTimeoutError, NodeUnreachableError
from schemas.ids import NodeId, NodeIndexUid, TaskUid
from schemas.keys import SEARCH_ACTIONS, WORKER_ACTIONS

TIMEOUT_S = 10.0
"""Small questions and tasks that are only enqueued: a node that indexes answers them in milliseconds."""

PAGE = 1000
"""Keys or indexes asked for at once: one page for every cluster worth running."""

KEYS_MAX = 20_000
"""A node with more keys or indexes than this is not ours, and not worth listing every second."""

UIDS_AT_ONCE = 500
"""Tasks named in one deletion: some 4 KB of address, which any server takes."""

_ACTIONS: Mapping[KeyRole, tuple[str, ...]] = {KeyRole.WORKER: WORKER_ACTIONS, KeyRole.SEARCH: SEARCH_ACTIONS}
_LIST_TASKS = "list tasks"
_CLUSTER = "made by miroir cluster "
_Body = Mapping[str, Any] | list[Any] | None
_FINISHED = frozenset({"succeeded", "failed", "canceled"})


class HttpNodeAdmin:
    """One node, spoken to with its master key.

    Args:
        node: its id, for errors.
        url: where it listens.
        master_key: its master key; empty where none is set.
        timeout_s: how long it may take for one answer.
        transport: another way than the network, for tests.
    """

    def __init__(
        self,
        node: NodeId,
        url: str,
        master_key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._node = node
        self._url = url.rstrip("/")
        # A header without a key is none, and the node's own words say what is missing.
        key = {"Authorization": f"Bearer {master_key}"} if master_key else {}
        self._client = httpx.AsyncClient(
            headers={**key, "Accept-Encoding": "identity"},
            timeout=timeout_s,
            trust_env=False,
            transport=transport,
        )

    async def fetch_version(self) -> str:
        """Return Meilisearch's version; see ``NodeAdmin``."""
        action = "ask for the version"
        answer = await self._ask("GET", "/version", action)
        if not isinstance(answer, dict) or "pkgVersion" not in answer:
            detail = f"expected a version, found {str(answer)[:100]!r}: is this a Meilisearch?"
            raise NodeRejectedError(self._node, action, status=HTTPStatus.OK, code="", detail=detail)
        return str(answer["pkgVersion"])

    async def fetch_keys(self) -> tuple[NodeKey, ...]:
        """Return every key; see ``NodeAdmin``."""
        action = "list keys"
        found = await self._list("/keys", action)
        with understood(self._node, action):
            return tuple(_key(item) for item in found)

    async def create_key(self, uid: str, role: KeyRole, cluster: str) -> None:
        """Make a key of ours; see ``NodeAdmin``."""
        body = {
            "uid": uid,
            "name": f"miroir {role}",
            "description": f"{_CLUSTER}{cluster}",
            "actions": list(_ACTIONS[role]),
            "indexes": ["*"],
            "expiresAt": None,
        }
        try:
            await self._ask("POST", "/keys", "make a key", body)
        except NodeRejectedError as error:
            if error.code != "api_key_already_exists":
                raise

    async def delete_key(self, uid: str) -> None:
        """Delete a key; see ``NodeAdmin``."""
        try:
            await self._ask("DELETE", f"/keys/{uid}", "delete a key")
        except NodeRejectedError as error:
            if error.code != "api_key_not_found":
                raise

    async def fetch_indexes(self) -> Mapping[NodeIndexUid, str | None]:
        """Return every index with its primary key; see ``NodeAdmin``."""
        action = "list indexes"
        found = await self._list("/indexes", action)
        with understood(self._node, action):
            return {NodeIndexUid(item["uid"]): item["primaryKey"] for item in found}

    async def fetch_synonyms(self, uid: NodeIndexUid) -> Mapping[str, Any]:
        """Return an index's synonyms; see ``NodeAdmin``."""
        action = "read settings"
        answer = await self._ask("GET", f"/indexes/{uid}/settings/synonyms", action)
        with understood(self._node, action):
            return dict(answer)

    async def fetch_newest_task(self) -> TaskUid:
        """Return the uid of the newest task; see ``NodeAdmin``."""
        answer = await self._ask("GET", "/tasks?limit=1", _LIST_TASKS)
        with understood(self._node, _LIST_TASKS):
            return TaskUid(int(answer["results"][0]["uid"])) if answer["results"] else NO_TASK

    async def fetch_task(self, uid: TaskUid) -> TaskEnd:
        """Return how a task stands; see ``NodeAdmin``."""
        action = "look at a task"
        answer = await self._ask("GET", f"/tasks/{uid}", action)
        with understood(self._node, action):
            error = answer.get("error") or {}
            return TaskEnd(answer["status"] in _FINISHED, str(error.get("code", "")), str(error.get("message", "")))

    async def fetch_task_count(self) -> int:
        """Return how many tasks the node keeps; see ``NodeAdmin``."""
        answer = await self._ask("GET", "/tasks?limit=1", _LIST_TASKS)
        with understood(self._node, _LIST_TASKS):
            return int(answer["total"])

    async def fetch_tasks(self) -> Sequence[TaskView]:
        """Return every task, by uid; see ``NodeAdmin``."""
        found: list[TaskView] = []
        start: int | None = 0
        while start is not None:
            page = await self._ask("GET", f"/tasks?from={start}&limit={PAGE}&reverse=true", _LIST_TASKS)
            with understood(self._node, _LIST_TASKS):
                found += (parse_task_view(task) for task in page["results"])
                start = next_page(start, page["next"])
        return found

    async def post_checkpoint(self, uid: NodeIndexUid, metadata: str) -> TaskUid:
        """Enqueue a task that carries the metadata; see ``NodeAdmin``."""
        query = httpx.QueryParams({"customMetadata": metadata})
        return await self._enqueue("POST", f"/indexes/{uid}/documents/delete-batch?{query}", "write a checkpoint", [])

    async def delete_tasks(self, uids: Sequence[int]) -> None:
        """Enqueue the deletion of finished tasks; see ``NodeAdmin``."""
        for first in range(0, len(uids), UIDS_AT_ONCE):
            listed = ",".join(map(str, uids[first : first + UIDS_AT_ONCE]))
            await self._enqueue("DELETE", f"/tasks?uids={listed}", "delete tasks")

    async def create_index(self, uid: NodeIndexUid, primary_key: str | None) -> TaskUid:
        """Enqueue a creation; see ``NodeAdmin``."""
        return await self._enqueue("POST", "/indexes", "create an index", {"uid": uid, "primaryKey": primary_key})

    async def set_primary_key(self, uid: NodeIndexUid, primary_key: str) -> TaskUid:
        """Enqueue a change of the primary key; see ``NodeAdmin``."""
        return await self._enqueue("PATCH", f"/indexes/{uid}", "set a primary key", {"primaryKey": primary_key})

    async def update_settings(self, uid: NodeIndexUid, settings: Mapping[str, Any]) -> TaskUid:
        """Enqueue a change of settings; see ``NodeAdmin``."""
        return await self._enqueue("PATCH", f"/indexes/{uid}/settings", "change settings", settings)

    async def delete_index(self, uid: NodeIndexUid) -> TaskUid:
        """Enqueue a deletion; see ``NodeAdmin``."""
        return await self._enqueue("DELETE", f"/indexes/{uid}", "delete an index")

    async def close(self) -> None:
        """Leave. Safe to call twice."""
        await self._client.aclose()

    async def _enqueue(self, method: str, path: str, action: str, body: _Body = None) -> TaskUid:
        answer = await self._ask(method, path, action, body)
        with understood(self._node, action):
            return TaskUid(int(answer["taskUid"]))

    async def _list(self, path: str, action: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while len(found) < KEYS_MAX:
            answer = await self._ask("GET", f"{path}?offset={len(found)}&limit={PAGE}", action)
            with understood(self._node, action):
                found += answer["results"]
                if not answer["results"] or len(found) >= answer["total"]:
                    break
        return found

    async def _ask(self, method: str, path: str, action: str, body: _Body = None) -> Any:
        """Return the answer's body, or None where it has none."""
        try:
            # Not the client's ``base_url``: an address that is none would be no error of this node's.
            answer = await self._client.request(method, f"{self._url}{path}", json=body)
        except httpx.TimeoutException as error:
            raise NodeTimeoutError(self._node, action, f"no answer: {error!r}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NodeUnreachableError(self._node, action, repr(error)) from error
        if answer.is_success:
            return self._json(answer, action) if answer.status_code != HTTPStatus.NO_CONTENT else None
        raise self._rejected(answer, action)

    def _json(self, answer: httpx.Response, action: str) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            detail = f"expected JSON, found {answer.text[:100]!r}: is this a Meilisearch?"
            raise NodeRejectedError(self._node, action, status=answer.status_code, code="", detail=detail) from error

    def _rejected(self, answer: httpx.Response, action: str) -> NodeRejectedError:
        try:
            body = answer.json()
            code, detail = str(body["code"]), str(body["message"])
        except (ValueError, KeyError, TypeError):
            code, detail = "", answer.text[:200]
        return NodeRejectedError(self._node, action, status=answer.status_code, code=code, detail=detail)


def _key(item: Mapping[str, Any]) -> NodeKey:
    description = item.get("description") or ""
    cluster = description.removeprefix(_CLUSTER) if description.startswith(_CLUSTER) else ""
    return NodeKey(item["uid"], item.get("name") or "", cluster)
