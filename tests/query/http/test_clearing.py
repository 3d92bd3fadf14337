"""Deleting all documents: a deletion for each that the log holds, and for nothing else."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.http import clearing
from query.http.clearing import Cleared, clear_index
from query.http.views import Views
from query.http.writes import Writes
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Partition, SettingsVersion
from streams.log import Append, LogRecord
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


def make_log(written: list[Write]) -> FakeLog:
    """Return a log in which the index's topic holds these records."""
    log = FakeLog()
    log.create(docs_topic(INDEX.topic, INDEX.shards))
    for key, value, away in written:
        home = partition_of(key or b"", INDEX.shards, INDEX.partitioner)
        log.append(Append(INDEX.topic, Partition((home + away) % INDEX.shards), key, value))
    return log


def documents_of(log: FakeLog) -> dict[bytes, LogRecord]:
    """Return the last record of each key in its home partition, where it has a value."""
    found: dict[bytes, LogRecord] = {}
    for shard in range(INDEX.shards):
        for record in log.records(INDEX.topic, shard):
            key = record.key or b""
            if key.isdigit() and partition_of(key, INDEX.shards, INDEX.partitioner) == shard:
                found[key] = record
    return {key: record for key, record in found.items() if record.value is not None}


async def clear(log: FakeLog) -> Cleared:
    """Delete all documents; a value that is cut off counts as set aside."""
    views = Views(lag_records_max=0, away=frozenset)
    records: Mapping[tuple[int, int], bytes | None] = {
        (shard, record.offset): record.value
        for shard in range(INDEX.shards)
        for record in log.records(INDEX.topic, shard)
    }
    return await clear_index(
        FakeLogReader(log), Writes(FakeLogWriter(log), views), INDEX, lambda *where: records[where] == b"{"
    )


@pytest.mark.parametrize("keys_max", [clearing.KEYS_MAX, 2], ids=["at once", "in parts"])
@given(writes)
async def test_every_document_is_deleted_and_nothing_else_is_written(keys_max: int, written: list[Write]) -> None:
    """Keys that are no ids, deletions and misrouted records get no record; documents get one, and are counted."""
    log = make_log(written)
    before = documents_of(log)
    many = len(before)
    with pytest.MonkeyPatch.context() as patch:
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

    assert (cleared.documents, cleared.ranges, cleared.last) == (0, {}, {})
