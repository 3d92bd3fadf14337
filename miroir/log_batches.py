"""Appends gathered into batches: what is sent together is awaited together.

What always holds: records of a partition are appended in the order in which they were added. Who calls it: ``log
reseed``. It must not know: what is in a record.
"""

from miroir.produce import BATCH_BYTES, BATCH_RECORDS
from schemas.ids import Partition
from streams.log import Append, LogWriter


class AppendBatches:
    """Appends to a log, a batch at a time; ``flush`` at the end."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._held: list[Append] = []
        self._bytes = 0
        self.records = 0

    async def add(self, topic: str, partition: Partition, key: bytes | None, value: bytes | None) -> None:
        """Append a record, with others.

        Raises:
            LogError: the log is away or refuses; some of the batch may be in it.
        """
        self._held.append(Append(topic, partition, key, value))
        self._bytes += len(value or b"")
        if len(self._held) >= BATCH_RECORDS or self._bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Append what is held. Raises as ``add``."""
        held, self._held, self._bytes = self._held, [], 0
        if held:
            await self._writer.append(held)
            self.records += len(held)
