"""The Kafka consumer inside a Faust worker: fetches record batches, seeks where it is told, delivers without a gap.

Three classes of the library are overridden: the thread that holds the client (``batch_thread``), the consumer that
stands before it on the program's own event loop, and the transport that names them.

What always holds: a batch of an earlier seek, or of an earlier assignment, is dropped, and no other. Who calls it:
``record_batches``. It must not know: agents, and what records mean.

Faust drops fetched records in four places, since it would begin at the committed offset again: where the flow stops,
where it goes on (whatever its queues hold by then), where a partition was paused meanwhile, and where a record stands
before one that was handed over. Here the thread's position has moved on by then, and nobody would notice before another
record came. So the flow stops at every rebalance until all is begun, everything fetched is yielded, the numbers that
Faust compares only grow, and ``deliver`` alone tells, by the number of the seek, what is stale.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from itertools import count
from typing import Any, Protocol

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from agents.worker.batch_thread import BatchThread, Fetched, Problem
from schemas.errors import LogError, LogUnavailableError
from schemas.ids import Position
from streams.kafka.connection import client_arguments
from streams.log import LogBatch, TopicPartition

START_MARGIN_S = 0.5
"""So much before Faust's own deadline a start that takes too long is an error. Past it Faust takes the service for
stopped: this and every later assignment would be left unread in silence.
"""

GROUP_S = 2.0
"""How often it is looked at whether the group lets this worker in; a refusal is said, and tried again, as often."""

BatchHandler = Callable[[LogBatch], Awaitable[None]]
"""What an agent does with a batch. Must not wait for anything slow; an exception ends the worker."""


_log = logging.getLogger(__name__)


class PartitionOwner(Protocol):
    """Who decides where partitions are read from. Called on the program's own event loop."""

    async def start_positions(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Return where to start each of *all* partitions this worker has now; called after every rebalance.

        A partition that is left out is not read until ``seek`` names it. Kept partitions are asked about again: what
        was fetched for them is dropped. It must answer within the session time-out.
        """

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """All partitions are taken away, at the beginning of every rebalance; some may come back at once."""

    async def stopped(self, partition: TopicPartition, error: LogError) -> None:
        """A partition can not be read on: its position is outside the log, or its topic is gone. It is paused."""


class BatchConsumer(driver.Consumer):  # type: ignore[misc]  # the library ships no types
    """Faust's consumer, with positions that are decided instead of committed. Runs on the program's event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._expected: dict[TopicPartition, tuple[int, Position]] = {}
        self._seek_count = 0
        self._assigned = False
        self.has_joined = False
        """Whether the group has ever given it its share, which may be nothing."""
        self._resumed = asyncio.Event()
        self._messages = count(1)
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Start all partitions of a new assignment where their owner says.

        Raises:
            LogUnavailableError: the owner does not say in time; the app crashes with it.
        """
        if not self._assigned:
            # A rebalance is under way, whose assignment is still to come.
            return
        assigned = frozenset(TopicPartition(*each) for each in self.assignment())
        limit_s = self.app.conf.broker_request_timeout - START_MARGIN_S
        try:
            async with asyncio.timeout(limit_s):
                starts = await self.app.owner.start_positions(assigned)
        except TimeoutError as error:
            raise LogUnavailableError(f"start positions: not decided within {limit_s} s") from error
        self.pause_partitions(TP(*each) for each in assigned - starts.keys())
        await self.start_at({each: starts[each] for each in assigned & starts.keys()})

    async def start_at(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read on from there; batches fetched before are dropped."""
        self._seek_count += 1
        seek = self._seek_count
        for partition, position in positions.items():
            self._expected[partition] = (seek, position)
        for problem in await self._thread.seek_all(positions, seek):
            # It may have been sought again, or taken away, meanwhile.
            if self._expected.get(problem.partition, (0, 0))[0] == seek:
                await self.stop_partition(problem)

    async def stop_partition(self, problem: Problem) -> None:
        """Pause a partition that cannot be read, and tell its owner."""
        self._expected.pop(problem.partition, None)
        self.pause_partitions([TP(*problem.partition)])
        await self.app.owner.stopped(problem.partition, problem.error)

    @Service.task  # type: ignore[untyped-decorator]  # the library ships no types
    async def _watch_group(self) -> None:
        """Say what keeps this worker out of its group: the client tells only whoever asks it for records.

        And it waits until it has told: without partitions nobody asks, and the worker would do nothing, in silence. It
        would leave for the same reason, in time: one that stands by, or all of whose partitions wait for nodes.
        """
        while not self.should_stop:
            await self.sleep(GROUP_S)
            if not self._get_active_partitions():
                self._thread.stay()
            if not self.should_stop and (fault := await self._thread.group_fault()) is not None:
                _log.error("the consumer group does not let this worker in", extra={"reason": str(fault)})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drop everything fetched so far, and tell the owner."""
        self._assigned = False
        self._expected.clear()
        # Faust does so too, unless the rebalance is for a new agent: a new subscription has no assignment to stop. Its
        # queues are emptied all the same when the flow goes on, of what was fetched since the new start.
        self.stop_flow()
        self.app.flow_control.suspend()
        await super().on_partitions_revoked(revoked)
        await self.app.owner.revoked(frozenset(TopicPartition(*each) for each in revoked))

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Allow seeks again."""
        self._assigned = self.has_joined = True
        await super().on_partitions_assigned(assigned, generation_id)

    async def deliver(self, fetched: Fetched | Problem, handler: BatchHandler) -> None:
        """Hand a batch over where it is the one expected next."""
        if isinstance(fetched, Problem):
            await self.stop_partition(fetched)
            return
        seek, batch = fetched
        partition = TopicPartition(batch.topic, batch.partition)
        expected = self._expected.get(partition)
        if expected is None or expected[0] != seek:
            return
        if batch.start != expected[1]:
            # Nothing is known to lose a batch on its way here. Should anything, its partition is read again.
            await self.start_at({partition: expected[1]})
            return
        self._expected[partition] = (seek, batch.end)
        await handler(batch)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - overridden
        """Yield everything fetched, once the flow allows it: what a rebalance has made stale is told by its seek."""
        records, _ = await self._wait_next_records(timeout)
        for tp, fetched in (records or {}).items():
            for each in fetched:
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                if self.should_stop:
                    return
                yield tp, self._to_message(tp, each)

    def _to_message(self, tp: TP, record: Fetched | Problem) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            # Not an offset: Faust drops what stands before the last message, and after a seek back that is everything.
            next(self._messages),
            0.0,
            0,
            None,
            None,
            record,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - the overridden signature
        # Faust would sleep a second where every partition is paused, and a resumed one would wait for it.
        if self.flow_active and not self._get_active_partitions():
            self._resumed.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._resumed.wait()
            except TimeoutError:
                return {}, set()
        return await super()._wait_next_records(timeout)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Read these again, at once."""
        super().resume_partitions(tps)
        self._wake()

    def on_buffer_drop(self, tp: TP) -> None:
        """Read on where an agent has caught up, unless it was paused."""
        super().on_buffer_drop(tp)
        # Faust makes a partition active that was paused in the meantime.
        self._get_active_partitions().difference_update(self._paused_partitions)
        self._wake()

    def _wake(self) -> None:
        self._resumed.set()
        self._thread.wake()


class IdleProducer(driver.Producer):  # type: ignore[misc]  # the library ships no types
    """Faust's own producer, which nothing of ours uses, but which connects at start."""

    def _settings_auth(self) -> Mapping[str, Any]:
        return client_arguments(self.app.kafka)


class BatchTransport(driver.Transport):  # type: ignore[misc]  # the library ships no types
    """Faust's Kafka transport, made of the above."""

    Consumer = BatchConsumer
    Producer = IdleProducer
