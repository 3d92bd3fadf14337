"""What every client does while its broker is killed, frozen and back with its data. Each test has its own Kafka."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from schemas.errors import LogUnavailableError
from schemas.ids import Partition, Position
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append, TopicPartition, TopicSpec
from tests.integration.real_kafka import RealKafka
from tests.integration.waiting import DEADLINE_S

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

TOPIC = TopicPartition("away", Partition(0))
BOUND_S = 30.0
"""Two request time-outs, one check, and the time to let go of a producer, twice: the machine may be busy."""


@dataclass
class Clients:
    """One of each, on one topic, with three records written and read."""

    reader: KafkaLogReader
    writer: KafkaLogWriter
    admin: KafkaLogAdmin
    transactions: KafkaTransactions


@pytest.fixture
async def clients(own_kafka: RealKafka) -> AsyncIterator[Clients]:
    """Clients that have been at work before their broker goes."""
    config = replace(own_kafka.config, request_timeout_ms=2000)
    found = Clients(
        KafkaLogReader(config, check_s=0.5),
        KafkaLogWriter(config),
        KafkaLogAdmin(config),
        KafkaTransactions(config, "away"),
    )
    async with AsyncExitStack() as stack:
        for client in (found.reader, found.writer, found.admin, found.transactions):
            stack.push_async_callback(client.close)
        await found.admin.create([TopicSpec(TOPIC.topic, 1, {})])
        await found.transactions.fence()
        await _put(found.writer, b"1", b"2", b"3")
        await found.reader.assign({TOPIC: Position(0)})
        assert await _values(found.reader, 3) == [b"1", b"2", b"3"]
        yield found


async def test_killed_broker_is_unavailable_in_time_and_comes_back(own_kafka: RealKafka, clients: Clients) -> None:
    """Every call fails with the typed error within a bound, and the same clients go on when the broker is back."""
    own_kafka.kill()

    await _all_unavailable(clients)

    await asyncio.to_thread(own_kafka.start)
    await _put(clients.writer, b"4")
    # Nothing that was refused while it was away has been written after all.
    assert await _values(clients.reader, 1) == [b"4"]
    await clients.transactions.fence()
    await clients.transactions.commit([Append(*TOPIC, b"k", b"5")])
    assert await _values(clients.reader, 1) == [b"5"]


async def test_frozen_broker_is_unavailable_in_time_and_comes_back(own_kafka: RealKafka, clients: Clients) -> None:
    """A broker that keeps its connections and says nothing counts as away too."""
    own_kafka.freeze()
    try:
        await _all_unavailable(clients)
    finally:
        own_kafka.thaw()

    await _put(clients.writer, b"last")
    values = await _values_until(clients.reader, b"last")
    # A frozen broker may have got what it never answered: that is what "some may be in the log" means.
    assert set(values) <= {b"refused", b"last"}


async def test_close_returns_while_the_broker_is_away(own_kafka: RealKafka, clients: Clients) -> None:
    """No client waits for a broker that is gone, and closing twice is safe."""
    own_kafka.kill()

    for client in (clients.reader, clients.writer, clients.admin, clients.transactions):
        await _within(client.close())
        await client.close()


async def _all_unavailable(clients: Clients) -> None:
    """Assert that every call raises ``LogUnavailableError`` within the bound."""
    append = Append(*TOPIC, b"k", b"refused")
    await asyncio.gather(
        _unavailable(_read_on(clients.reader)),
        _unavailable(clients.writer.append([append])),
        _unavailable(clients.admin.create([TopicSpec("other", 1, {})])),
        _unavailable(clients.transactions.commit([append])),
    )
    await asyncio.gather(
        _unavailable(clients.transactions.fence()),
        _unavailable(clients.writer.append([append])),
        _unavailable(clients.admin.describe([TOPIC.topic])),
        _unavailable(clients.reader.bounds([TOPIC])),
    )


async def _unavailable(call: Awaitable[object]) -> None:
    with pytest.raises(LogUnavailableError):
        await _within(call)


async def _read_on(reader: KafkaLogReader) -> None:
    """Read until it fails."""
    while True:
        await reader.read(timeout_s=0.2, records_max=10)


async def _within(call: Awaitable[object]) -> None:
    """Await the call, and assert that it ends in time, however it ends."""
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(BOUND_S + 5):
            await call
    finally:
        assert time.monotonic() - began_s < BOUND_S


async def _put(writer: KafkaLogWriter, *values: bytes) -> None:
    """Append until it succeeds."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                await writer.append([Append(*TOPIC, b"k", value) for value in values])
            except LogUnavailableError:
                await asyncio.sleep(0.1)
            else:
                return


async def _values(reader: KafkaLogReader, number: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(values) < number:
            try:
                batches = await reader.read(timeout_s=0.2, records_max=100)
            except LogUnavailableError:
                continue
            values += [record.value for batch in batches for record in batch.records]
    return values


async def _values_until(reader: KafkaLogReader, last: bytes) -> list[bytes | None]:
    values: list[bytes | None] = []
    while last not in values:
        values += await _values(reader, 1)
    return values
