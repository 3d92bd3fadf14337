"""Reads partitions of a Kafka from positions of our choice.

What always holds: no consumer group and no committed offset; only records of committed transactions; a position outside
the log is an error, never a jump; after any error the reader stands where its last returned batch ended. Who calls it:
catch-up, the folds of cluster and progress. It must not know: what records mean.

Does a position always reach the end? Tried on Kafka 4.1: yes. A transaction's marker, an aborted transaction and the
batches that compaction emptied (Kafka keeps their headers) all move the position as soon as they are fetched, up to the
last stable offset; and what stands last is in the active segment, which is never cleaned, so that a partition does not
end in a hole. Where a broker behaves otherwise, a position that stays before the last stable offset is noticed within
two checks, and a fetch of that partition alone decides: only an answer without a single byte moves the position.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import aiokafka
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, RecordTooLargeError

from schemas.errors import LogError, LogUnavailableError, MissedRecordsError
from schemas.ids import Offset, Position
from schemas.kafka import KafkaConfig
from streams.kafka.bounds import ELECTION_S, fetch_bounds, fetch_tail
from streams.kafka.connection import client_arguments, connecting, stop_consumer, to_log_error, translated
from streams.kafka.metadata import fetch_metadata, require_topics
from streams.log import Bounds, LogBatch, LogRecord, TopicPartition

FETCH_BYTES_MAX = 8 * 1024 * 1024
"""What one answer of one broker may hold. A reader keeps at most one answer a broker, and hands out another."""

PARTITION_BYTES_MAX = 1024 * 1024
"""What one partition may take of it, so that twelve partitions share an answer fairly. A larger record still comes."""

FETCH_WAIT_MS = 250
"""How long a broker holds a question open when it has nothing: the client library's loop turns four times a second."""

SLICE_S = 0.1
"""How often a waiting read looks at positions: an aborted transaction moves one without waking the reader."""

CHECK_S = 5.0
"""How often it is checked that brokers answer, and that topics are the ones assigned: the library retries for ever in
silence. One small request each time."""


class KafkaLogReader:
    """``LogReader`` over a Kafka cluster. For one task at a time; connects at first use.

    Args:
        config: how to reach the cluster.
        fetch_bytes_max: what one answer of one broker may hold; memory stays within about three times of it.
        check_s: how often it is checked, while reading, that the log is there and the one that was assigned.
        election_s: how long partitions whose leader is being chosen are waited for; 0 where whoever asks about many
            asks again soon, and must not wait for one of them.
    """

    def __init__(
        self,
        config: KafkaConfig,
        *,
        fetch_bytes_max: int = FETCH_BYTES_MAX,
        check_s: float = CHECK_S,
        election_s: float = ELECTION_S,
    ) -> None:
        self._config = config
        self._election_s = election_s
        self._check_s = check_s
        self._fetch_bytes_max = fetch_bytes_max
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[TopicPartition, Position] = {}
        self._topic_ids: Mapping[str, str] = {}
        self._stuck: Mapping[TopicPartition, Position] = {}
        self._checked_s = 0.0

    async def assign(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read exactly these partitions from now on; see ``LogReader``.

        Where the set of partitions changes, what was fetched ahead is fetched again; no record is lost or doubled.
        """
        changed = {partition: wanted for partition, wanted in positions.items() if self._stands(partition) != wanted}
        with translated("assign partitions"):
            consumer = await self._started()
            topics = sorted({partition.topic for partition in positions})
            self._topic_ids = await self._ids(consumer, topics)
        _require_inside(changed, await self.bounds(list(changed)))
        same_set = positions.keys() == self._positions.keys()
        self._positions = dict(positions)
        if same_set:
            self._seek(consumer, changed)
        elif positions:
            consumer.assign([_theirs(partition) for partition in positions])
            self._seek(consumer, positions)
        else:
            consumer.unsubscribe()
        self._checked_s = time.monotonic()

    async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
        """Return what has arrived, at most one batch a partition; see ``LogReader``.

        A cancelled read loses nothing: positions move only together with what is returned.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            batches = await self._check() if time.monotonic() - self._checked_s >= self._check_s else ()
            batches = batches or await self._take(min(left_s, SLICE_S), records_max)
            if batches or left_s <= 0.0:
                return batches

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """Return what each partition holds now, its end being the last stable offset; see ``LogReader``."""
        if not partitions:
            return {}
        with translated("ask for bounds"):
            # The consumer's own questions would wait behind its fetches; its connections need not.
            client = (await self._started())._client  # noqa: SLF001
            return await fetch_bounds(client, partitions, election_s=self._election_s)

    async def close(self) -> None:
        """Leave. Safe to call twice."""
        consumer, self._consumer = self._consumer, None
        self._positions = {}
        if consumer is not None:
            await stop_consumer(consumer)

    def _stands(self, partition: TopicPartition) -> Position | None:
        return self._positions.get(partition)

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **client_arguments(self._config),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="none",
                fetch_max_wait_ms=FETCH_WAIT_MS,
                fetch_max_bytes=self._fetch_bytes_max,
                max_partition_fetch_bytes=min(PARTITION_BYTES_MAX, self._fetch_bytes_max),
            )
            try:
                with connecting(self._config):
                    await consumer.start()
            except BaseException:
                await stop_consumer(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    async def _take(self, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
        """Return what arrives within ``timeout_s``, and the empty batches of partitions that moved without records."""
        if self._consumer is None or not self._positions:
            await asyncio.sleep(timeout_s)
            return ()
        try:
            fetched = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=records_max)
        except OffsetOutOfRangeError as error:
            self._seek(self._consumer, self._positions)
            raise await self._outside(error) from error
        except RecordTooLargeError as error:
            # The library has stepped over the record (never on a Kafka newer than 0.10): step back.
            self._seek(self._consumer, self._positions)
            raise LogError(f"read: a record is larger than the fetch size: {error}") from error
        except (KafkaError, OSError, TimeoutError) as error:
            # Other partitions' records of the same call are gone with it: fetch them again.
            self._seek(self._consumer, self._positions)
            raise to_log_error(error, "read") from error
        return await self._moved(fetched)

    async def _moved(self, fetched: Mapping[aiokafka.TopicPartition, Sequence[ConsumerRecord]]) -> Sequence[LogBatch]:
        """Return a batch for every partition whose position moved. Never suspends: every position is known."""
        assert self._consumer is not None
        batches = []
        for each, start in self._positions.items():
            theirs = _theirs(each)
            end = Position(await self._consumer.position(theirs))
            if end != start:
                records = tuple(_record(record) for record in fetched.get(theirs, ()))
                batches.append(LogBatch(each.topic, each.partition, start, end, records))
        for batch in batches:
            self._positions[TopicPartition(batch.topic, batch.partition)] = batch.end
        return batches

    def _seek(self, consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, Position]) -> None:
        for each, position in positions.items():
            consumer.seek(_theirs(each), position)

    async def _outside(self, error: OffsetOutOfRangeError) -> LogError:
        """Return what the broker's "out of range" means: another log, or the bounds as they are now."""
        try:
            await self._check()
            _require_inside(self._positions, await self.bounds(list(self._positions)))
        except LogError as found:
            return found
        return LogUnavailableError(f"read: out of range a moment ago, inside now: {error}")

    async def _check(self) -> Sequence[LogBatch]:
        """Return an empty batch for every tail that holds nothing; raise where the log is away or another one."""
        assert self._consumer is not None
        self._checked_s = time.monotonic()
        with translated("check the log"):
            ids = await self._ids(self._consumer, sorted(self._topic_ids))
        replaced = {topic for topic, topic_id in ids.items() if topic_id != self._topic_ids[topic]}
        batches: list[LogBatch] = []
        for each, position in list(self._positions.items()):
            stable = self._consumer.last_stable_offset(_theirs(each))
            if each.topic in replaced or (stable is not None and 0 <= stable < position):
                await self._require_same(each, position, replaced=each.topic in replaced)
            elif self._stuck.get(each) == position and stable is not None and stable > position:
                batches += await self._skip_empty_tail(each, position)
        self._stuck = dict(self._positions)
        return batches

    async def _require_same(self, partition: TopicPartition, position: Position, *, replaced: bool) -> None:
        found = (await self.bounds([partition]))[partition]
        if replaced or not found.beginning <= position <= found.end:
            raise _missed(partition, position, found)

    async def _skip_empty_tail(self, partition: TopicPartition, position: Position) -> Sequence[LogBatch]:
        """Return an empty batch to the end, where a fetch of this partition alone shows that nothing stands before it.

        The answer tells the end and carries no batch although one, whatever its size, would have come: so there was
        none between the position and that end when it was given, and below the last stable offset none appears later.
        """
        assert self._consumer is not None
        with translated("look at the tail"):
            tail = await fetch_tail(self._consumer._client, partition, position)  # noqa: SLF001 - as in bounds
        if not tail.empty or tail.end <= position:
            return ()
        self._consumer.seek(_theirs(partition), tail.end)
        self._positions[partition] = tail.end
        return (LogBatch(partition.topic, partition.partition, position, tail.end, ()),)

    async def _ids(self, consumer: AIOKafkaConsumer, topics: Sequence[str]) -> Mapping[str, str]:
        # The consumer has no question that tells ids; its connection does.
        metadata = await fetch_metadata(consumer._client, topics)  # noqa: SLF001
        require_topics(metadata, topics)
        return {topic: metadata.topics[topic].id for topic in topics}


def _theirs(partition: TopicPartition) -> aiokafka.TopicPartition:
    return aiokafka.TopicPartition(partition.topic, partition.partition)


def _record(record: ConsumerRecord) -> LogRecord:
    return LogRecord(Offset(record.offset), record.timestamp, record.key, record.value)


def _require_inside(positions: Mapping[TopicPartition, Position], bounds: Mapping[TopicPartition, Bounds]) -> None:
    """Raise ``MissedRecordsError`` for the first position that its partition does not hold."""
    for each, wanted in positions.items():
        if not bounds[each].beginning <= wanted <= bounds[each].end:
            raise _missed(each, wanted, bounds[each])


def _missed(partition: TopicPartition, wanted: Position, bounds: Bounds) -> MissedRecordsError:
    return MissedRecordsError(
        topic=partition.topic,
        partition=partition.partition,
        wanted=wanted,
        beginning=bounds.beginning,
        end=bounds.end,
    )
