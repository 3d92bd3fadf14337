"""The logs that the suites of this folder run on, with their clients, and where they are known to differ."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker
from schemas.errors import LogError
from schemas.ids import Partition, Position
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter
from streams.log import (
    Append,
    Bounds,
    LogAdmin,
    LogBatch,
    LogReader,
    LogRecord,
    LogTransactions,
    LogWriter,
    TopicPartition,
    TopicSpec,
)
from tests.fakes.log import FakeLog, FakeLogAdmin, FakeLogReader, FakeLogTransactions, FakeLogWriter
from tests.integration.waiting import DEADLINE_S

KNOWN_DIFFERENCES = {
    # What it is about, then how it is on a real Kafka and on the embedded broker.
    "a null key in a compacted topic": ("refused", "appended"),
    "an idempotent producer": ("appends", "refused"),
    "a transaction that was aborted": ("not read", "cannot be made"),
    "an earlier writer of the same name": ("fenced", "commits"),
    "a record over the default limit of 1 MiB": ("refused", "appended"),
    "the end by ListOffsets": ("the last offset plus one", "the last batch's first offset plus one"),
    "DeleteRecords": ("deletes", "hangs up"),
    "a compacted topic": ("compacted", "kept whole"),
    "a topic's configuration": ("all of it", "what was given"),
    "what a user may do with a topic": ("create, delete, read, write", "nothing"),
}
"""Nothing of ours may rest on the embedded column; each entry is asserted for both brokers by a test below."""

_numbers = itertools.count()


class AnyLog:
    """A log under test, and its clients, whoever they are.

    Args:
        name: ``real``, ``embedded`` or ``fake``.
        admin: of it.
        writer: to it.
        reader: of it.
        transact: makes a writer of transactions of a name.
    """

    def __init__(
        self,
        name: str,
        *,
        admin: LogAdmin,
        writer: LogWriter,
        reader: LogReader,
        transact: Callable[[str], LogTransactions],
    ) -> None:
        self.name = name
        self.admin, self.writer, self.reader = admin, writer, reader
        self.transactions = transact

    def expected(self, behaviour: str) -> str:
        """Return what the table says of this log; a fake one is as a real one."""
        real, embedded = KNOWN_DIFFERENCES[behaviour]
        return embedded if self.name == "embedded" else real

    async def topic(self, configs: dict[str, str] | None = None, *, partitions: int = 1) -> str:
        """Create a topic of a name nobody has used and wait until it is there."""
        name = f"conformance.{time.time_ns()}.{next(_numbers)}"
        await self.create(name, partitions, configs or {})
        return name

    async def create(self, name: str, partitions: int, configs: dict[str, str]) -> None:
        """Create a topic and wait until it is there, and led."""
        await self.admin.create([TopicSpec(name, partitions, configs)])
        await eventually(lambda: self.reader.bounds([TopicPartition(name, Partition(partitions - 1))]))

    async def put(self, topic: str, *values: bytes | None, key: bytes | None = b"k", partition: int = 0) -> None:
        """Append values under one key."""
        await self.writer.append([Append(topic, Partition(partition), key, value) for value in values])

    async def bounds(self, topic: str, partition: int = 0) -> Bounds:
        """Return one partition's bounds."""
        each = TopicPartition(topic, Partition(partition))
        return (await self.reader.bounds([each]))[each]

    async def batches(self, topic: str, *, start: int = 0, partition: int = 0) -> list[LogBatch]:
        """Return all batches of one partition from ``start`` to its end as it is now."""
        each = TopicPartition(topic, Partition(partition))
        end = (await self.bounds(topic, partition)).end
        await self.reader.assign({each: Position(start)})
        batches: list[LogBatch] = []
        while (batches[-1].end if batches else start) < end:
            batches += await self.reader.read(timeout_s=DEADLINE_S, records_max=1000)
        return batches

    async def records(self, topic: str, *, start: int = 0, partition: int = 0) -> list[LogRecord]:
        """Return all records of one partition from ``start`` to its end as it is now."""
        batches = await self.batches(topic, start=start, partition=partition)
        return [record for batch in batches for record in batch.records]

    async def close(self) -> None:
        """Close all clients."""
        for client in (self.reader, self.writer, self.admin):
            await client.close()


class Log(AnyLog):
    """A broker under test, and our clients of it."""

    admin: KafkaLogAdmin
    reader: KafkaLogReader

    def __init__(self, name: str, config: KafkaConfig) -> None:
        self.config = config
        super().__init__(
            name,
            admin=KafkaLogAdmin(config),
            writer=KafkaLogWriter(config),
            reader=KafkaLogReader(config, check_s=0.2),
            transact=lambda own: KafkaTransactions(config, own),
        )


@asynccontextmanager
async def broker_log(kind: str, request: pytest.FixtureRequest, directory: Path) -> AsyncIterator[Log]:
    """Yield our clients of the ``real`` Kafka of this run, or of an ``embedded`` broker of one's own."""
    async with AsyncExitStack() as stack:
        if kind == "real":
            found = Log(kind, request.getfixturevalue("real_kafka"))
        else:
            broker = EmbeddedBroker(directory / "broker.log")
            stack.push_async_callback(broker.stop)
            await broker.start()
            found = Log(kind, broker.config)
        stack.push_async_callback(found.close)
        yield found


def fake_log() -> AnyLog:
    """Return the log of the simulation, and its clients."""
    log = FakeLog()
    return AnyLog(
        "fake",
        admin=FakeLogAdmin(log),
        writer=FakeLogWriter(log),
        reader=FakeLogReader(log),
        transact=lambda own: FakeLogTransactions(log, own),
    )


async def eventually(attempt, *, timeout_s: float = 15.0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - any call
    """Return the attempt's answer once it is no ``LogError``."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                return await attempt()
            except LogError:
                await asyncio.sleep(0.05)


async def recreate(log: AnyLog, topic: str) -> None:
    """Delete a topic and create it again."""
    await log.admin.delete([topic])
    await gone(log, topic)
    await log.create(topic, 1, {})


async def gone(log: AnyLog, topic: str) -> None:
    """Wait until a deleted topic is gone."""
    async with asyncio.timeout(DEADLINE_S):
        while await log.admin.describe([topic]):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.05)


async def read_for(reader: LogReader, duration_s: float) -> Sequence[LogBatch]:
    """Read for a while and return what came."""
    deadline_s = time.monotonic() + duration_s
    batches: list[LogBatch] = []
    while time.monotonic() < deadline_s:
        batches += await reader.read(timeout_s=0.2, records_max=100)
    return batches
