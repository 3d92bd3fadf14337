"""The log in memory behaves as the ports say."""

import pytest

from schemas.errors import FencedError, LogError, LogUnavailableError, MissedRecordsError, RecordTooLargeError
from schemas.ids import Partition, Position
from streams.log import Append, Bounds, TopicPartition, TopicSpec
from tests.fakes.log import (
    RECORD_BYTES_MAX,
    FakeLog,
    FakeLogAdmin,
    FakeLogReader,
    FakeLogTransactions,
    FakeLogWriter,
)

FIRST, SECOND = (TopicPartition("t", Partition(number)) for number in (0, 1))


def _log() -> FakeLog:
    log = FakeLog()
    log.create(TopicSpec("t", 2, {}))
    return log


def _append(partition: int, key: bytes = b"k", value: bytes | None = b"v") -> Append:
    return Append("t", Partition(partition), key, value)


async def test_append_returns_offsets_in_order_a_partition() -> None:
    """Offsets come back in the order given."""
    offsets = await FakeLogWriter(_log()).append([_append(0), _append(1), _append(0)])

    assert offsets == [0, 0, 1]


async def test_append_of_too_large_a_record_is_refused() -> None:
    """As a broker refuses it."""
    with pytest.raises(RecordTooLargeError):
        await FakeLogWriter(_log()).append([_append(0, value=b"x" * RECORD_BYTES_MAX)])


async def test_append_without_a_key_to_a_compacted_topic_is_refused_with_all_of_its_batch() -> None:
    """As a Kafka refuses it; a topic that is not compacted takes it."""
    log = _log()
    log.create(TopicSpec("compacted", 1, {"cleanup.policy": "compact"}))
    keyed, keyless = (Append("compacted", Partition(0), key, b"v") for key in (b"k", None))

    with pytest.raises(LogError, match="without a key"):
        await FakeLogWriter(log).append([keyed, keyless])

    assert log.records("compacted") == ()
    assert await FakeLogWriter(log).append([Append("t", Partition(0), None, b"v")]) == [0]


async def test_read_gives_batches_that_line_up() -> None:
    """Batches of a partition are half-open ranges, one behind the other, also when few records are wanted."""
    log = _log()
    await FakeLogWriter(log).append([_append(0, b"%d" % number) for number in range(5)])
    reader = FakeLogReader(log)
    await reader.assign({FIRST: Position(1)})

    batches = [batch for _ in range(2) for batch in await reader.read(timeout_s=0.0, records_max=3)]

    assert [(batch.start, batch.end) for batch in batches] == [(1, 4), (4, 5)]
    assert [record.offset for batch in batches for record in batch.records] == [1, 2, 3, 4]
    assert not await reader.read(timeout_s=0.0, records_max=3)


async def test_read_of_a_position_that_moved_alone_is_an_empty_batch() -> None:
    """A transaction's marker moves the end without a record."""
    log = _log()
    log.skip(SECOND, 2)
    reader = FakeLogReader(log)
    await reader.assign({FIRST: Position(0), SECOND: Position(0)})

    (batch,) = await reader.read(timeout_s=0.0, records_max=10)

    assert (batch.partition, batch.start, batch.end, batch.records) == (1, 0, 2, ())


async def test_read_of_a_compacted_partition_has_holes() -> None:
    """Compaction leaves the last record of each key, and the end where it was."""
    log = _log()
    await FakeLogWriter(log).append([_append(0, b"a"), _append(0, b"b"), _append(0, b"a")])
    log.compact(FIRST)
    reader = FakeLogReader(log)
    await reader.assign({FIRST: Position(0)})

    (batch,) = await reader.read(timeout_s=0.0, records_max=10)

    assert [record.offset for record in batch.records] == [1, 2]
    assert await reader.bounds([FIRST]) == {FIRST: Bounds(Position(0), Position(3))}


async def test_position_outside_the_log_is_a_loud_stop() -> None:
    """Before the beginning and beyond the end, when assigned and when trimmed later."""
    log = _log()
    await FakeLogWriter(log).append([_append(0), _append(0)])
    reader = FakeLogReader(log)
    with pytest.raises(MissedRecordsError):
        await reader.assign({FIRST: Position(3)})
    await reader.assign({FIRST: Position(0)})
    log.trim(FIRST, 1)

    with pytest.raises(MissedRecordsError):
        await reader.read(timeout_s=0.0, records_max=10)


async def test_log_away_fails_every_call() -> None:
    """As if no broker answered."""
    log = _log()
    reader, writer, admin = FakeLogReader(log), FakeLogWriter(log), FakeLogAdmin(log)
    log.away = True

    for call in (
        reader.assign({}),
        reader.bounds([FIRST]),
        reader.read(timeout_s=0.0, records_max=1),
        writer.append([_append(0)]),
        admin.describe(["t"]),
        admin.create([]),
        admin.delete([]),
    ):
        with pytest.raises(LogUnavailableError):
            await call


async def test_topic_that_does_not_exist_is_unavailable() -> None:
    """Nothing is made by asking."""
    log = FakeLog()
    with pytest.raises(LogUnavailableError):
        await FakeLogReader(log).bounds([FIRST])

    assert not log.topics()


async def test_admin_creates_describes_and_deletes() -> None:
    """Creating twice and deleting twice are no errors."""
    admin = FakeLogAdmin(FakeLog())
    spec = TopicSpec("t", 3, {"cleanup.policy": "compact"})
    await admin.create([spec, spec])

    (found,) = (await admin.describe(["t", "other"])).values()
    await admin.delete(["t", "t"])

    assert (found.name, found.partitions, found.configs) == ("t", 3, spec.configs)
    assert not await admin.describe(["t"])


async def test_transactions_of_a_fenced_writer_fail() -> None:
    """Only the last writer of a name commits, and a commit leaves its marker."""
    log = _log()
    old, new = FakeLogTransactions(log, "x"), FakeLogTransactions(log, "x")
    await old.fence()
    await new.fence()

    with pytest.raises(FencedError):
        await old.commit([_append(0)])
    await new.commit([_append(0), _append(0)])

    assert (await FakeLogReader(log).bounds([FIRST]))[FIRST].end == 3


async def test_commit_without_fencing_is_refused() -> None:
    """After a failure, and at the start, one must fence first."""
    with pytest.raises(LogUnavailableError):
        await FakeLogTransactions(_log(), "x").commit([_append(0)])
