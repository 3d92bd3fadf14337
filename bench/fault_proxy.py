"""What stands between a query service and a node, and spoils the node's answers when it is told to.

What always holds: without a fault everything passes as it is; a fault spoils searches only, a delay probes as well, so
that the workers' writes go on. Who calls it: the benchmark and the tests of failures. It must not know: what is asked.
"""

import asyncio
from enum import StrEnum
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

DRIP_S = 0.1
"""Between two bytes of an answer in drips."""

PASSED = ("Authorization", "Content-Type")
READ = ("/search", "/health", "/version")


class Fault(StrEnum):
    """How an answer is spoilt."""

    BUSY = "503"
    BROKEN = "500"
    UNAUTHORISED = "401"
    TRUNCATED = "truncated"
    RESET = "reset"
    DRIPS = "drips"


STATUSES = {Fault.BUSY: 503, Fault.BROKEN: 500, Fault.UNAUTHORISED: 401}
CODES = {
    Fault.BUSY: "too_many_search_requests",
    Fault.BROKEN: "internal",
    Fault.UNAUTHORISED: "missing_authorization_header",
}


class FaultProxy:
    """One node's proxy; used as a context.

    Args:
        port: of 127.0.0.1, to listen on.
        target: the node's own address.

    Attributes:
        fault: how searches are spoilt; None is not at all.
        delay_s: how much later reads are answered.
        reads: how many searches and probes came, spoilt ones too.
    """

    def __init__(self, port: int, target: str) -> None:
        self.fault: Fault | None = None
        self.delay_s = 0.0
        self.reads = 0
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._target = target
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=200 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go away; connections are refused from now on."""
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        searches = request.path.endswith("/search")
        if searches or request.path in READ:
            self.reads += 1
            await asyncio.sleep(self.delay_s)
        body = await request.read()
        if searches and self.fault in STATUSES:
            code = CODES[self.fault]
            return web.json_response({"message": "spoilt", "code": code}, status=STATUSES[self.fault])
        assert self._session is not None, "used as a context"
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        headers["Accept-Encoding"] = "identity"
        url = f"{self._target}{request.raw_path}"
        try:
            async with self._session.request(request.method, url, data=body or None, headers=headers) as answer:
                data, status = await answer.read(), answer.status
        except (aiohttp.ClientError, RuntimeError):
            # The node is gone, or this proxy is going.
            self._cut(request)
            return web.Response(status=502)
        if searches and self.fault is not None:
            return await self._spoil(request, data)
        return web.Response(status=status, body=data, content_type="application/json")

    async def _spoil(self, request: web.Request, data: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        half = data[: len(data) // 2]
        if self.fault is Fault.TRUNCATED:
            return web.Response(body=half, content_type="application/json")
        response.content_length = len(data)
        await response.prepare(request)
        if self.fault is Fault.RESET:
            await response.write(half)
            self._cut(request)
            return response
        for at in range(len(data)):
            await response.write(data[at : at + 1])
            await asyncio.sleep(DRIP_S)
        return response

    def _cut(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()
