"""A range of one partition, read to its end and no further.

What always holds: what is yielded is contiguous and lies within the range. Who calls it: ``verify``, dead
letters, the deletion of all documents. It must not know: what records mean.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from schemas.errors import LogUnavailableError
from schemas.ids import Position
from streams.log import LogBatch, LogReader, TopicPartition

READ_S = 0.25
"""How long one read waits: as long as a broker holds a question open."""

RECORDS_MAX = 2_000
"""Of one batch: about 2 MB of 1 KB documents."""

STUCK_READS_MAX = 120
"""So many reads without a record (30 s) before the end say that the broker does not send what it holds."""


async def read_range(
    reader: LogReader, partition: TopicPartition, start: Position, end: Position
) -> AsyncIterator[LogBatch]:
    """Yield the batches of positions ``[start, end)``; assigns the reader to this partition alone.

    Raises:
        MissedRecordsError: the log does not hold the range.
        LogUnavailableError: no broker answers, or it does not send what it holds.
    """
    if start >= end:
        return
    await reader.assign({partition: start})
    at, stuck = start, 0
    while at < end:
        batches = await reader.read(timeout_s=READ_S, records_max=RECORDS_MAX)
        stuck = 0 if batches else stuck + 1
        if stuck > STUCK_READS_MAX:
            raise LogUnavailableError(f"{partition.topic}/{partition.partition}: nothing comes after {at} of {end}")
        for batch in batches:
            at = batch.end
            yield _cut(batch, end)


def _cut(batch: LogBatch, end: Position) -> LogBatch:
    """Return the batch without what stands at or after ``end``."""
    if batch.end <= end:
        return batch
    return replace(batch, end=end, records=tuple(record for record in batch.records if record.offset < end))
