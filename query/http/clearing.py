"""Deleting all documents of an index: its log tells which there are, and takes a deletion of each.

What always holds: whatever was in the log when it was asked for is deleted, be it visible anywhere yet or not; what is
written afterwards stays. Its keys get no deletion, and what came between our last look and a deletion is put back on
top of that. The log is read once, a slice at a time between searches, and what comes meanwhile twice; all of it takes
about as long as producing the documents did. Cut off in the middle, it may be asked for again. What cannot hold: a
write of the milliseconds between look and deletion is lost where Kafka or this process fails in the next ones, and may
outlive another deletion of all that is asked for in these; a record found bad only later keeps the document that it was
to replace. Who calls it: the document routes. It must not know: nodes or HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from query.http.writes import Keyed, Produced, Writes
from schemas.document_ids import parse_key
from schemas.errors import InvalidDocumentError
from schemas.events import IndexRecord
from schemas.ids import Offset, Partition, Position
from streams.log import Bounds, LogReader, LogRecord, TopicPartition
from streams.log_range import read_range
from streams.partitioning import partition_of

KEYS_MAX = 200_000
"""Live keys of one partition that are held at once, some 30 MB; then they are deleted, and reading goes on."""

DELETIONS_AT_ONCE = 2_000
"""Appended together: about 5 ms without a search running."""

LOOKS_MAX = 3
"""Looks for newer writes before deletions are appended, each over what came during the one before. What comes during
the last is put back."""

PUT_BACK_MAX = 5
"""How often a write is put back on top that one of our records has overtaken, each time within milliseconds: whoever
writes one key faster than this writes it again."""

IsDead = Callable[[Partition, Offset], bool]


@dataclass(slots=True)
class Cleared:
    """What was appended so far.

    Attributes:
        documents: how many documents were deleted; None where nobody could tell, in very large partitions.
    """

    documents: int | None = 0
    ranges: dict[Partition, tuple[Position, Position]] = field(default_factory=dict)

    @property
    def produced(self) -> Produced:
        """Where the deletions stand."""
        return Produced(self.ranges)


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
        await _Clearing(reader, writes, index, partition, bounds[partition], is_dead, cleared).run()
    return cleared


@dataclass(frozen=True, slots=True)
class _Clearing:
    """The deletion of everything within one partition's bounds."""

    reader: LogReader
    writes: Writes
    index: IndexRecord
    where: TopicPartition
    bounds: Bounds
    is_dead: IsDead
    cleared: Cleared

    async def run(self) -> None:
        """Delete it."""
        at = self.bounds.beginning
        while at < self.bounds.end:
            live, at = await self._live(at)
            await self._delete(live)
            if at < self.bounds.end:
                # One of these may come again further on: then it would be counted twice.
                self.cleared.documents = None

    async def _live(self, start: Position) -> tuple[Mapping[bytes, Offset], Position]:
        """Return the keys that stand there from a position on, with the last record of each, and how far that is."""
        live: dict[bytes, Offset] = {}
        async for batch in read_range(self.reader, self.where, start, self.bounds.end):
            for record in batch.records:
                if record.value is None:
                    live.pop(record.key or b"", None)
                elif record.key is not None:
                    live[record.key] = record.offset
            if len(live) >= KEYS_MAX:
                return live, batch.end
        return live, self.bounds.end

    async def _delete(self, live: Mapping[bytes, Offset]) -> None:
        left = {key: at for key, at in live.items() if _is_document(key, self.index, self.where.partition)}
        if self.cleared.documents is not None:
            self.cleared.documents += sum(not self.is_dead(self.where.partition, at) for at in left.values())
        looked_to = self.bounds.end
        while left:
            looked_to = await self._leave_out_newer(left, looked_to)
            keys = list(islice(left, DELETIONS_AT_ONCE))
            produced = await self.writes.append_documents(self.index, [Keyed(key, None) for key in keys])
            _note(self.cleared, produced)
            await self._put_back(
                {key: (looked_to, Position(at)) for key, at in zip(keys, produced.offsets, strict=True)}
            )
            for key in keys:
                del left[key]

    async def _leave_out_newer(self, left: dict[bytes, Offset], looked_to: Position) -> Position:
        """Take out of ``left`` what was written since; return up to where that is known."""
        for _ in range(LOOKS_MAX):
            end = (await self.reader.bounds([self.where]))[self.where].end
            if end <= looked_to:
                break
            async for batch in read_range(self.reader, self.where, looked_to, end):
                for record in batch.records:
                    if record.key in left and self._counts(record):
                        del left[record.key]
            looked_to = end
        return looked_to

    async def _put_back(self, between: Mapping[bytes, tuple[Position, Position]]) -> None:
        """Put on top what somebody else wrote between our look and our record.

        Args:
            between: of each key the half-open range in which no record is ours and which ends with our deletion.
        """
        is_deletion = True
        for _ in range(PUT_BACK_MAX):
            newest = await self._newest(between)
            # Whose deletion stands on top does not matter; one that a write of ours has overtaken does.
            at = {key: record.offset for key, record in newest.items() if not (is_deletion and record.value is None)}
            if not at:
                return
            between, is_deletion = await self._append_again(at, between), False

    async def _newest(self, between: Mapping[bytes, tuple[Position, Position]]) -> Mapping[bytes, LogRecord]:
        """Return the last record of each key in its range, with a value that only says whether it is a deletion."""
        newest: dict[bytes, LogRecord] = {}
        first = min((start for start, _ in between.values()), default=Position(0))
        last = max((end for _, end in between.values()), default=Position(0))
        async for batch in read_range(self.reader, self.where, first, last):
            for record in batch.records:
                start, end = between.get(record.key or b"", (0, 0))
                if start <= record.offset < end and record.key is not None and self._counts(record):
                    newest[record.key] = record if record.value is None else record._replace(value=b"")
        return newest

    async def _append_again(
        self, at: Mapping[bytes, Offset], between: Mapping[bytes, tuple[Position, Position]]
    ) -> Mapping[bytes, tuple[Position, Position]]:
        """Append the records that stand there, a batch at a time; return between which of our records others may be."""
        again: dict[bytes, tuple[Position, Position]] = {}
        first, end = Position(min(at.values())), Position(max(at.values()) + 1)
        async for batch in read_range(self.reader, self.where, first, end):
            found = [Keyed(r.key, r.value) for r in batch.records if r.key is not None and at.get(r.key) == r.offset]
            produced = await self.writes.append_documents(self.index, found)
            for keyed, offset in zip(found, produced.offsets, strict=True):
                again[keyed.key] = (Position(between[keyed.key][1] + 1), Position(offset))
        return again

    def _counts(self, record: LogRecord) -> bool:
        """Return whether a record changes what its key holds: one that was set aside does not."""
        return not self.is_dead(self.where.partition, record.offset)


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
