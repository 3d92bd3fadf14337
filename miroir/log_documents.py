"""The whole documents of a shard, read from the log: those that stand when it is folded up to a fixed end.

The log is read twice: first which record of each id is the last, then those records. So a shard of any size takes some
400 bytes a document in memory, whatever the documents' size. What always holds: what is yielded is what a replica at
that end holds, without the marker. Who calls it: ``backup``. It must not know: nodes.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass

from agents.operations import Operation, parse_operations
from schemas.errors import LogError
from schemas.events import IndexRecord
from schemas.ids import Offset, Partition, ShardId
from streams.log import Bounds, LogReader, TopicPartition
from streams.log_range import read_range
from streams.marker import unsplice_marker

Report = Callable[[int], None]
"""Takes how many more positions were read."""


@dataclass(frozen=True, slots=True)
class LogDocuments:
    """The documents of one index in its log.

    Attributes:
        reader: assigned to one partition after the other.
        index: with its primary key known.
        document_bytes_max: a larger one was set aside.
        report: told as positions are read; each is read twice.
    """

    reader: LogReader
    index: IndexRecord
    document_bytes_max: int
    report: Report = lambda _: None

    async def of_shard(self, shard: ShardId, bounds: Bounds, condemned: Collection[Offset]) -> AsyncIterator[bytes]:
        """Yield the documents of a shard, as they stand in ``bounds``, in the order of their last writes.

        Args:
            shard: of the index.
            bounds: the positions to fold.
            condemned: offsets of records that were set aside.

        Raises:
            LogError: the log cannot be read, or is not any more what it was a moment ago.
        """
        last: dict[str, Offset] = {}
        async for operation in self._operations(shard, bounds, condemned):
            if operation.document is None:
                last.pop(operation.id, None)
            else:
                last[operation.id] = operation.offset
        async for operation in self._operations(shard, bounds, condemned):
            if operation.document is not None and last.get(operation.id) == operation.offset:
                del last[operation.id]
                yield unsplice_marker(operation.document, shard)
        if last:
            where = f"{self.index.topic}/{shard}"
            raise LogError(f"{where}: {len(last)} records were compacted away while they were read; begin again")

    async def _operations(
        self, shard: ShardId, bounds: Bounds, condemned: Collection[Offset]
    ) -> AsyncIterator[Operation]:
        partition = TopicPartition(self.index.topic, Partition(shard))
        async for batch in read_range(self.reader, partition, bounds.beginning, bounds.end):
            parsed, _ = parse_operations(
                batch, self.index, condemned=condemned, document_bytes_max=self.document_bytes_max
            )
            for operation in parsed.operations:
                yield operation
            self.report(batch.end - batch.start)
