"""Whole documents folded from a log."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.log_documents import LogDocuments
from schemas.errors import LogError
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, SettingsVersion, ShardId
from streams.log import Append, Bounds, LogBatch, TopicPartition
from streams.topics import docs_topic
from tests.fakes.log import FakeLog, FakeLogReader

INDEX = IndexRecord(IndexUid("films"), Incarnation(3), "docs", 1, 1, SettingsVersion(3), 0, 0, primary_key="id")
WHERE = TopicPartition("docs", Partition(0))

writes = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["put", "delete", "bad", "refused"])), max_size=30)


def fill(history: list[tuple[int, str]]) -> tuple[FakeLog, set[Offset], dict[str, bytes]]:
    """Return a log of these writes, what a node has refused of them, and the documents that must be there."""
    log, refused, truth = FakeLog(), set[Offset](), dict[str, bytes]()
    log.create(docs_topic("docs", 1))
    for number, (key, kind) in enumerate(history):
        value = orjson.dumps({"id": key, "n": number})
        given_value = {"delete": None, "bad": b"[]"}.get(kind, value)
        offset = log.append(Append("docs", Partition(0), str(key).encode(), given_value))
        truth.pop(str(key), None)
        if kind == "put":
            truth[str(key)] = value
        elif kind == "refused":
            refused.add(offset)
    return log, refused, truth


async def read(log: FakeLog, end: int, refused: set[Offset]) -> list[bytes]:
    """Return the documents up to an end."""
    documents = LogDocuments(FakeLogReader(log), INDEX, 1_000_000)
    return [each async for each in documents.of_shard(ShardId(0), Bounds(Position(0), Position(end)), refused)]


@given(writes, writes, st.booleans())
async def test_documents_are_those_that_stand_at_the_end(
    before: list[tuple[int, str]],
    after: list[tuple[int, str]],
    compacted: bool,  # noqa: FBT001 - Hypothesis passes by position
) -> None:
    """Deletes, bad records and refused ones delete; what comes behind the end is not there; holes are none of ours."""
    log, refused, truth = fill(before)
    if compacted:
        log.compact(WHERE)
    for key, _ in after:
        log.append(Append("docs", Partition(0), str(key).encode(), b'{"late":1}'))

    found = await read(log, len(before), refused)

    assert found == list(truth.values())


async def test_documents_compacted_away_while_read_are_an_error() -> None:
    """A record that has gone between the two readings is not passed over."""
    log, _, _ = fill([(1, "put"), (2, "put")])

    class Compacting(FakeLogReader):
        async def read(self, *, timeout_s: float, records_max: int) -> list[LogBatch]:
            batches = [*await super().read(timeout_s=timeout_s, records_max=records_max)]
            log.append(Append("docs", Partition(0), b"1", None))
            log.compact(WHERE)
            return batches

    documents = LogDocuments(Compacting(log), INDEX, 1_000_000)
    with pytest.raises(LogError, match="docs/0: 1 records were compacted away"):
        [each async for each in documents.of_shard(ShardId(0), Bounds(Position(0), Position(2)), set())]


async def test_documents_larger_than_a_post_are_not_there() -> None:
    """They were set aside by every worker, and are told as read."""
    log, _, _ = fill([(1, "put"), (2, "put")])
    told: list[int] = []
    documents = LogDocuments(FakeLogReader(log), replace(INDEX, primary_key="id"), 3, told.append)

    assert [each async for each in documents.of_shard(ShardId(0), Bounds(Position(0), Position(2)), set())] == []
    assert sum(told) == 4
