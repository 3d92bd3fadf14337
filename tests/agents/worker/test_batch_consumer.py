"""The consumer inside Faust: what was fetched is handed over, or fetched again, whatever happens in between."""

import asyncio
from collections.abc import Mapping

import pytest

from agents.worker.record_batches import RECORDS_MAX, add_index_agent
from schemas.ids import Position
from streams.log import TopicPartition
from tests.agents.worker.batch_bench import Bench, Worker, at

IDLE_S = 6.0
"""A client that is asked for nothing for so long leaves its group; three looks of ours."""


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["embedded"], indirect=True)
async def test_seek_back_by_more_than_a_poll_reads_it_all_again(bench: Bench) -> None:
    """A stream that must come back by many polls is handed each of them, all but the last behind where it stood."""
    topic = await bench.topic()
    records = 2 * RECORDS_MAX + 1
    await bench.put(topic, *(b"%d" % number for number in range(records)))
    worker = await bench.worker(topic)
    await worker.until(lambda: worker.starts.get(at(topic)) == records)
    worker.batches.clear()

    await worker.seek(at(topic), 0)
    await worker.until(lambda: worker.starts[at(topic)] == records)

    assert worker.values(topic) == [b"%d" % number for number in range(records)]


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["embedded"], indirect=True)
async def test_record_fetched_while_all_is_paused_comes_without_another(bench: Bench) -> None:
    """What a poll brings after the last partition was paused is handed over; no other record must come to show it."""
    topic = await bench.topic()
    worker = await bench.worker(topic)
    await worker.until(lambda: len(worker.app.assigned()) == 1)
    await bench.put(topic, b"first")
    await worker.until(lambda: worker.values(topic) == [b"first"])

    await bench.polling(worker)
    worker.app.pause([at(topic)])
    await bench.put(topic, b"second")
    await bench.fetched(worker, at(topic))
    worker.app.resume([at(topic)])

    await worker.until(lambda: worker.values(topic) == [b"first", b"second"])


class Watchful(Worker):
    """A worker that looks whether anything flows while it decides where to begin."""

    flowed: list[bool]

    async def start_positions(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Begin everything, and remember."""
        self.flowed.append(self.app.consumer.flow_active or self.app.flow_control.is_active())
        return await super().start_positions(partitions)


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["embedded"], indirect=True)
async def test_nothing_flows_before_a_new_assignment_is_begun(bench: Bench) -> None:
    """When the flow goes on Faust empties its queues: nothing of the new start may be in them by then.

    Else a batch is lost right after a rebalance, one in some: seen on one partition of 24.
    """
    first, second = await bench.topic(), await bench.topic()
    worker = Watchful(bench.group, bench.config)
    worker.flowed = []
    await add_index_agent(worker.app, first, worker.handle)
    await bench.run(worker)
    await worker.until(lambda: worker.app.assigned() == {at(first)})

    await add_index_agent(worker.app, second, worker.handle)
    await worker.until(lambda: worker.app.assigned() == {at(first), at(second)} and worker.app.consumer.flow_active)

    assert not any(worker.flowed)
    assert len(worker.flowed) >= 2


class Impatient(Worker):
    """A worker that begins one partition a second time while all are being begun, as a mended stream is."""

    again: TopicPartition
    seeking: asyncio.Task[None] | None = None

    async def start_positions(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Begin everything, and one of them again."""
        starts = await super().start_positions(partitions)
        if self.again in starts:
            self.seeking = asyncio.create_task(self.seek(self.again, 1))
        return starts


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["embedded"], indirect=True)
async def test_later_of_two_seeks_counts_although_it_ends_first(bench: Bench) -> None:
    """A seek of one partition that overtakes the one of all, which has more to ask, does not silence it for ever."""
    first, second = await bench.topic(), await bench.topic()
    await bench.put(second, b"0", b"1")
    worker = Impatient(bench.group, bench.config)
    worker.again = at(second)
    for topic in (first, second):
        await add_index_agent(worker.app, topic, worker.handle)
    await bench.run(worker)

    await worker.until(lambda: worker.values(second) == [b"1"])


@pytest.mark.slow
async def test_workers_with_nothing_to_read_stay_in_the_group(bench: Bench) -> None:
    """However long nothing is asked of the client: a partition that waited is read, and who stands by takes over."""
    topic = await bench.topic()
    workers = [Worker(bench.group, bench.config) for _ in range(2)]
    for worker in workers:
        worker.app.conf.broker_max_poll_interval = IDLE_S
        worker.left_out = {at(topic)}
        await add_index_agent(worker.app, topic, worker.handle)
        await bench.run(worker)
    await workers[0].until(lambda: all(worker.app.consumer.has_joined for worker in workers))
    await asyncio.sleep(2 * IDLE_S)

    owner, other = sorted(workers, key=lambda worker: -len(worker.app.assigned()))
    await bench.put(topic, b"waited")
    await owner.seek(at(topic), 0)
    await owner.until(lambda: owner.values(topic) == [b"waited"])
    other.left_out.clear()
    await owner.app.stop()
    await other.until(lambda: other.values(topic) == [b"waited"])
