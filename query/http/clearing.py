"""Deleting all documents of an index: its log tells which there are, and takes a deletion of each.

What always holds: whatever was in the log when it was asked for is deleted, be it visible anywhere yet or not; what is
written afterwards stays. The log is read once, a slice at a time between searches; all of it takes about as long as
producing the documents did. Cut off in the middle, it may be asked for again. Who calls it: the document routes. It
must not know: nodes or HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from query.http.writes import Keyed, Produced, Writes
from schemas.document_ids import parse_key
from schemas.errors import InvalidDocumentError
from schemas.events import IndexRecord
from schemas.ids import Offset, Partition, Position
from streams.log import Bounds, LogReader, TopicPartition
from streams.log_range import read_range
from streams.partitioning import partition_of

KEYS_MAX = 200_000
"""Live keys of one partition that are held at once, some 30 MB; then they are deleted, and reading goes on."""

DELETIONS_AT_ONCE = 2_000
"""Appended together: about 5 ms without a search running."""

IsDead = Callable[[Partition, Offset], bool]


@dataclass(slots=True)
class Cleared:
    """What was appended so far.

    Attributes:
        documents: how many documents were deleted; None where nobody could tell, in very large partitions.
    """

    documents: int | None = 0
    ranges: dict[Partition, tuple[Position, Position]] = field(default_factory=dict)
    last: dict[Partition, Offset] = field(default_factory=dict)

    @property
    def produced(self) -> Produced:
        """Where the deletions stand."""
        return Produced(self.ranges, self.last)


async def clear_index(reader: LogReader, writes: Writes, index: IndexRecord, is_dead: IsDead) -> Cleared:
    """Append a deletion of every document that the index's log holds.

    Args:
        reader: used by nobody else meanwhile.
        writes: appends.
        index: as it is now.
        is_dead: whether the record there was set aside, and so is no document.

    Raises:
        LogError: no broker answers, or the log was trimmed meanwhile; some documents may be deleted.
    """
    partitions = [TopicPartition(index.topic, Partition(shard)) for shard in range(index.shards)]
    bounds = await reader.bounds(partitions)
    cleared = Cleared()
    for partition in partitions:
        await _clear(reader, writes, index, partition, bounds[partition], is_dead, cleared)
    return cleared


async def _clear(
    reader: LogReader,
    writes: Writes,
    index: IndexRecord,
    partition: TopicPartition,
    bounds: Bounds,
    is_dead: IsDead,
    cleared: Cleared,
) -> None:
    live: dict[bytes, Offset] = {}
    async for batch in read_range(reader, partition, bounds.beginning, bounds.end):
        for record in batch.records:
            if record.value is None:
                live.pop(record.key or b"", None)
            elif record.key is not None:
                live[record.key] = record.offset
        if len(live) >= KEYS_MAX:
            await _delete(writes, index, partition.partition, live, is_dead, cleared)
            # One of these may come again further on: then it would be counted twice.
            cleared.documents = None
            live = {}
    await _delete(writes, index, partition.partition, live, is_dead, cleared)


async def _delete(
    writes: Writes,
    index: IndexRecord,
    partition: Partition,
    live: Mapping[bytes, Offset],
    is_dead: IsDead,
    cleared: Cleared,
) -> None:
    keys = list(live)
    for first in range(0, len(keys), DELETIONS_AT_ONCE):
        part = [key for key in keys[first : first + DELETIONS_AT_ONCE] if _is_document(key, index, partition)]
        _note(cleared, await writes.append_documents(index, [Keyed(key, None) for key in part]))
        if cleared.documents is not None:
            cleared.documents += sum(not is_dead(partition, live[key]) for key in part)


def _is_document(key: bytes, index: IndexRecord, partition: Partition) -> bool:
    """Return whether a record of this key is a document here; in another partition it acts as nothing."""
    try:
        parse_key(key)
    except InvalidDocumentError:
        return False
    return partition_of(key, index.shards, index.partitioner) == partition


def _note(cleared: Cleared, produced: Produced) -> None:
    for partition, (start, end) in produced.ranges.items():
        first, _ = cleared.ranges.get(partition, (start, end))
        cleared.ranges[partition] = (first, end)
    cleared.last.update(produced.last)
