"""A range of a partition is read whole, and no further."""

from collections.abc import Mapping, Sequence

import pytest

from schemas.errors import LogUnavailableError
from schemas.ids import Offset, Partition, Position
from streams import log_range
from streams.log import Bounds, LogBatch, LogRecord, TopicPartition
from streams.log_range import read_range

PARTITION = TopicPartition("t", Partition(0))


class ListReader:
    """A log reader that gives prepared batches, then nothing."""

    def __init__(self, batches: Sequence[LogBatch]) -> None:
        self.batches = list(batches)
        self.assigned: Mapping[TopicPartition, Position] = {}

    async def assign(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Remember what was asked for."""
        self.assigned = positions

    async def read(self, *, timeout_s: float, records_max: int) -> Sequence[LogBatch]:
        """Return the next batch."""
        del timeout_s, records_max
        return [self.batches.pop(0)] if self.batches else []

    async def bounds(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Bounds]:
        """Nothing asks."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is held."""


def make_batch(start: int, end: int, *offsets: int) -> LogBatch:
    """Return a batch with records at these offsets."""
    records = tuple(LogRecord(Offset(each), 0, b"k", b"v") for each in offsets)
    return LogBatch("t", Partition(0), Position(start), Position(end), records)


async def test_read_range_batch_beyond_end_is_cut() -> None:
    """What was written after the end was fixed is not yielded, and holes are no end."""
    reader = ListReader([make_batch(2, 5, 2, 4), make_batch(5, 9), make_batch(9, 14, 9, 10, 12, 13)])

    found = [batch async for batch in read_range(reader, PARTITION, Position(2), Position(12))]

    assert reader.assigned == {PARTITION: 2}
    assert [(batch.start, batch.end) for batch in found] == [(2, 5), (5, 9), (9, 12)]
    assert [record.offset for batch in found for record in batch.records] == [2, 4, 9, 10]


async def test_read_range_empty_reads_nothing() -> None:
    """An empty range asks for nothing."""
    reader = ListReader([make_batch(0, 3, 0)])

    assert [batch async for batch in read_range(reader, PARTITION, Position(3), Position(3))] == []
    assert reader.assigned == {}


async def test_read_range_broker_that_sends_nothing_raises() -> None:
    """An end that is never reached is an error after a bounded number of reads."""
    reader = ListReader([make_batch(0, 3, 0)])

    with pytest.raises(LogUnavailableError, match="nothing comes after 3 of 5"):
        [batch async for batch in read_range(reader, PARTITION, Position(0), Position(5))]
    assert log_range.STUCK_READS_MAX < 1000
