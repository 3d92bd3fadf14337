"""The query service's process: its parts put together, started and stopped.

What always holds: it answers ``/health`` from the first moment, with 503 until it has folded the log; on SIGTERM it
stops accepting, finishes what is under way within ``SHUTDOWN_S``, and leaves. Who calls it: ``python -m query.http``,
and tests with parts of their own. It must not know: what a route does.
"""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from aiohttp import web

from query.http import (
    documents,
    indexes,
    listing,
    multi_search,
    operations,
    plain,
    reading,
    search,
    settings,
    similar,
    tasks,
    topology_views,
    unsupported,
)
from query.http.guarded_writer import GuardedWriter
from query.http.metrics import Metrics
from query.http.middleware import make_middleware
from query.http.service import SERVICE, Service
from query.http.views import Views
from query.http.writes import Writes
from query.nodes.client import NodeClient
from query.nodes.gather import Gatherer
from query.nodes.health import NodeHealth
from schemas.config import Settings
from schemas.errors import ConfigurationError, LogError
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import LogAdmin, LogReader, LogWriter
from streams.process.environment import read_settings
from streams.process.logs import set_up_logging
from streams.topics import own_topics

SHUTDOWN_S = 5.0
"""A search has its own, shorter deadline by default; a post that is cut off is posted again."""

CREATE_RETRY_S = 1.0
"""Between two tries to make the topics while no broker answers."""

CLIENT_ID = "miroir-query"
KEEPALIVE_S = 75.0
"""Above the 60 s after which common proxies drop idle connections, so that it is never us who close under a request."""

GC_THRESHOLDS = (50_000, 20, 20)
"""Objects made before the young ones are collected, and how many such rounds before the older ones are."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogParts:
    """The log as the service uses it; tests bring a fake one.

    Attributes:
        make_reader: makes a reader for one task.
        make_follower: makes the reader of the views, which never waits for a leader; None is one as any other.
    """

    make_reader: Callable[[], LogReader]
    writer: LogWriter
    admin: LogAdmin | None = None
    make_follower: Callable[[], LogReader] | None = None


def make_app(configured: Settings, log: Callable[[], LogParts]) -> web.Application:
    """Return the application; its parts are made when it starts and closed when it stops.

    Args:
        configured: the process's settings.
        log: makes the parts of the log.
    """
    key = configured.master_key
    app = web.Application(
        middlewares=[make_middleware(None if key is None else key.get_secret_value())],
        client_max_size=configured.body_bytes_max,
        # The server's own decompression would take a body that is cut short.
        handler_args={"auto_decompress": False},
    )
    # Searches first: routes are tried in order.
    modules = (
        search,
        multi_search,
        similar,
        unsupported,
        documents,
        listing,
        reading,
        settings,
        indexes,
        tasks,
        operations,
        topology_views,
        plain,
    )
    for module in modules:
        app.router.add_routes(module.ROUTES)
    app.cleanup_ctx.append(_running(configured, log))
    return app


def _running(configured: Settings, log: Callable[[], LogParts]) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        parts = log()
        client = NodeClient(configured.node_master_key.get_secret_value(), searches_max=configured.node_searches_max)
        service = _assemble(configured, parts, client)
        app[SERVICE] = service
        reader = (parts.make_follower or parts.make_reader)()
        async with client:
            follow = _follow(service.views, reader, parts.admin, create=configured.kafka_create_topics)
            probe = service.health.probe(lambda: service.views.topology.nodes, client)
            # Neither may end the other: searches go on without the log, and the log without probes.
            background = [asyncio.create_task(each) for each in (follow, probe)]
            for task in background:
                task.add_done_callback(_complain)
            try:
                yield
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
                await reader.close()
                await _close(parts)

    return context


def _assemble(configured: Settings, parts: LogParts, client: NodeClient) -> Service:
    metrics = Metrics()
    health = NodeHealth(lambda node: views.newest_progress_ms(node))  # noqa: PLW0108 - views are made next, of it
    views = Views(
        lag_records_max=configured.lag_records_max, away=health.silent, knows_filters=lambda: health.knows_filters
    )
    gatherer = Gatherer(client, health, metrics.observe_node)
    writes = Writes(GuardedWriter(parts.writer, lambda: views.stopped), views)
    return Service(configured, views, writes, parts.make_reader, client, health, gatherer, metrics)


async def _follow(views: Views, reader: LogReader, admin: LogAdmin | None, *, create: bool) -> None:
    """Fold the log until cancelled; first see to it that its topics exist, whoever starts first."""
    while create and admin is not None:
        try:
            await admin.create(own_topics())
            break
        except LogError as error:
            _log.warning("the topics cannot be made yet", extra={"error": str(error)})
            await asyncio.sleep(CREATE_RETRY_S)
    await views.run(reader)


def _complain(task: "asyncio.Task[None]") -> None:
    """Say why a background task ended: what was folded stays in use, and metrics show its age."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task has ended", extra={"error": str(error)}, exc_info=error)


async def _close(parts: LogParts) -> None:
    await parts.writer.close()
    if parts.admin is not None:
        await parts.admin.close()


def kafka_parts(configured: Settings) -> LogParts:
    """Return the parts of the log on Kafka."""
    config = configured.kafka_config(CLIENT_ID)
    for_posts = replace(config, request_timeout_ms=int(configured.produce_timeout_s * 1000))
    return LogParts(
        lambda: KafkaLogReader(config),
        KafkaLogWriter(for_posts),
        KafkaLogAdmin(config),
        make_follower=lambda: KafkaLogReader(config, election_s=0.0),
    )


def main() -> int:
    """Run the process until SIGTERM or SIGINT; return its exit code."""
    try:
        configured = read_settings(os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"miroir query service: {error}\n")
        return 1
    set_up_logging(configured.log_level, as_json=configured.log_json)
    tune_garbage_collection()
    loop = _new_loop()
    _log.info("the query service starts", extra={"host": configured.http_host, "port": configured.http_port})
    try:
        web.run_app(
            make_app(configured, lambda: kafka_parts(configured)),
            host=configured.http_host,
            port=configured.http_port,
            print=None,
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=KEEPALIVE_S,
            loop=loop,
        )
    except OSError as error:
        reason = ConfigurationError("http_port", str(error))
        _log.error("the query service cannot go on", extra={"reason": str(reason)})
        return 1
    return 0


def tune_garbage_collection() -> None:
    """Collect seldom: an answer is thousands of small objects without cycles, each counting towards a collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where there is one: a third more searches a second."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
