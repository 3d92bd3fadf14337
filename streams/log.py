"""The log as the rest of the project sees it: records, batches of one partition, and the ports to read and append.

What always holds: a batch is a half-open range of *positions* ``[start, end)``; ``end`` is where the consumer stands
after it, which compaction and transactions may put beyond the last record's offset plus one, and a batch may hold no
record at all. Who calls it: the workers, the controller and the query service. It must not know: which client library
carries it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from schemas.ids import Offset, Partition, Position


class LogRecord(NamedTuple):
    """One record as it stands in the log.

    Attributes:
        offset: where it stands in its partition.
        timestamp_ms: when it was appended or made, as the topic is configured; milliseconds since 1970.
        key: its key, or None where the producer gave none.
        value: its value; None is a tombstone.
    """

    offset: Offset
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class LogBatch:
    """What one read brought of one partition: its positions ``[start, end)`` and the records in them, by offset."""

    topic: str
    partition: Partition
    start: Position
    end: Position
    records: tuple[LogRecord, ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: Partition


class Bounds(NamedTuple):
    """What a partition holds: positions ``[beginning, end]``; ``end`` is the last stable offset."""

    beginning: Position
    end: Position


class Append(NamedTuple):
    """A record to append. ``partition`` is chosen by us, never by the client library."""

    topic: str
    partition: Partition
    key: bytes | None
    value: bytes | None


class LogReader(Protocol):
    """Reads partitions of its own choice from positions of its own choice; belongs to no consumer group."""

    async def assign(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read exactly these partitions from now on, each from its position; an unchanged one keeps its buffer.

        Raises:
            MissedRecordsError: a position is outside what the log holds.
            NoTopicError: a topic, or a partition, does not exist.
            NoLeaderError: no broker leads some of those whose position is a new one; it names them.
            LogUnavailableError: no broker answers.
        """

    async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
        """Return what has arrived, at most one batch a partition; empty after ``timeout_s`` seconds without any.

        A partition whose position moved without a record (a transaction's marker, compaction) yields an empty batch.

        Raises:
            MissedRecordsError: the log was trimmed beyond the position, or is another one.
            NoTopicError: a topic does not exist any more.
            LogUnavailableError: no broker answers.
        """

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """Return what each partition holds now.

        Raises:
            NoTopicError: a topic, or a partition, does not exist.
            NoLeaderError: no broker leads some of them; it names them.
            LogUnavailableError: no broker answers.
        """

    async def close(self) -> None:
        """Leave. Safe to call twice."""


class LogWriter(Protocol):
    """Appends with ``acks=all``: an offset that was returned is in the log."""

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append all, in order a partition, and return their offsets in the order given.

        Raises:
            LogUnavailableError: not all were acknowledged in time; some may be in the log.
            RecordTooLargeError: one is larger than the broker takes; none of it is in the log.
        """

    async def close(self) -> None:
        """Send what is buffered and leave. Safe to call twice."""


class LogTransactions(Protocol):
    """The one writer of the cluster topic: all of a transaction is read, or nothing of it."""

    async def fence(self) -> None:
        """Shut out every earlier writer of the same name; from now on their commits fail.

        Raises:
            LogUnavailableError: no broker answers.
        """

    async def commit(self, appends: Sequence[Append]) -> None:
        """Append all in one transaction (where the broker has none: in the order given).

        Raises:
            FencedError: a later writer of the same name has taken over: stop.
            LogUnavailableError: nothing is known to be committed; fence, fold again and decide again.
        """

    async def close(self) -> None:
        """Leave. Safe to call twice."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is wanted: its name, partitions and configuration (Kafka's own keys and texts)."""

    name: str
    partitions: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic as the broker describes it.

    Attributes:
        name: its name.
        partitions: how many it has.
        replication: copies of the partition that has fewest.
        configs: Kafka's own keys and texts; empty where the broker does not tell.
        operations: what this user may do with it, of those that we need; None where the broker does not tell.
    """

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]
    operations: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log it is, whatever its name: equal identities are the same log, offsets included.

    Attributes:
        cluster_id: the Kafka cluster's id; an embedded broker gets a new one at each start.
        topic_id: the topic's id, new each time a topic is created; empty where the broker is too old to tell.
    """

    cluster_id: str
    topic_id: str


class LogAdmin(Protocol):
    """Topics: made, looked at, deleted."""

    async def describe(self, names: Sequence[str]) -> Mapping[str, TopicFound]:
        """Return those that exist.

        Raises:
            LogUnavailableError: no broker answers.
        """

    async def identify(self, names: Sequence[str]) -> Mapping[str, LogIdentity]:
        """Return the identity of those that exist.

        Raises:
            LogUnavailableError: no broker answers.
        """

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create those that do not exist; one that exists is left as it is.

        Raises:
            LogUnavailableError: no broker answers.
            LogError: the broker refuses (permissions, policy); the text says what.
        """

    async def delete(self, names: Sequence[str]) -> None:
        """Delete those that exist. Kafka does it later: a name may stay taken for a while.

        Raises:
            LogUnavailableError: no broker answers.
            LogError: the broker refuses.
        """

    async def close(self) -> None:
        """Leave. Safe to call twice."""
