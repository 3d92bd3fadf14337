"""A consumer group in memory: who reads which partition, rebalances, and members that do not notice their loss.

What always holds, as with Faust's agents: after each assignment or seek the batches of a partition follow one another
without a gap; nobody begins before the owner has said where.
"""

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from agents.worker.batch_consumer import BatchHandler, PartitionOwner
from schemas.errors import AnotherLogError, LogError, LogUnavailableError, MissedRecordsError, NoTopicError
from schemas.ids import Partition, Position
from streams.log import LogBatch, TopicPartition
from tests.fakes.log import FakeLog, FakeLogReader

SESSION_S = 3.0
"""So long a member that is gone, or asleep, keeps its partitions."""

REBALANCE_S = 0.3
READ_S = 0.5
RECORDS_MAX = 40


class Group:
    """The group's coordinator.

    Attributes:
        unsettled_s: when partitions last changed hands, somebody woke who will get some, or an owner was killed, whom
            nobody misses yet.
    """

    def __init__(self, log: FakeLog, rng: random.Random) -> None:
        self.log = log
        self.rng = rng
        self.unsettled_s = 0.0
        self._members: dict[str, GroupMember] = {}
        self._changed = asyncio.Event()

    def join(self, member: "GroupMember") -> None:
        """Take a member in."""
        self._members[member.name] = member
        self._changed.set()

    def leave(self, member: "GroupMember") -> None:
        """Let a member go."""
        self._members.pop(member.name, None)
        self._changed.set()

    def change(self) -> None:
        """Rebalance: topics have come or gone, or a member."""
        self._changed.set()

    async def run(self) -> None:
        """Rebalance whenever something changes."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(REBALANCE_S)
            self._changed.clear()
            await self._rebalance()
            self.unsettled_s = asyncio.get_running_loop().time()

    async def _rebalance(self) -> None:
        awake = sorted((m for m in self._members.values() if not m.is_asleep), key=lambda member: member.name)
        topics = sorted({topic for member in awake for topic in member.topics} & self.log.topics().keys())
        partitions = [TopicPartition(t, Partition(p)) for t in topics for p in range(self.log.topics()[t].partitions)]
        self.rng.shuffle(awake)
        given: dict[str, set[TopicPartition]] = {member.name: set() for member in awake}
        for number, partition in enumerate(partitions):
            readers = [member for member in awake if partition.topic in member.topics]
            given[readers[number % len(readers)].name].add(partition)
        for member in awake:
            await member.revoke()
        for member in self._members.values():
            if member.is_asleep:
                member.stop_reading()
        for member in awake:
            member.assign(frozenset(given[member.name]))


class GroupMember:
    """``GroupStream`` of one worker."""

    def __init__(self, name: str, group: Group, owner: PartitionOwner) -> None:
        self.name = name
        self.topics: dict[str, BatchHandler] = {}
        self.started = self.has_joined = False
        self.is_asleep = False
        self._is_gone = False
        self._group = group
        self._owner = owner
        self._reads: dict[TopicPartition, int] = {}
        self._seeks = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused: set[TopicPartition] = set()
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._assigning: asyncio.Task[None] | None = None
        self._crash: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resumed = asyncio.Event()

    def kill(self) -> None:
        """End every task at once."""
        for task in self._tasks:
            task.cancel()

    async def start(self) -> None:
        """Join."""
        self.started = True
        self._group.join(self)

    async def stop(self) -> None:
        """Leave in order; whoever was killed has no time for that."""
        self.stop_reading()
        if not self._is_gone:
            self._group.leave(self)

    def vanish(self) -> None:
        """Be gone: the group notices after the session."""
        self._is_gone = True
        self._group.unsettled_s = asyncio.get_running_loop().time()
        self.stop_reading()
        self.kill()
        asyncio.get_running_loop().call_later(SESSION_S, self._group.leave, self)

    def sleep(self) -> None:
        """Miss heartbeats: partitions go to others, while what the member feeds goes on as before."""
        self.is_asleep = True
        self._group.change()

    def wake(self) -> None:
        """Notice, and join again."""
        self.is_asleep = False
        self._group.unsettled_s = asyncio.get_running_loop().time()
        self._group.change()

    async def add(self, topic: str, handler: BatchHandler) -> None:
        """Read a topic too."""
        self.topics[topic] = handler
        self._group.change()

    async def remove(self, topic: str) -> None:
        """Read a topic no more."""
        self.topics.pop(topic, None)
        self._reads = {each: number for each, number in self._reads.items() if each.topic != topic}
        self._assigned = frozenset(each for each in self._assigned if each.topic != topic)
        self._group.change()

    async def wait_crashed(self) -> None:
        """Wait until a handler has failed."""
        await self._crash

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver no more of these."""
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on with these."""
        self._paused.difference_update(partitions)
        self._wake()

    async def seek(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read on from there."""
        for partition, position in positions.items():
            if partition in self._assigned:
                self._paused.discard(partition)
                self._read_from(partition, position)
        self._wake()

    async def revoke(self) -> None:
        """Take everything away, and tell the owner."""
        if self._is_gone:
            return
        before = self._assigned
        self.stop_reading()
        await self._owner.revoked(before)

    def stop_reading(self) -> None:
        """Deliver nothing any more, without telling anybody."""
        if self._assigning is not None:
            self._assigning.cancel()
        self._reads.clear()
        self._assigned = frozenset()

    def assign(self, partitions: frozenset[TopicPartition]) -> None:
        """Give these, where their owner says."""
        if self._is_gone:
            return
        self._assigned = partitions
        self.has_joined = True
        self._paused.clear()
        self._assigning = asyncio.get_running_loop().create_task(self._begin(partitions))

    async def _begin(self, partitions: frozenset[TopicPartition]) -> None:
        try:
            starts = await self._owner.start_positions(partitions)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker ends by it
            self._fail(error)
            return
        for partition in sorted(starts):
            self._read_from(partition, starts[partition])

    def _read_from(self, partition: TopicPartition, position: Position) -> None:
        self._seeks += 1
        self._reads[partition] = self._seeks
        self._spawn(self._read(partition, position, self._seeks))

    async def _read(self, partition: TopicPartition, position: Position, number: int) -> None:
        """Hand batches over until another assignment or seek replaces this one."""
        reader = FakeLogReader(self._group.log)
        topic_id, is_begun = "", False
        while self._reads.get(partition) == number:
            await asyncio.sleep(self._group.rng.uniform(0.001, 0.03))
            if partition in self._paused:
                self._resumed.clear()
                await self._resumed.wait()
                continue
            try:
                if not is_begun:
                    await reader.assign({partition: position})
                    topic_id, is_begun = self._group.log.topic_id(partition.topic), True
                batches = await reader.read(timeout_s=READ_S, records_max=self._group.rng.randint(1, RECORDS_MAX))
            except LogUnavailableError:
                await asyncio.sleep(READ_S)
                continue
            except (MissedRecordsError, NoTopicError) as error:
                if self._reads.get(partition) == number:
                    await self._owner.stopped(partition, self._as_told(error, partition, topic_id))
                return
            for batch in batches:
                await self._hand_over(partition, batch, number)

    def _as_told(self, error: LogError, partition: TopicPartition, topic_id: str) -> LogError:
        """Return what a worker is told: within the log of a topic made anew a position is another one's."""
        if isinstance(error, MissedRecordsError) and error.beginning <= error.wanted <= error.end:
            now = self._group.log.topic_id(partition.topic)
            return AnotherLogError(partition.topic, expected=topic_id, found=now)
        return error

    async def _hand_over(self, partition: TopicPartition, batch: LogBatch, number: int) -> None:
        handler = self.topics.get(partition.topic)
        if handler is None or self._reads.get(partition) != number:
            return
        try:
            await handler(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker ends by it
            self._fail(error)

    def _spawn(self, running: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fail(self, error: Exception) -> None:
        with suppress(asyncio.InvalidStateError):
            self._crash.set_exception(error)

    def _wake(self) -> None:
        self._resumed.set()
