"""The thread that holds the Kafka client inside a Faust worker: it fetches record batches, and alone knows positions.

What always holds: only records of committed transactions; no reset policy and no committed offset ever moves a
position; of two seeks of a partition the one with the larger number counts, whichever ends first; records of a topic
that has another id than at the seek are not handed over, where the broker tells ids. Who calls it:
``batch_consumer``, which stands before it on the program's own event loop. It must not know: agents, and what records
mean.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.errors import AnotherLogError, LogError, MissedRecordsError, NoLeaderError
from schemas.ids import Position
from streams.kafka.bounds import fetch_bounds
from streams.kafka.connection import client_arguments, stop_consumer, to_log_error
from streams.kafka.metadata import fetch_metadata
from streams.log import Bounds, LogBatch, LogRecord, TopicPartition

FETCH_BYTES_MAX = 8 * 1024 * 1024
"""What one answer of one broker may hold: with the poll under way and the queued batches it bounds the memory."""

PARTITION_BYTES_MAX = 512 * 1024
"""What one partition may take of it: a paused partition keeps as much in memory, each of them."""

FETCH_WAIT_MS = 250
"""How long a broker holds a question open: a partition that was just resumed waits at most this for its turn."""

METADATA_AGE_MS = 30_000
"""How late the group may notice that a topic it reads came back, or grew. The library's five minutes are for thousands
of clients."""


class Fetched(NamedTuple):
    """A batch and the number of the seek it was read after; a batch of an earlier seek is stale."""

    seek: int
    batch: LogBatch


@dataclass(frozen=True, slots=True)
class Problem:
    """A partition the consumer's thread could not read."""

    partition: TopicPartition
    error: LogError


class BatchThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # the library ships no types
    """Faust's thread around the Kafka consumer. All but ``wake`` and ``stay`` runs on the thread's own event loop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._assignment: Any = None
        self._positions: dict[TopicPartition, Position] = {}
        self._seeks: dict[TopicPartition, int] = {}
        self._topic_ids: dict[str, str] = {}
        self.subscribed: frozenset[str] = frozenset()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002 - the overridden signature
        app = self.app
        return AIOKafkaConsumer(
            **client_arguments(app.kafka),
            group_id=app.conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="none",
            max_poll_records=app.conf.broker_max_poll_records,
            fetch_max_bytes=FETCH_BYTES_MAX,
            max_partition_fetch_bytes=PARTITION_BYTES_MAX,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=METADATA_AGE_MS,
            session_timeout_ms=int(app.conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(app.conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(app.conf.broker_rebalance_timeout * 1000),
            max_poll_interval_ms=int(app.conf.broker_max_poll_interval * 1000),
        )

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Read these topics from now on; requires a rebalance."""
        self.subscribed = frozenset(topics)
        if self.subscribed:
            await super().subscribe(self.subscribed)
        else:
            # The library refuses an empty subscription, and there is none before the first index.
            await self.call_thread(self._unsubscribe)

    async def on_thread_stop(self) -> None:
        """Leave the group, whether brokers answer or not."""
        if self._consumer is not None:
            await stop_consumer(self._consumer)
        await super().on_thread_stop()

    async def _unsubscribe(self) -> None:
        self._ensure_consumer().unsubscribe()

    async def group_fault(self) -> LogError | None:
        """Return what keeps the client out of its group, from any event loop, and let it try again.

        Raises:
            LogError: it does not try any more.
        """
        found: LogError | None = await self.call_thread(self._group_fault)
        return found

    async def _group_fault(self) -> LogError | None:
        coordinator = getattr(self._consumer, "_coordinator", None)
        if coordinator is None:
            return None
        try:
            coordinator.check_errors()
        except KafkaError as error:
            fault = to_log_error(error, "join the consumer group")
            if coordinator._coordination_task.done():  # noqa: SLF001 - no public name
                raise fault from error
            return fault
        return None

    def stay(self) -> None:
        """Let the client stay in its group although it is asked for nothing; from any thread.

        It leaves where it was asked for no records for long, and does not come back: it takes the program for dead.
        """
        if self._consumer is not None:
            self._consumer._subscription._last_fetch_ended = time.monotonic()  # noqa: SLF001 - no public name

    async def seek_all(self, positions: Mapping[TopicPartition, Position], seek: int) -> list[Problem]:
        """Move there, from any event loop; return the partitions that do not hold their position."""
        found: list[Problem] = await self.call_thread(self._seek_all, positions, seek)
        return found

    async def _seek_all(self, positions: Mapping[TopicPartition, Position], seek: int) -> list[Problem]:
        consumer = self._ensure_consumer()
        topics = {partition.topic for partition in positions}
        ids = await _fetch_ids(consumer, topics)
        self._topic_ids |= {topic: ids.get(topic, "") for topic in topics}
        problems = await _find_outside(consumer, positions)
        outside = {problem.partition for problem in problems}
        subscription = consumer._subscription.subscription  # noqa: SLF001 - no public name
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return problems
        if self._assignment is not assignment:
            self._assignment, self._positions = assignment, {}
        for partition in positions.keys() - outside:
            # A later seek that had less to ask has been here before; or a rebalance took the partition meanwhile.
            if self._seeks.get(partition, 0) > seek or _theirs(partition) not in assignment.tps:
                continue
            consumer.seek(_theirs(partition), positions[partition])
            self._positions[partition] = positions[partition]
            self._seeks[partition] = seek
        return problems

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - the overridden signature
        max_records: int | None = None,
    ) -> dict[TP, list[Fetched | Problem]]:
        """Return at most one batch a partition, or one problem.

        A position that moved without a record (a transaction's marker, compaction) gives an empty batch, after at most
        Faust's second of waiting.
        """
        try:
            fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        except OffsetOutOfRangeError as error:
            return await self._outside(consumer, error)
        except NoOffsetForPartitionError:
            # Assigned anew, and nobody has decided yet where to start.
            return {}
        moved = self._moved(consumer, fetched)
        return await self._of_the_same_topics(consumer, moved) if fetched else moved

    async def _of_the_same_topics(
        self, consumer: AIOKafkaConsumer, moved: dict[TP, list[Fetched | Problem]]
    ) -> dict[TP, list[Fetched | Problem]]:
        """Return what was fetched, with a problem in the place of what may be of a topic made anew since the seek.

        Its positions may lie within the new one, and mean other records there. So the topic's id is asked for after the
        records have come: one more question a fetch that has brought some, a millisecond. None where no broker told the
        id at the seek, for there is nothing to compare.
        """
        asked = {partition.topic for partition in moved if self._topic_ids.get(partition.topic)}
        ids = await _fetch_ids(consumer, asked) if asked else {}
        for partition in moved:
            known, now = self._topic_ids.get(partition.topic, ""), ids.get(partition.topic, "")
            if known and now and known != now:
                ours = TopicPartition(partition.topic, partition.partition)
                self._positions.pop(ours, None)
                moved[partition] = [Problem(ours, AnotherLogError(ours.topic, expected=known, found=now))]
        return moved

    def _moved(self, consumer: AIOKafkaConsumer, fetched: Mapping[Any, Any]) -> dict[TP, list[Fetched | Problem]]:
        subscription = consumer._subscription.subscription  # noqa: SLF001 - no public name
        assignment = subscription.assignment if subscription else None
        if assignment is None or assignment is not self._assignment:
            # Assigned anew, and nobody has decided yet where to start: whatever this is, it is not asked for.
            return {}
        moved: dict[TP, list[Fetched | Problem]] = {}
        for partition, start in self._positions.items():
            state = assignment.state_value(_theirs(partition))
            if state is not None and state.has_valid_position and state.position != start:
                records = tuple(
                    [LogRecord(r.offset, r.timestamp, r.key, r.value) for r in fetched.get(_theirs(partition), ())]
                )
                end = Position(state.position)
                batch = LogBatch(partition.topic, partition.partition, start, end, records)
                moved[TP(*partition)] = [Fetched(self._seeks[partition], batch)]
        for (each,) in moved.values():
            assert isinstance(each, Fetched)
            self._positions[TopicPartition(each.batch.topic, each.batch.partition)] = each.batch.end
        return moved

    async def _outside(
        self, consumer: AIOKafkaConsumer, error: OffsetOutOfRangeError
    ) -> dict[TP, list[Fetched | Problem]]:
        """Return the problem of each partition the broker called out of range, and stop reading those."""
        positions = {TopicPartition(*each): Position(at) for each, at in error.args[0].items()}
        problems = await _find_outside(consumer, positions)
        known = {problem.partition for problem in problems}
        # Out of range a moment ago, inside now: ask again.
        for partition in positions.keys() & self._positions.keys() - known:
            consumer.seek(_theirs(partition), self._positions[partition])
        for partition in known:
            self._positions.pop(partition, None)
        return {TP(*problem.partition): [problem] for problem in problems}

    def wake(self) -> None:
        """Let a waiting fetch look at its partitions again; from any thread."""
        if self._consumer is not None and self._consumer._fetcher is not None:  # noqa: SLF001 - no public name
            self.thread_loop.call_soon_threadsafe(self._wake, self._consumer._fetcher)  # noqa: SLF001

    @staticmethod
    def _wake(fetcher: Any) -> None:
        for waiter in list(fetcher._fetch_waiters):  # noqa: SLF001 - no public name
            fetcher._notify(waiter)  # noqa: SLF001


async def _fetch_ids(consumer: AIOKafkaConsumer, topics: Collection[str]) -> Mapping[str, str]:
    """Return the ids of these topics as far as a broker tells them now."""
    try:
        metadata = await fetch_metadata(consumer._client, sorted(topics))  # noqa: SLF001 - asked beside the fetches
    except (KafkaError, OSError, TimeoutError):
        return {}
    return {name: topic.id for name, topic in metadata.topics.items() if topic.id}


async def _find_outside(consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, Position]) -> list[Problem]:
    """Return a problem for each partition that does not hold its position, or cannot be asked about."""
    problems = []
    for topic in sorted({partition.topic for partition in positions}):
        own = {partition: position for partition, position in positions.items() if partition.topic == topic}
        problems += await _find_outside_topic(consumer, own)
    return problems


async def _find_outside_topic(
    consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, Position]
) -> list[Problem]:
    if not positions:
        return []
    try:
        # The consumer's own question would wait. Whoever is told that there is no leader tries again.
        bounds = await fetch_bounds(consumer._client, list(positions), election_s=0.0)  # noqa: SLF001
    except NoLeaderError as error:
        led = {partition: position for partition, position in positions.items() if partition not in error.partitions}
        away = [Problem(partition, error) for partition in positions if partition in error.partitions]
        return away + await _find_outside_topic(consumer, led)
    except LogError as error:
        return [Problem(partition, error) for partition in positions]
    except (KafkaError, OSError, TimeoutError) as error:
        return [Problem(partition, to_log_error(error, "ask for bounds")) for partition in positions]
    return [
        Problem(partition, _missed(partition, position, bounds[partition]))
        for partition, position in positions.items()
        if not bounds[partition].beginning <= position <= bounds[partition].end
    ]


def _missed(partition: TopicPartition, wanted: Position, bounds: Bounds) -> MissedRecordsError:
    return MissedRecordsError(
        topic=partition.topic, partition=partition.partition, wanted=wanted, beginning=bounds.beginning, end=bounds.end
    )


def _theirs(partition: TopicPartition) -> Any:
    return driver.TopicPartition(partition.topic, partition.partition)
