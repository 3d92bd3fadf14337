"""An in-memory log that behaves as the ports of ``streams/log.py`` say.

Several readers, writers and an admin share one ``FakeLog``. Partitions may be compacted and trimmed, the log may be
away, and positions may move without records, as transactions make them.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.errors import (
    FencedError,
    LogError,
    LogUnavailableError,
    MissedRecordsError,
    NoLeaderError,
    NoTopicError,
    RecordTooLargeError,
)
from schemas.ids import Offset, Partition, Position
from streams.log import Append, Bounds, LogBatch, LogIdentity, LogRecord, TopicFound, TopicPartition, TopicSpec

ELECTION_RETRY_S = 0.1
"""Between two looks whether a broker leads what is asked about."""

RECORD_BYTES_MAX = 1024 * 1024
"""Kafka's default."""


@dataclass(slots=True)
class _PartitionLog:
    """One partition: its records by offset, and where it begins and ends."""

    beginning: int = 0
    end: int = 0
    records: list[LogRecord] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """Readers that wait for something to happen here."""

    def records_from(self, position: int) -> list[LogRecord]:
        """Return the records from a position on."""
        return self.records[bisect_left(self.records, position, key=lambda record: record.offset) :]

    def wake(self) -> None:
        """Let every waiting reader look again."""
        waiting, self.waiting = self.waiting, []
        for reader in waiting:
            if not reader.done():
                reader.set_result(None)


class FakeLog:
    """The brokers.

    Attributes:
        away: while True, every call fails as if no broker answered.
        leaderless: partitions that no broker leads: nothing is read of them, and nothing appended.
        lagging: topics that the broker which readers ask does not know yet, or does not know any more.
        now_ms: the timestamp of the next records.
    """

    def __init__(self) -> None:
        self.away = False
        self.leaderless: set[TopicPartition] = set()
        self.lagging: set[str] = set()
        self.now_ms = 1_700_000_000_000
        self._topics: dict[str, tuple[TopicSpec, list[_PartitionLog]]] = {}
        self._fences: dict[str, int] = {}
        self._creations = 0
        self._topic_ids: dict[str, str] = {}

    def create(self, spec: TopicSpec) -> None:
        """Make a topic; one that exists stays as it is."""
        if spec.name not in self._topics:
            self._creations += 1
            self._topic_ids[spec.name] = f"topic-{self._creations}"
            self._topics[spec.name] = (spec, [_PartitionLog() for _ in range(spec.partitions)])

    def delete(self, name: str) -> None:
        """Delete a topic."""
        _, partitions = self._topics.pop(name, (None, ()))
        for partition in partitions:
            partition.wake()

    def append(self, append: Append) -> Offset:
        """Append one record."""
        self.require_there()
        size_bytes = len(append.key or b"") + len(append.value or b"")
        if size_bytes > RECORD_BYTES_MAX:
            raise RecordTooLargeError(append.topic, size_bytes)
        partition = self.partition(TopicPartition(append.topic, append.partition))
        self.require_led([TopicPartition(append.topic, append.partition)])
        offset = Offset(partition.end)
        partition.records.append(LogRecord(offset, self.stamp_ms(), append.key, append.value))
        partition.end += 1
        partition.wake()
        return offset

    def stamp_ms(self) -> int:
        """Return the timestamp of the next record."""
        return self.now_ms

    def skip(self, where: TopicPartition, positions: int = 1) -> None:
        """Let the end move without a record, as a transaction's marker does."""
        partition = self.partition(where)
        partition.end += positions
        partition.wake()

    def trim(self, where: TopicPartition, beginning: int) -> None:
        """Delete the records before a position."""
        partition = self.partition(where)
        partition.beginning = beginning
        partition.records = partition.records_from(beginning)
        partition.wake()

    def compact(self, where: TopicPartition, *, tombstones_from_ms: int = 0) -> None:
        """Keep the last record of each key, holes in the place of the others.

        Args:
            where: which partition.
            tombstones_from_ms: deletes that were written before this time go too.
        """
        partition = self.partition(where)
        last = {record.key: record.offset for record in partition.records}
        partition.records = [
            record
            for record in partition.records
            if last[record.key] == record.offset
            and (record.value is not None or record.timestamp_ms >= tombstones_from_ms)
        ]

    def records(self, topic: str, partition: int = 0) -> Sequence[LogRecord]:
        """Return what a partition holds."""
        return tuple(self.partition(TopicPartition(topic, Partition(partition))).records)

    def topics(self) -> Mapping[str, TopicSpec]:
        """Return the topics that exist."""
        return {name: spec for name, (spec, _) in self._topics.items()}

    def topic_id(self, name: str) -> str:
        """Return the id of a topic that exists, another one each time it is made."""
        return self._topic_ids[name]

    def partition(self, where: TopicPartition) -> _PartitionLog:
        """Return a partition.

        Raises:
            NoTopicError: the topic, or the partition, does not exist.
        """
        if where.topic not in self._topics:
            raise NoTopicError(f"no such topic: {where.topic}", frozenset({where.topic}))
        partitions = self._topics[where.topic][1]
        if where.partition >= len(partitions):
            message = f"{where.topic}: no partition {where.partition}, found {len(partitions)}"
            raise NoTopicError(message, frozenset({where.topic}))
        return partitions[where.partition]

    def seen(self, where: TopicPartition) -> _PartitionLog:
        """Return a partition as a reader finds it.

        Raises:
            NoTopicError: the topic, or the partition, does not exist, or is not known yet to whoever was asked.
        """
        if where.topic in self.lagging:
            raise NoTopicError(f"no such topic: {where.topic}", frozenset({where.topic}))
        return self.partition(where)

    def require_led(self, partitions: Collection[TopicPartition]) -> None:
        """Raise where no broker leads some of these."""
        if not_led := self.leaderless & frozenset(partitions):
            raise NoLeaderError(frozenset(not_led))

    def require_there(self) -> None:
        """Raise where no broker answers."""
        if self.away:
            raise LogUnavailableError("no broker answers")

    def require_key(self, append: Append) -> None:
        """Raise where a compacted topic is given a record without a key: Kafka takes nothing of its batch."""
        spec, _ = self._topics.get(append.topic, (None, ()))
        if append.key is None and spec is not None and "compact" in spec.configs.get("cleanup.policy", ""):
            raise LogError(f"{append.topic}: a record without a key in a compacted topic")

    def fence(self, name: str) -> int:
        """Return a new writer's number; earlier ones of the name are shut out."""
        self._fences[name] = self._fences.get(name, 0) + 1
        return self._fences[name]

    def require_last(self, name: str, number: int) -> None:
        """Raise where a later writer of the name has fenced."""
        if self._fences.get(name) != number:
            raise FencedError(f"a later writer of {name!r} has taken over")

    async def wait(self, partitions: Collection[TopicPartition], timeout_s: float) -> None:
        """Return when something happened to one of these, or after the time."""
        loop = asyncio.get_running_loop()
        happened = loop.create_future()
        timer = loop.call_later(timeout_s, _end, happened)
        places = [self.partition(where) for where in partitions]
        for place in places:
            place.waiting.append(happened)
        try:
            await happened
        finally:
            timer.cancel()
            for place in places:
                if happened in place.waiting:
                    place.waiting.remove(happened)


def _end(happened: "asyncio.Future[None]") -> None:
    if not happened.done():
        happened.set_result(None)


class FakeLogReader:
    """``LogReader`` over a ``FakeLog``.

    Args:
        log: what it reads.
        election_s: how long whoever asks for bounds waits for partitions that no broker leads.
    """

    def __init__(self, log: FakeLog, *, election_s: float = 0.0) -> None:
        self._log = log
        self._election_s = election_s
        self._positions: dict[TopicPartition, Position] = {}
        self._topic_ids: dict[str, str] = {}

    async def assign(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read these partitions from these positions; see ``LogReader``."""
        self._log.require_there()
        self._log.require_led([where for where, at in positions.items() if self._positions.get(where) != at])
        for where, position in positions.items():
            self._log.seen(where)
            self._require_inside(where, position)
        self._topic_ids = {where.topic: self._log.topic_id(where.topic) for where in positions}
        self._positions = dict(positions)

    async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
        """Return what has arrived; see ``LogReader``."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while True:
            self._log.require_there()
            batches = self._take(records_max)
            if batches or loop.time() >= deadline_s:
                return batches
            await self._log.wait(self._positions, deadline_s - loop.time())

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """Return what each partition holds; see ``LogReader``."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._election_s
        while self._log.leaderless & set(partitions) and loop.time() < deadline_s:  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(ELECTION_RETRY_S)
        self._log.require_there()
        found = {where: self._log.seen(where) for where in partitions}
        self._log.require_led(partitions)
        return {where: Bounds(Position(each.beginning), Position(each.end)) for where, each in found.items()}

    async def close(self) -> None:
        """Leave."""
        self._positions = {}

    def _take(self, records_max: int) -> list[LogBatch]:
        batches = []
        for where, start in self._positions.items():
            self._require_inside(where, start)
            partition = self._log.partition(where)
            if self._log.topic_id(where.topic) != self._topic_ids[where.topic]:
                # Made again since: whatever stands there, it does not continue what was read.
                raise _missed(where, start, partition)
            if partition.end == start or not records_max or where in self._log.leaderless:
                continue
            ahead = partition.records_from(start)
            records = ahead[:records_max]
            end = Position(partition.end) if len(records) == len(ahead) else Position(records[-1].offset + 1)
            records_max -= len(records)
            if end != start and (records or not ahead):
                batches.append(LogBatch(where.topic, where.partition, start, end, tuple(records)))
        for batch in batches:
            self._positions[TopicPartition(batch.topic, batch.partition)] = batch.end
        return batches

    def _require_inside(self, where: TopicPartition, position: Position) -> None:
        partition = self._log.partition(where)
        if not partition.beginning <= position <= partition.end:
            raise _missed(where, position, partition)


def _missed(where: TopicPartition, position: Position, partition: _PartitionLog) -> MissedRecordsError:
    return MissedRecordsError(
        topic=where.topic,
        partition=where.partition,
        wanted=position,
        beginning=partition.beginning,
        end=partition.end,
    )


class FakeLogWriter:
    """``LogWriter`` over a ``FakeLog``."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append all, in order; see ``LogWriter``."""
        for append in appends:
            self._log.require_key(append)
        return [self._log.append(append) for append in appends]

    async def close(self) -> None:
        """Leave."""


class FakeLogTransactions:
    """``LogTransactions`` over a ``FakeLog``: a commit is followed by its marker."""

    def __init__(self, log: FakeLog, name: str) -> None:
        self._log = log
        self._name = name
        self._number = 0

    async def fence(self) -> None:
        """Shut out earlier writers of the name; see ``LogTransactions``."""
        self._log.require_there()
        self._number = self._log.fence(self._name)

    async def commit(self, appends: Sequence[Append]) -> None:
        """Append all or nothing; see ``LogTransactions``."""
        self._log.require_there()
        if not self._number:
            raise LogUnavailableError("commit: fence first, and again after a failure")
        self._log.require_last(self._name, self._number)
        for append in appends:
            self._log.append(append)
        for where in {TopicPartition(append.topic, append.partition) for append in appends}:
            self._log.skip(where)

    async def close(self) -> None:
        """Leave."""


class FakeLogAdmin:
    """``LogAdmin`` over a ``FakeLog``."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    async def describe(self, names: Sequence[str]) -> Mapping[str, TopicFound]:
        """Return those that exist; see ``LogAdmin``."""
        self._log.require_there()
        found = self._log.topics()
        return {
            name: TopicFound(name, found[name].partitions, 1, found[name].configs) for name in names if name in found
        }

    async def identify(self, names: Sequence[str]) -> Mapping[str, LogIdentity]:
        """Return the identity of those that exist; see ``LogAdmin``."""
        self._log.require_there()
        found = self._log.topics()
        return {name: LogIdentity("fake", self._log.topic_id(name)) for name in names if name in found}

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create those that do not exist; see ``LogAdmin``."""
        self._log.require_there()
        for spec in specs:
            self._log.create(spec)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete those that exist; see ``LogAdmin``."""
        self._log.require_there()
        for name in names:
            self._log.delete(name)

    async def close(self) -> None:
        """Leave."""
