"""Reading the log again for the replicas of one node that stand before the live windows.

One reader a node, over all its shards that are behind; what it reads waits in one window a shard, all together bounded
in bytes, until the writer has posted it. A rebuild is this and nothing else. What always holds: a shard's window is
contiguous from a position at or below its cursor. Who calls it: the feeder of a node. It must not know: HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from agents.window import Window
from agents.worker.feed import Assignment, Feed
from schemas.errors import LogUnavailableError, MissedRecordsError, NoLeaderError, NoTopicError
from schemas.events import IndexRecord
from schemas.ids import Offset, Position
from streams.log import LogBatch, LogReader, TopicPartition

REPLAY_BYTES_MAX = 32 * 1024 * 1024
"""What may wait for one node: the post under way and the next one."""

RECORDS_MAX = 10_000
"""Records of one read, so that the loop is free again after some 100 ms."""

READ_S = 0.25
"""How long one read waits; a shard that falls behind in the meantime waits as long."""

RETRY_S = 1.0
"""Between two tries while no broker answers."""

ABSENT_S = 2.0
"""So long a shard is passed over whose topic does not exist, or which no broker leads, so that the others are read."""

Intake = Callable[[Feed, IndexRecord, LogBatch, Window], Awaitable[None]]
"""Parses a batch into a window, dead letters and all."""


class Replay:
    """The shards of one node that read the log for themselves.

    Args:
        reader: belongs to this replay alone.
        intake: what a batch goes through.
        fed: called when there is something new to post.
        missed: called where the log does not hold a position that is needed.
    """

    def __init__(
        self,
        reader: LogReader,
        intake: Intake,
        *,
        fed: Callable[[], None],
        missed: Callable[[MissedRecordsError], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._intake = intake
        self._fed = fed
        self._missed = missed
        self._shards: dict[TopicPartition, tuple[Assignment, Window]] = {}
        self._absent_until: dict[TopicPartition, float] = {}
        self._wake = asyncio.Event()

    def window(self, assignment: Assignment, cursor: Position) -> Window:
        """Return the window from which a shard at ``cursor`` is fed; begins to fill one where there is none."""
        partition = assignment.feed.partition
        found = self._shards.get(partition)
        if found is not None and found[0].feed is assignment.feed and found[1].covers(cursor):
            window = found[1]
            window.forget(cursor)
        else:
            window = Window(cursor, bytes_max=REPLAY_BYTES_MAX)
        self._shards[partition] = (assignment, window)
        self._wake.set()
        return window

    def end(self, partition: TopicPartition) -> None:
        """Forget a shard that has caught up, or has gone elsewhere."""
        self._shards.pop(partition, None)

    def keep(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget every other shard."""
        for partition in self._shards.keys() - partitions:
            self.end(partition)

    def replace_by_delete(self, partition: TopicPartition, offset: Offset) -> None:
        """Let a record that a node has refused act as a delete of its key."""
        if (found := self._shards.get(partition)) is not None:
            found[1].replace_by_delete(offset)

    @property
    def shards(self) -> int:
        """How many shards are behind."""
        return len(self._shards)

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                self._wake.clear()
                if not self._shards or self._bytes_held() >= REPLAY_BYTES_MAX:
                    await self._wake.wait()
                    continue
                try:
                    await self._read()
                except MissedRecordsError as error:
                    self._shards.pop(TopicPartition(error.topic, error.partition), None)  # type: ignore[arg-type]
                    await self._missed(error)
                except NoTopicError as error:
                    # Its index is stopped by whoever looks at topics; here it only must not hold up the others.
                    self._pass_over([partition for partition in self._shards if partition.topic in error.topics])
                except NoLeaderError as error:
                    self._pass_over([partition for partition in self._shards if partition in error.partitions])
                except LogUnavailableError:
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._reader.close()

    def _pass_over(self, partitions: Collection[TopicPartition]) -> None:
        self._absent_until |= dict.fromkeys(partitions, asyncio.get_running_loop().time() + ABSENT_S)

    async def _read(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._absent_until = {each: until_s for each, until_s in self._absent_until.items() if until_s > now_s}
        positions: Mapping[TopicPartition, Position] = {
            partition: window.end
            for partition, (_, window) in self._shards.items()
            if partition not in self._absent_until
        }
        if not positions:
            await asyncio.sleep(READ_S)
            return
        await self._reader.assign(positions)
        for batch in await self._reader.read(timeout_s=READ_S, records_max=RECORDS_MAX):
            partition = TopicPartition(batch.topic, batch.partition)
            found = self._shards.get(partition)
            # The shard may have begun anew, or caught up, while this was read.
            if found is not None and batch.start == found[1].end:
                await self._intake(found[0].feed, found[0].index, batch, found[1])
                self._fed()

    def _bytes_held(self) -> int:
        return sum(window.bytes_held for _, window in self._shards.values())
