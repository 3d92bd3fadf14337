"""Deleting all documents: a deletion for each that the log holds, and for nothing else."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.http import clearing
from query.http.clearing import Cleared, clear_index
from query.http.views import Views
from query.http.writes import Writes
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, SettingsVersion
from streams import log_range
from streams.log import Append, Bounds, LogRecord, TopicPartition
from streams.partitioning import partition_of
from streams.topics import docs_topic
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogWriter

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(3), "miroir.docs.films", 3, 1, SettingsVersion(3), 0, 0, primary_key="id"
)

Write = tuple[bytes | None, bytes | None, int]
"""Key, value, and how far from its home the record is put."""

keys = st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"no id!", None])
writes = st.lists(st.tuples(keys, st.sampled_from([b"{}", b"{", None]), st.sampled_from([0, 0, 0, 1])), max_size=30)

Calls = Callable[[], None]
"""Called before each question for bounds but the first, and before each append: others write then."""


def make_log(written: list[Write]) -> FakeLog:
    """Return a log in which the index's topic holds these records."""
    log = FakeLog()
    log.create(docs_topic(INDEX.topic, INDEX.shards))
    for each in written:
        write(log, *each)
    return log


def write(log: FakeLog, key: bytes | None, value: bytes | None, away: int = 0) -> None:
    """Append a record."""
    home = partition_of(key or b"", INDEX.shards, INDEX.partitioner)
    log.append(Append(INDEX.topic, Partition((home + away) % INDEX.shards), key, value))


class BusyReader(FakeLogReader):
    """Others write between the looks of this one."""

    def __init__(self, log: FakeLog, others: Calls) -> None:
        super().__init__(log)
        self._others = others
        self._is_first = True

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """Return what each partition holds; see ``LogReader``."""
        if not self._is_first:
            self._others()
        self._is_first = False
        return await super().bounds(partitions)


class BusyWriter(FakeLogWriter):
    """Others are faster than each append of this one."""

    def __init__(self, log: FakeLog, others: Calls) -> None:
        super().__init__(log)
        self._others = others

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append all, in order; see ``LogWriter``."""
        self._others()
        return await super().append(appends)


def documents_of(log: FakeLog) -> dict[bytes, LogRecord]:
    """Return the last record of each key in its home partition, where it has a value."""
    found: dict[bytes, LogRecord] = {}
    for shard in range(INDEX.shards):
        for record in log.records(INDEX.topic, shard):
            key = record.key or b""
            if key.isdigit() and partition_of(key, INDEX.shards, INDEX.partitioner) == shard:
                found[key] = record
    return {key: record for key, record in found.items() if record.value is not None}


def nobody() -> None:
    """Write nothing."""


async def clear(log: FakeLog, between_looks: Calls = nobody, before_appends: Calls = nobody) -> Cleared:
    """Delete all documents; a value that is cut off counts as set aside."""
    views = Views(lag_records_max=0, away=frozenset)

    def is_dead(partition: Partition, offset: Offset) -> bool:
        return any(r.offset == offset and r.value == b"{" for r in log.records(INDEX.topic, partition))

    writer = BusyWriter(log, before_appends)
    return await clear_index(BusyReader(log, between_looks), Writes(writer, views), INDEX, is_dead)


@pytest.mark.parametrize("keys_max", [clearing.KEYS_MAX, 2], ids=["at once", "in parts"])
@given(writes)
async def test_every_document_is_deleted_and_nothing_else_is_written(keys_max: int, written: list[Write]) -> None:
    """Keys that are no ids, deletions and misrouted records get no record; documents get one, and are counted."""
    log = make_log(written)
    before = documents_of(log)
    many = len(before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_range, "RECORDS_MAX", 3)
        patch.setattr(clearing, "KEYS_MAX", keys_max)
        patch.setattr(clearing, "DELETIONS_AT_ONCE", 2)
        cleared = await clear(log)

    assert documents_of(log) == {}
    good = sum(record.value == b"{}" for record in before.values())
    assert cleared.documents in ({good} if keys_max > 2 else {good, None})
    appended = sum(end - start for start, end in cleared.ranges.values())
    assert appended >= many if keys_max == 2 else appended == many
    assert {shard: end - 1 for shard, (_, end) in cleared.ranges.items()} == cleared.produced.last


async def test_empty_index_gets_no_record() -> None:
    """Deleting nothing writes nothing."""
    cleared = await clear(make_log([]))

    assert (cleared.documents, cleared.ranges, cleared.produced.last) == (0, {}, {})


async def test_document_written_while_the_log_is_read_stays_and_gets_no_deletion() -> None:
    """Its key is older than the deletion, what stands there is not; so it is with a new one."""
    log = make_log([(b"1", b"old", 0), (b"2", b"old", 0)])
    new = iter([b"1", b"9"])

    def others() -> None:
        if (key := next(new, None)) is not None:
            write(log, key, b"new")

    cleared = await clear(log, between_looks=others)

    assert {key: record.value for key, record in documents_of(log).items()} == {b"1": b"new", b"9": b"new"}
    assert [r.value for shard in range(INDEX.shards) for r in log.records(INDEX.topic, shard) if r.key == b"1"] == [
        b"old",
        b"new",
    ]
    assert cleared.documents == 2


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        pytest.param([b"new"], [b"new"], id="written"),
        pytest.param([b"new", b"newer"], [b"newer"], id="written again while it is put back"),
        pytest.param([b"new", None], [], id="deleted while it is put back"),
        pytest.param([b"new", None, b"newest"], [b"newest"], id="and written again"),
    ],
)
async def test_document_written_just_before_its_deletion_is_put_back(
    meanwhile: list[bytes | None], expected: list[bytes]
) -> None:
    """It is acknowledged, and our record stands on it: then it is on top again, and counts as no record of ours."""
    log = make_log([(b"1", b"old", 0)])

    def others() -> None:
        if meanwhile:
            write(log, b"1", meanwhile.pop(0))

    cleared = await clear(log, before_appends=others)

    assert [record.value for record in documents_of(log).values()] == expected
    assert sum(end - start for start, end in cleared.ranges.values()) == 1


async def test_record_that_was_set_aside_keeps_no_document() -> None:
    """A bad record changes nothing on nodes, so the document before it would stay there."""
    log = make_log([(b"1", b"old", 0)])
    bad = iter([b"{"])

    def others() -> None:
        if (value := next(bad, None)) is not None:
            write(log, b"1", value)

    await clear(log, between_looks=others)

    assert documents_of(log) == {}


@pytest.mark.parametrize("keys_max", [clearing.KEYS_MAX, 2], ids=["at once", "in parts"])
@given(
    writes,
    st.lists(st.tuples(st.sampled_from([b"1", b"2", b"3", b"4", b"9"]), st.booleans()), max_size=clearing.PUT_BACK_MAX),
    st.data(),
)
async def test_what_others_write_meanwhile_stands_at_the_end(
    keys_max: int, written: list[Write], meanwhile: list[tuple[bytes, bool]], data: st.DataObject
) -> None:
    """Whenever it comes: the last thing that they wrote of each key, a deletion too, and nothing older."""
    log = make_log(written)
    left = [(key, None if is_deletion else b"new %d" % at) for at, (key, is_deletion) in enumerate(meanwhile)]
    others: dict[bytes, bytes | None] = {}

    def some() -> None:
        for _ in range(data.draw(st.integers(0, len(left)))):
            key, value = left.pop(0)
            others[key] = value
            write(log, key, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_range, "RECORDS_MAX", 3)
        patch.setattr(clearing, "KEYS_MAX", keys_max)
        patch.setattr(clearing, "DELETIONS_AT_ONCE", 2)
        await clear(log, between_looks=some, before_appends=some)

    found = {key: record.value for key, record in documents_of(log).items()}
    assert found == {key: value for key, value in others.items() if value is not None}
