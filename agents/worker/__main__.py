"""``python -m agents.worker``: run a worker until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator

from agents.worker.app import Worker
from agents.worker.watch import start_watch
from agents.worker.worker_ports import kafka_ports
from schemas.config import Settings
from schemas.errors import MiroirError
from streams.process.environment import read_settings
from streams.process.logs import set_up_logging

_log = logging.getLogger("agents.worker")


async def serve(settings: Settings) -> None:
    """Run a worker until a signal asks it to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = asyncio.create_task(_run(settings))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    worker.cancel()
    try:
        await worker
    except asyncio.CancelledError:
        _log.info("worker ended")


async def _run(settings: Settings) -> None:
    worker = Worker(settings, kafka_ports(settings))
    async with asyncio.TaskGroup() as group:
        group.create_task(start_watch(settings, worker.metrics, worker.health))
        group.create_task(worker.run())


def main() -> int:
    """Run; return the exit code."""
    try:
        settings = read_settings(os.environ)
    except MiroirError as error:
        sys.stderr.write(f"miroir worker: {error}\n")
        return 1
    set_up_logging(settings.log_level, as_json=settings.log_json)
    failed = False
    try:
        asyncio.run(serve(settings))
    except* MiroirError as group:
        failed = True
        for reason in _reasons(group):
            _log.error("the worker cannot go on", extra={"reason": reason})
    return int(failed)


def _reasons(error: BaseException) -> Iterator[str]:
    """Yield what each of the errors says, however deep it stands in groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _reasons(inner)
    else:
        yield str(error)


if __name__ == "__main__":
    sys.exit(main())
