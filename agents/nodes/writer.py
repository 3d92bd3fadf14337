"""Posts, drops, task lists and single documents over HTTP.

What always holds: requests name ``Content-Length`` and ``Accept-Encoding: identity`` (a compressed answer of a node
stalls for 40 ms); one connection pool a node, kept open. Who calls it: the worker. It must not know: what is in a post.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from agents.nodes.post_body import PostBody
from agents.nodes.understood import next_page, understood
from agents.posts import PostPart
from agents.tail import TaskView, parse_task_view
from schemas.errors import NodeError, NodeForgotError, NodeRejectedError, NodeTimeoutError, NodeUnreachableError
from schemas.ids import NodeId, NodeIndexUid, SettingsVersion
from streams.node_settings import settings_version_of

PAGE_TASKS = 1000
"""Tasks in one answer: about 600 KB at a full post's metadata each."""

CONNECTIONS_MAX = 4
"""A post, a task list, and one of each that has just timed out."""

_FORBIDDEN = 403
_NOT_FOUND = 404
_ACCEPTED = 202


class HttpNodeWriter:
    """``NodeWriter`` over aiohttp.

    Args:
        node: its id, for errors.
        url: where it listens.
        key: the worker's key on it.
        timeout_s: how long any answer may take.
    """

    def __init__(self, node: NodeId, url: str, key: str, *, timeout_s: float) -> None:
        self._node = node
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, index: NodeIndexUid, part: PostPart) -> int:
        """Send one part; see ``NodeWriter``."""
        if part.is_delete:
            path, content = f"/indexes/{index}/documents/delete-batch", "application/json"
        else:
            path, content = f"/indexes/{index}/documents", "application/x-ndjson"
        return await self._enqueue("POST", path, part.metadata, part.body, content)

    async def drop(self, index: NodeIndexUid, condition: str, metadata: str) -> int:
        """Delete by filter; see ``NodeWriter``."""
        body = orjson.dumps({"filter": condition})
        path = f"/indexes/{index}/documents/delete"
        return await self._enqueue("POST", path, metadata, body)

    async def clear(self, index: NodeIndexUid, metadata: str) -> int:
        """Delete everything; see ``NodeWriter``."""
        return await self._enqueue("DELETE", f"/indexes/{index}/documents", metadata)

    async def tasks_from(self, uid: int) -> Sequence[TaskView]:
        """Return all tasks from ``uid`` on; see ``NodeWriter``."""
        views: list[TaskView] = []
        start: int | None = uid
        while start is not None:
            query = {"from": str(start), "limit": str(PAGE_TASKS), "reverse": "true"}
            page = await self._ask("GET", "/tasks", query)
            with understood(self._node, "GET /tasks"):
                views += map(parse_task_view, page["results"])
                start = next_page(start, page["next"])
        return views

    async def settings_version(self, index: NodeIndexUid) -> SettingsVersion | None:
        """Return the settings version; see ``NodeWriter``."""
        path = f"/indexes/{index}/settings/synonyms"
        try:
            synonyms = await self._ask("GET", path, {})
        except NodeRejectedError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        with understood(self._node, f"GET {path}"):
            return settings_version_of(dict(synonyms))

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Return these documents; see ``NodeWriter``."""
        body = orjson.dumps({"ids": list(ids), "limit": len(ids)})
        path = f"/indexes/{index}/documents/fetch"
        answer = await self._ask("POST", path, {}, body)
        with understood(self._node, f"POST {path}"):
            return [dict(document) for document in answer["results"]]

    async def accepts(self, key: str) -> bool:
        """Return whether the node knows this key; see ``NodeWriter``."""
        try:
            await self._ask("GET", "/version", {}, key=key)
        except NodeForgotError:
            return False
        return True

    async def close(self) -> None:
        """Leave. Safe to call twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _enqueue(
        self, method: str, path: str, metadata: str, body: bytes | None = None, content: str = "application/json"
    ) -> int:
        answer = await self._ask(method, path, {"customMetadata": metadata}, body, content)
        with understood(self._node, f"{method} {path}"):
            return int(answer["taskUid"])

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        content: str = "application/json",
        *,
        key: str | None = None,
    ) -> Any:  # whatever JSON the node answers
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, timeout=self._timeout, auto_decompress=False
            )
        action = f"{method} {path}"
        headers = {} if body is None else {"Content-Type": content}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}",
                params=query,
                data=None if body is None else PostBody(body),
                headers=headers,
            ) as answer:
                data = await answer.read()
                status = answer.status
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise NodeTimeoutError(self._node, action, f"no answer in {self._timeout.total} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NodeUnreachableError(self._node, action, str(error) or type(error).__name__) from error
        return self._parsed(action, status, data)

    def _parsed(self, action: str, status: int, data: bytes) -> Any:
        try:
            parsed = orjson.loads(data) if data else {}
        except orjson.JSONDecodeError:
            parsed = {"message": data[:200].decode(errors="replace")}
        if status <= _ACCEPTED:
            return parsed
        raise self._fault(action, status, parsed)

    def _fault(self, action: str, status: int, parsed: Any) -> NodeError:
        if not isinstance(parsed, dict):
            parsed = {"message": str(parsed)[:200]}
        code, message = str(parsed.get("code", "")), str(parsed.get("message", ""))
        if status == _FORBIDDEN and code == "invalid_api_key":
            return NodeForgotError(self._node, action, message)
        return NodeRejectedError(self._node, action, status=status, code=code, detail=message)
