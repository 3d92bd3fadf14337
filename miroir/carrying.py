"""Records of one topic carried over into another, as they are.

What always holds: a partition's records keep their order; a record is carried once, also by one carrier after another.
One without a key is not carried: a compacted topic takes none, and refuses what is sent with it. Who calls it: ``log
reseed``. It must not know: documents, or what the topics are for.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from hashlib import blake2b

from schemas.events import IndexRecord
from schemas.ids import Offset, Partition, Position, ShardId
from streams.log import Append, LogBatch, LogReader, LogWriter, TopicPartition
from streams.log_range import read_range
from streams.partitioning import partition_of

ROUNDS_MAX = 10
"""Looks for more at the end of the old log before the switch: while somebody writes all the time, there is no end."""

QUIET_LOOKS = 3
"""So many looks in a row without a record say that nobody writes to the old topic any more."""

LOOK_S = 1.0
"""Between two of them: a query service folds a change of the cluster within tenths of a second."""

STRAGGLE_S = 60.0
"""Who still writes to the old topic after this will not stop by himself."""

Newer = Mapping[ShardId, Collection[bytes | None]]
"""Of each partition of the new topic keys that others have written to it since the switch."""


class Carrier:
    """Carries what comes to an index's old topic into the new one.

    Args:
        reader: assigned to one partition after the other.
        writer: appends.
        index: with its old topic; the new one has as many partitions as it has shards.
        to: the new topic.
        positions: of each partition of the old topic where to begin; empty where there is none any more.
        look_s: between two looks for stragglers.

    Attributes:
        carried: how many records were carried over.
        passed_over: how many were not, because the new topic has newer ones of their keys.
        keyless: how many were not, because they have no key.
    """

    def __init__(
        self,
        reader: LogReader,
        writer: LogWriter,
        index: IndexRecord,
        to: str,
        positions: Mapping[ShardId, Position],
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._look_s = look_s
        self._reader = reader
        self._writer = writer
        self._index = index
        self._to = to
        self._positions = dict(positions)
        self._own: set[tuple[Partition, Offset]] = set()
        self._before: dict[tuple[ShardId, bytes | None], Offset] = {}
        self.carried = 0
        self.passed_over = 0
        self.keyless = 0

    @property
    def positions(self) -> Mapping[ShardId, Position]:
        """Of each partition of the old topic up to where its records were carried over."""
        return dict(self._positions)

    async def carry_rest(self) -> None:
        """Carry over what stands there, and what comes meanwhile.

        Raises:
            LogError: the log is away, or does not hold what is left any more.
        """
        for _ in range(ROUNDS_MAX):
            if not await self._round(None):
                return

    async def take_over(self, ends: Mapping[ShardId, Position]) -> None:
        """Go on where another carrier was cut off after the switch, and carry over what stands there by now.

        What it has carried since is known by content: of a key, records of the new topic that follow one another as
        they do in the old one. Where one of these was compacted away, its copy counts as somebody else's. Memory: some
        300 bytes for each record that came to the new topic.

        Args:
            ends: as in ``carry_stragglers``.

        Raises:
            LogError: the log is away, or does not hold what is left any more.
        """
        if not await self._has_more():
            return
        copies = await self._written_since(ends)
        for partition, held in (await self._reader.bounds(self._partitions())).items():
            shard = ShardId(partition.partition)
            async for batch in read_range(self._reader, partition, self._positions[shard], held.end):
                for record in batch.records:
                    if record.key is None:
                        continue
                    to = Partition(self._partition_of(shard, record.key))
                    left = copies.get((to, record.key))
                    if left and left[0][1] == _digest(record.value):
                        self._own.add((to, left.popleft()[0]))
                        self._before[shard, record.key] = record.offset
        await self._round(await self._newer(ends))

    async def carry_stragglers(self, ends: Mapping[ShardId, Position]) -> bool:
        """Carry over what still comes after the switch; return whether it has stopped coming.

        Args:
            ends: of each partition of the new topic where it ended before anybody else could write to it.

        Raises:
            LogError: the log is away, or does not hold what is left any more.
        """
        quiet, deadline_s = 0, asyncio.get_running_loop().time() + STRAGGLE_S
        while quiet < QUIET_LOOKS:
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(self._look_s)
            quiet = 0 if await self._has_more() and await self._round(await self._newer(ends)) else quiet + 1
        return True

    async def _has_more(self) -> bool:
        bounds = await self._reader.bounds(self._partitions())
        return any(held.end > self._positions[ShardId(each.partition)] for each, held in bounds.items())

    async def _round(self, newer: Newer | None) -> int:
        """Carry over everything up to the ends of this moment; return how many records there were.

        Args:
            newer: what not to write over; None while nobody else knows the new topic.
        """
        found = 0
        for partition, held in (await self._reader.bounds(self._partitions())).items():
            shard = ShardId(partition.partition)
            async for batch in read_range(self._reader, partition, self._positions[shard], held.end):
                found += len(batch.records)
                await self._carry(shard, batch, newer)
                self._positions[shard] = batch.end
        return found

    async def _carry(self, shard: ShardId, batch: LogBatch, newer: Newer | None) -> None:
        appends = []
        for record in batch.records:
            if record.key is None:
                self.keyless += 1
                continue
            to = self._partition_of(shard, record.key)
            if record.offset <= self._before.get((shard, record.key), -1):
                continue
            if newer is not None and record.key in newer.get(to, ()):
                self.passed_over += 1
            else:
                appends.append(Append(self._to, Partition(to), record.key, record.value))
        if not appends:
            return
        offsets = await self._writer.append(appends)
        self.carried += len(appends)
        if newer is not None:
            self._own |= {(append.partition, offset) for append, offset in zip(appends, offsets, strict=True)}

    async def _written_since(
        self, ends: Mapping[ShardId, Position]
    ) -> Mapping[tuple[Partition, bytes | None], deque[tuple[Offset, bytes]]]:
        """Return of each key what the new topic got since the switch, in order: the offsets, and digests of values."""
        written: dict[tuple[Partition, bytes | None], deque[tuple[Offset, bytes]]] = {}
        async for batch in self._since(ends):
            for record in batch.records:
                of_key = written.setdefault((batch.partition, record.key), deque())
                of_key.append((record.offset, _digest(record.value)))
        return written

    async def _newer(self, ends: Mapping[ShardId, Position]) -> Newer:
        """Return the keys that others have written to the new topic since the switch."""
        newer: dict[ShardId, set[bytes]] = {}
        async for batch in self._since(ends):
            theirs = (r for r in batch.records if (batch.partition, r.offset) not in self._own)
            keys = newer.setdefault(ShardId(batch.partition), set())
            keys.update(record.key for record in theirs if record.key is not None)
        return newer

    async def _since(self, ends: Mapping[ShardId, Position]) -> AsyncIterator[LogBatch]:
        """Yield what the new topic got since the switch, one partition after the other."""
        partitions = {TopicPartition(self._to, Partition(shard)): end for shard, end in ends.items()}
        for partition, held in (await self._reader.bounds(list(partitions))).items():
            async for batch in read_range(self._reader, partition, partitions[partition], held.end):
                yield batch

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self._index.topic, Partition(shard)) for shard in sorted(self._positions)]

    def _partition_of(self, shard: ShardId, key: bytes) -> ShardId:
        """Return where a record goes: where it stood, unless its topic was made anew with other partitions."""
        if len(self._positions) == self._index.shards:
            return shard
        return ShardId(partition_of(key, self._index.shards, self._index.partitioner))


def _digest(value: bytes | None) -> bytes:
    """Return what tells a value from others; of a deletion nothing."""
    return b"" if value is None else blake2b(value, digest_size=16).digest()
