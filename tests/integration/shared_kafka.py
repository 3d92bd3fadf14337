"""One real Kafka for all processes of a run: the first that asks starts it, and ends it when no other uses it.

Who uses it holds a lock that the system takes back from a process that dies.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from schemas.kafka import KafkaConfig
from tests.integration.real_kafka import RealKafka

POLL_S = 0.2

OTHERS_S = 1200.0
"""How long whoever started it waits for the others: longer than any run takes."""


@contextmanager
def share_kafka(directory: Path) -> Iterator[KafkaConfig]:
    """Yield how to reach the broker that all share who name this directory; topics must have names of their own.

    Raises:
        RealKafkaMissingError: it cannot be brought.
        RuntimeError: it does not answer in time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    address = directory / "address"
    with (directory / "change.lock").open("w") as change, (directory / "use.lock").open("w") as use:
        started: RealKafka | None = None
        with _locked(change):
            if not address.exists():
                started = RealKafka(directory)
                started.start()
                address.write_text(started.address)
            fcntl.flock(use, fcntl.LOCK_SH)
        try:
            yield KafkaConfig(address.read_text(), replication_factor=1)
        finally:
            fcntl.flock(use, fcntl.LOCK_UN)
            if started is not None:
                _end(started, change, use, address)


def _end(kafka: RealKafka, change: IO[str], use: IO[str], address: Path) -> None:
    """End it once nobody uses it; who asks from then on starts another."""
    deadline_s = time.monotonic() + OTHERS_S
    while True:
        with _locked(change):
            if _is_unused(use) or time.monotonic() > deadline_s:
                address.unlink()
                kafka.stop()
                return
        time.sleep(POLL_S)


def _is_unused(use: IO[str]) -> bool:
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
