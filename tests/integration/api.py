"""A client of a query service, and a service of this process over a cluster's log."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from query.http.app import kafka_parts, make_app
from schemas.config import Settings
from tests.integration.waiting import until


class Api:
    """A client of the service that fails a test on any answer but the one it asks for."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self._client = client
        self.last: Any = None

    async def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, JSON and headers of the answer."""
        kind = "application/json" if raw is None else "application/x-ndjson"
        content = raw if body is None else orjson.dumps(body)
        data = None if content is None else io.BytesIO(content)
        sent = {"Content-Type": kind, **headers}
        async with self._client.request(method, path, data=data, headers=sent) as response:
            return response.status, await response.json(), response.headers

    async def write(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> int:
        """Send a write and return its task's uid."""
        status, answer, _ = await self.call(method, path, body, raw=raw)
        assert status == 202, answer
        uid: int = answer["taskUid"]
        return uid

    async def finished(self, uid: int) -> dict[str, Any]:
        """Return the task, once it is final."""

        async def final() -> dict[str, Any] | None:
            _, task, _ = await self.call("GET", f"/tasks/{uid}")
            self.last = task
            return task if task["status"] in ("succeeded", "failed") else None

        return await until(final, f"task {uid}", seen=lambda: self.last)

    async def total(self, index: str, **search: Any) -> int:
        """Return how many documents a search finds."""
        status, answer, headers = await self.call("POST", f"/indexes/{index}/search", {"limit": 0, **search})
        assert status == 200, answer
        assert "X-Miroir-Degraded" not in headers
        total: int = answer["estimatedTotalHits"]
        return total


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[Api]:
    """Run a service until the context is left; it is entered when the service has folded the log."""
    app = make_app(settings, lambda: kafka_parts(settings))
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        api = Api(client)

        async def is_ready() -> bool:
            return (await api.call("GET", "/health"))[0] == 200

        await until(is_ready, "the service")
        yield api
