"""A worker reduced to what record batches promise, and a broker with what a test of it needs around."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from agents.worker.record_batches import add_index_agent, make_app
from schemas.errors import LogError
from schemas.ids import Partition, Position
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append, LogBatch, TopicPartition, TopicSpec

WAIT_S = 100.0
"""A rebalance takes 0.3 s on Kafka and 2 s on the embedded broker; a machine under load gets this long."""

POLL_S = 0.02
"""How often its insides are looked at: they tell nobody."""


class Worker:
    """A worker reduced to what the promise is about: it takes batches, and remembers where it stands.

    Attributes:
        starts: where to begin; a partition that is missing begins at 0.
        left_out: partitions it wants nothing of.
        batches: all it was handed, in order.
    """

    def __init__(self, group: str, config: KafkaConfig, starts: dict[TopicPartition, Position] | None = None) -> None:
        self.app = make_app(group, config=config, owner=self)
        self.starts = starts if starts is not None else {}
        self.left_out: set[TopicPartition] = set()
        self.batches: list[LogBatch] = []
        self.problems: dict[TopicPartition, LogError] = {}
        self.revocations = 0
        self._next: dict[TopicPartition, Position] = {}
        self._changed = asyncio.Event()

    async def start_positions(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Begin where the last batch ended."""
        self._next = {partition: self.starts.get(partition, Position(0)) for partition in partitions - self.left_out}
        self._changed.set()
        return dict(self._next)

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Count it."""
        assert partitions is not None
        self.revocations += 1
        self._next = {}

    async def stopped(self, partition: TopicPartition, error: LogError) -> None:
        """Remember why."""
        self.problems[partition] = error
        self._changed.set()

    async def handle(self, batch: LogBatch) -> None:
        """Assert the promise: no gap, no step back, between two decisions where to begin."""
        partition = TopicPartition(batch.topic, batch.partition)
        assert batch.start == self._next[partition]
        assert all(batch.start <= record.offset < batch.end for record in batch.records)
        self._next[partition] = self.starts[partition] = batch.end
        self.batches.append(batch)
        self._changed.set()

    async def seek(self, partition: TopicPartition, position: int) -> None:
        """Go elsewhere."""
        self._next[partition] = self.starts[partition] = Position(position)
        await self.app.seek({partition: Position(position)})

    def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        """Return the values it was handed of one partition."""
        return [
            record.value
            for batch in self.batches
            for record in batch.records
            if (batch.topic, batch.partition) == (topic, partition)
        ]

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = WAIT_S) -> None:
        """Wait until the condition holds, looking after every batch, and often enough beside."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                try:
                    async with asyncio.timeout(0.1):
                        await self._changed.wait()
                except TimeoutError:
                    continue


class Bench:
    """A broker, and what a test needs around the workers."""

    def __init__(self, config: KafkaConfig, stack: AsyncExitStack) -> None:
        self.config = config
        self.admin = KafkaLogAdmin(config)
        self.writer = KafkaLogWriter(config)
        self._stack = stack
        self._reader = KafkaLogReader(config)
        self.group = f"group-{time.time_ns()}"
        for client in (self.admin, self.writer, self._reader):
            stack.push_async_callback(client.close)

    async def topic(self, partitions: int = 1) -> str:
        """Create a topic and wait until it is there."""
        name = f"batches.{time.time_ns()}"
        await self.admin.create([TopicSpec(name, partitions, {})])
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    await self._reader.bounds([TopicPartition(name, Partition(partitions - 1))])
                except LogError:
                    await asyncio.sleep(0.05)
                else:
                    return name

    async def put(self, topic: str, *values: bytes, partition: int = 0) -> None:
        """Append values to one partition."""
        await self.writer.append([Append(topic, Partition(partition), b"k", value) for value in values])

    async def worker(
        self,
        *topics: str,
        starts: dict[TopicPartition, Position] | None = None,
        left_out: set[TopicPartition] | None = None,
    ) -> Worker:
        """Start a worker with an agent for each topic; it is stopped at the end of the test."""
        worker = Worker(self.group, self.config, starts)
        worker.left_out = left_out or set()
        for topic in topics:
            await add_index_agent(worker.app, topic, worker.handle)
        await self.run(worker)
        return worker

    async def run(self, worker: Worker) -> None:
        """Start a worker that has its agents; it is stopped at the end of the test."""
        self._stack.push_async_callback(worker.app.stop)
        await worker.app.start()

    async def fetched(self, worker: Worker, partition: TopicPartition) -> None:
        """Wait until the worker's client has fetched the partition to its end, whatever became of it."""
        end = (await self._reader.bounds([partition]))[partition].end
        async with asyncio.timeout(WAIT_S):
            while worker.app.consumer._thread._positions.get(partition) != end:  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(POLL_S)

    async def polling(self, worker: Worker) -> None:
        """Wait until the worker's client waits for records."""
        async with asyncio.timeout(WAIT_S):
            while not worker.app.consumer._thread._consumer._fetcher._fetch_waiters:  # noqa: ASYNC110 - as above
                await asyncio.sleep(POLL_S)


def at(topic: str, partition: int = 0) -> TopicPartition:
    """Return a partition."""
    return TopicPartition(topic, Partition(partition))
