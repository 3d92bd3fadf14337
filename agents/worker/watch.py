"""``/metrics`` and ``/health`` of a worker.

What always holds: it serves reads only, and says nothing secret; ``/health`` is 503 until the worker's group has given
it its share: one that Kafka refuses never gets there. Who calls it: the worker's app.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agents.worker.metrics import WorkerMetrics
from schemas.config import Settings
from schemas.errors import ConfigurationError


async def start_watch(settings: Settings, metrics: WorkerMetrics, health: Callable[[], Mapping[str, object]]) -> None:
    """Serve until cancelled.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """

    async def serve_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def serve_health(_: web.Request) -> web.Response:
        told = health()
        status = HTTPStatus.OK if told["status"] == "available" else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(body=orjson.dumps(told), status=status, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/metrics", serve_metrics), web.get("/health", serve_health)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.http_host, settings.worker_http_port).start()
        except OSError as error:
            raise ConfigurationError("worker_http_port", str(error)) from error
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
