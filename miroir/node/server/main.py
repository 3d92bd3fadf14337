"""The node's command line: the flags of a real Meilisearch, as far as they mean something here."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from miroir.node.server.app import VERSION, build_app
from miroir.node.server.lock import DirectoryInUseError, DirectoryLock
from miroir.node.server.node import Node

COLLECTIONS = (700, 10, 100)
"""Thresholds of the cycle collector. The last one is ten times the usual: a walk over everything that searches keep in
memory takes 40 to 60 ms, which the search it falls on would wait for, and finds nothing."""

SWITCH_INTERVAL_S = 0.000_5
"""How long a thread that reads a large post goes on while a search waits: at Python's 5 ms, a search that changes
threads twice would wait 10."""

SHUTDOWN_TIMEOUT_S = 5.0
"""Time open requests get to finish after SIGTERM."""

LINE_BYTES_MAX = 262_144
"""A request line carries ``customMetadata``: a real node takes 20 KB of it, percent-encoded up to three times that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node until SIGTERM or SIGINT; return the exit code."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    directory = Path(options.db_path)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with DirectoryLock(directory):
            asyncio.run(_serve(directory, options))
    except DirectoryInUseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m miroir.node", description="An embedded, Meilisearch-like node.")
    parser.add_argument("--http-addr", default=None, help="host:port to listen on")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7700)
    parser.add_argument("--db-path", default="./data.ms")
    parser.add_argument("--master-key", default=os.environ.get("MEILI_MASTER_KEY"))
    parser.add_argument("--reported-version", default=VERSION, help="what GET /version says, to rehearse an upgrade")
    options, _ignored = parser.parse_known_args(arguments)
    if options.http_addr is not None:
        host, _, port = options.http_addr.rpartition(":")
        options.host, options.port = host or "127.0.0.1", int(port)
    return options


def _settle_memory() -> None:
    """Keep the cycle collector off what the start has made, which stays, and seldom on what is kept later."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


async def _serve(directory: Path, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    node = Node(directory, options.master_key)
    started = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(node.run(started))
            await started.wait()
            runner = web.AppRunner(
                build_app(node, version_reported=options.reported_version),
                access_log=None,
                shutdown_timeout=SHUTDOWN_TIMEOUT_S,
                max_line_size=LINE_BYTES_MAX,
                max_field_size=LINE_BYTES_MAX,
            )
            await runner.setup()
            await web.TCPSite(runner, options.host, options.port).start()
            logging.getLogger(__name__).info("node listening on %s:%d", options.host, options.port)
            _settle_memory()
            await stop.wait()
            await runner.cleanup()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
    finally:
        node.close()
