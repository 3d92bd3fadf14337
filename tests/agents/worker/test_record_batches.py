"""Agents on record batches: what a handler is promised, over rebalances, seeks and pauses; and that the insides fit."""

import asyncio
import inspect
import time
from importlib.metadata import version

import aiokafka
import pytest
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState, TopicPartitionState
from faust.agents.manager import AgentManager
from faust.app.base import App
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from agents.worker import record_batches
from agents.worker.record_batches import add_index_agent, remove_index_agent
from schemas.errors import LogUnavailableError, MissedRecordsError
from schemas.ids import Position
from streams.kafka.writer import kill_producer
from streams.log import LogBatch, TopicPartition, TopicSpec
from tests.agents.worker.batch_bench import WAIT_S, Bench, at

RESUMED = 4
"""Times that a partition is paused and resumed."""


@pytest.mark.slow
async def test_agent_gets_every_record_from_the_decided_position(bench: Bench) -> None:
    """Each partition begins where its owner says, and its batches reach the end without a gap."""
    topic = await bench.topic(partitions=3)
    for partition in range(3):
        await bench.put(topic, *(b"%d" % number for number in range(500)), partition=partition)

    worker = await bench.worker(topic, starts={at(topic, 1): Position(400), at(topic, 2): Position(500)})
    await worker.until(lambda: sum(len(batch.records) for batch in worker.batches) >= 600)
    await bench.put(topic, b"more", partition=2)
    await worker.until(lambda: bool(worker.values(topic, 2)))

    assert worker.values(topic, 0) == [b"%d" % number for number in range(500)]
    assert worker.values(topic, 1) == [b"%d" % number for number in range(400, 500)]
    assert worker.values(topic, 2) == [b"more"]


@pytest.mark.slow
async def test_agents_come_and_go_while_the_app_runs(bench: Bench) -> None:
    """A topic is read soon after its agent was added, even to an app that had none, and no more once it is removed."""
    first, second = await bench.topic(), await bench.topic()
    worker = await bench.worker()

    await add_index_agent(worker.app, first, worker.handle)
    await bench.put(first, b"1")
    await worker.until(lambda: worker.values(first) == [b"1"])
    await add_index_agent(worker.app, second, worker.handle)
    await bench.put(second, b"2")
    await worker.until(lambda: worker.values(second) == [b"2"])
    await remove_index_agent(worker.app, first)
    await worker.until(lambda: worker.app.assigned() == {at(second)})
    await bench.put(first, b"unread")
    await bench.put(second, b"3")
    await worker.until(lambda: worker.values(second) == [b"2", b"3"])

    assert worker.values(first) == [b"1"]


@pytest.mark.slow
async def test_paused_partition_waits_and_the_others_go_on(bench: Bench) -> None:
    """A pause holds one partition only; resumed, it goes on at once and loses nothing."""
    topic = await bench.topic(partitions=2)
    worker = await bench.worker(topic)
    await worker.until(lambda: len(worker.app.assigned()) == 2)
    await bench.put(topic, b"first", partition=0)
    await worker.until(lambda: worker.values(topic, 0) == [b"first"])

    took_s = []
    for number in range(RESUMED):
        held = worker.values(topic, 0)
        worker.app.pause([at(topic, 0)])
        await bench.put(topic, b"held", partition=0)
        await bench.put(topic, b"%d" % number, partition=1)
        await worker.until(lambda: worker.values(topic, 1)[-1:] == [b"%d" % number])  # noqa: B023 - awaited here
        assert worker.values(topic, 0) == held
        began_s = time.monotonic()
        worker.app.resume([at(topic, 0)])
        await worker.until(lambda: worker.values(topic, 0) == [*held, b"held"])  # noqa: B023 - as above
        took_s.append(time.monotonic() - began_s)

    # A busy machine may take any time, but not always; Faust's own second of waiting comes each time.
    assert min(took_s) < 0.9


@pytest.mark.slow
async def test_seek_back_reads_again_from_there(bench: Bench) -> None:
    """After a seek the next batch begins there, whatever had been fetched ahead."""
    topic = await bench.topic()
    await bench.put(topic, *(b"%d" % number for number in range(50)))
    worker = await bench.worker(topic)
    await worker.until(lambda: len(worker.values(topic)) == 50)

    await worker.seek(at(topic), 20)
    await worker.seek(at(topic), 45)
    await worker.until(lambda: worker.starts[at(topic)] == 50)

    assert worker.values(topic)[-5:] == [b"%d" % number for number in range(45, 50)]


@pytest.mark.slow
async def test_position_outside_the_log_stops_that_partition_alone(bench: Bench) -> None:
    """Its owner is told which records are missed; the other partitions are read; a seek brings it back."""
    topic = await bench.topic(partitions=2)
    await bench.put(topic, b"a", b"b", partition=0)
    await bench.put(topic, b"c", partition=1)

    worker = await bench.worker(topic, starts={at(topic, 0): Position(99)})
    await worker.until(lambda: bool(worker.problems) and bool(worker.values(topic, 1)))

    problem = worker.problems[at(topic, 0)]
    assert isinstance(problem, MissedRecordsError)
    assert (problem.wanted, problem.beginning, problem.end) == (99, 0, 2)
    assert worker.values(topic, 0) == []
    await worker.seek(at(topic, 0), 1)
    await worker.until(lambda: worker.values(topic, 0) == [b"b"])


@pytest.mark.slow
async def test_partition_without_start_position_is_not_read(bench: Bench) -> None:
    """An owner that names no position for a partition gets nothing of it, until it seeks."""
    topic = await bench.topic(partitions=2)
    await bench.put(topic, b"left", partition=0)
    await bench.put(topic, b"read", partition=1)

    worker = await bench.worker(topic, left_out={at(topic, 0)})
    await worker.until(lambda: worker.values(topic, 1) == [b"read"])

    assert worker.values(topic, 0) == []
    await worker.seek(at(topic, 0), 0)
    await worker.until(lambda: worker.values(topic, 0) == [b"left"])


@pytest.mark.slow
async def test_two_workers_share_and_take_over_without_a_gap(bench: Bench) -> None:
    """Under constant writing, a second worker takes half, and the first takes it back when the second has left."""
    topic = await bench.topic(partitions=4)
    starts: dict[TopicPartition, Position] = {}
    written = 0

    async def write(rounds: int) -> None:
        nonlocal written
        for _ in range(rounds):
            for partition in range(4):
                await bench.put(topic, b"%d" % written, partition=partition)
            written += 1

    first = await bench.worker(topic, starts=starts)
    await write(5)
    await first.until(lambda: len(first.app.assigned()) == 4)
    second = await bench.worker(topic, starts=starts)
    await write(20)
    await second.until(lambda: len(first.app.assigned()) == len(second.app.assigned()) == 2)
    await write(20)
    await second.until(lambda: all(starts.get(at(topic, partition)) == written for partition in range(4)))
    assert second.batches
    await second.app.stop()
    await write(20)
    await first.until(lambda: all(starts.get(at(topic, partition)) == written for partition in range(4)))

    for partition in range(4):
        seen = {*first.values(topic, partition), *second.values(topic, partition)}
        assert seen == {b"%d" % number for number in range(written)}
    assert first.app.assigned() == {at(topic, partition) for partition in range(4)}


@pytest.mark.slow
@pytest.mark.parametrize("bench", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
async def test_committed_positions_are_not_where_reading_begins(bench: Bench) -> None:
    """What was committed to the group is there for people to see; the owner's decision counts."""
    topic = await bench.topic()
    await bench.put(topic, b"1", b"2", b"3")
    worker = await bench.worker(topic)
    await worker.until(lambda: len(worker.values(topic)) == 3)
    await worker.app.commit_positions({at(topic): Position(2)})
    await worker.app.stop()

    again = await bench.worker(topic, starts={at(topic): Position(1)})
    await again.until(lambda: len(again.values(topic)) == 2)

    assert again.values(topic) == [b"2", b"3"]
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bench.config.bootstrap_servers, group_id=bench.group)
    await consumer.start()
    assert await consumer.committed(aiokafka.TopicPartition(topic, 0)) == 2
    await consumer.stop()


@pytest.mark.slow
@pytest.mark.parametrize("bench", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
async def test_aborted_transaction_is_an_empty_batch(bench: Bench) -> None:
    """None of its records is handed over, and the position passes it."""
    topic = await bench.topic()
    worker = await bench.worker(topic)
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bench.config.bootstrap_servers, transactional_id=topic)
    await producer.start()
    await producer.begin_transaction()
    await producer.send(topic, b"aborted", key=b"k", partition=0)
    await producer.flush()
    await producer.abort_transaction()
    await kill_producer(producer)

    await worker.until(lambda: worker.starts.get(at(topic)) == 2)

    assert [(batch.start, batch.end, batch.records) for batch in worker.batches] == [(0, 2, ())]


@pytest.mark.slow
@pytest.mark.parametrize("bench", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
async def test_deleted_topic_stops_its_partitions_alone(bench: Bench) -> None:
    """A topic that is gone at the next rebalance is a problem of its own; the worker and other topics go on."""
    doomed, kept = await bench.topic(), await bench.topic()
    worker = await bench.worker(doomed, kept)
    await worker.until(lambda: len(worker.app.assigned()) == 2)

    await bench.admin.delete([doomed])
    await worker.until(lambda: at(doomed) in worker.problems or at(doomed) not in worker.app.assigned())
    await bench.put(kept, b"on")
    await worker.until(lambda: worker.values(kept) == [b"on"])

    assert isinstance(worker.problems.get(at(doomed), LogUnavailableError("")), LogUnavailableError)
    assert await bench.admin.describe([doomed]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("bench", [pytest.param("real", marks=pytest.mark.kafka)], indirect=True)
async def test_topic_made_again_shorter_stops_its_partition(bench: Bench) -> None:
    """Where another log stands under the topic's name, nothing of it is read as a continuation."""
    topic, other = await bench.topic(), await bench.topic()
    await bench.put(topic, b"1", b"2", b"3")
    worker = await bench.worker(topic, other)
    await worker.until(lambda: len(worker.values(topic)) == 3)

    await bench.admin.delete([topic])
    async with asyncio.timeout(WAIT_S):
        while await bench.admin.describe([topic]):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)
    await bench.admin.create([TopicSpec(topic, 1, {})])
    await worker.until(lambda: at(topic) in worker.problems or at(topic) not in worker.app.assigned())
    # Where the group noticed the deletion first, nobody reads the topic until its metadata is looked at again.
    await remove_index_agent(worker.app, topic)
    await add_index_agent(worker.app, topic, worker.handle)
    await worker.until(lambda: at(topic) in worker.problems)
    await bench.put(other, b"on")
    await worker.until(lambda: worker.values(other) == [b"on"])

    assert isinstance(worker.problems[at(topic)], (MissedRecordsError, LogUnavailableError))
    assert len(worker.values(topic)) == 3


@pytest.mark.slow
async def test_handler_that_fails_ends_the_app(bench: Bench) -> None:
    """An error in a handler is never skipped over: the app crashes with it."""
    topic = await bench.topic()
    worker = await bench.worker()

    async def fail(batch: LogBatch) -> None:
        raise ZeroDivisionError(batch.topic)

    await add_index_agent(worker.app, topic, fail)
    await bench.put(topic, b"1")

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(WAIT_S):
            await record_batches.wait_crashed(worker.app)


def test_libraries_are_the_tested_versions() -> None:
    """The insides are known for these versions only: with others, run every test of this file, then move the pins."""
    assert version("faust-streaming") == record_batches.FAUST_TESTED
    assert version("aiokafka") == record_batches.AIOKAFKA_TESTED


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (AIOKafkaConsumerThread, "_fetch_records", ["self", "consumer", "active_partitions", "timeout", "max_records"]),
        (AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
        (AIOKafkaConsumerThread, "on_thread_stop", ["self"]),
        (AIOKafkaConsumerThread, "subscribe", ["self", "topics"]),
        (ThreadDelegateConsumer, "_new_consumer_thread", ["self"]),
        (Consumer, "perform_seek", ["self"]),
        (Consumer, "_wait_next_records", ["self", "timeout"]),
        (Consumer, "_to_message", ["self", "tp", "record"]),
        (Consumer, "_get_active_partitions", ["self"]),
        (Consumer, "on_buffer_drop", ["self", "tp"]),
        (Consumer, "on_partitions_revoked", ["self", "revoked"]),
        (Consumer, "on_partitions_assigned", ["self", "assigned", "generation_id"]),
        (Conductor, "_flag_changes", ["self"]),
        (AgentManager, "update_topic_index", ["self"]),
        (App, "_wait_for_table_recovery_completed", ["self"]),
        (App, "on_rebalance_end", ["self"]),
        (Fetcher, "_notify", ["self", "future"]),
        (Fetcher, "fetched_records", ["self", "partitions", "timeout", "max_records"]),
        (TopicPartitionState, "seek", ["self", "position"]),
        (AIOKafkaConsumer, "unsubscribe", ["self"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inside_is_as_it_was(owner: type, name: str, parameters: list[str]) -> None:
    """A method that is overridden or called has the parameters it had."""
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_insides_hold_the_names_that_are_used() -> None:
    """Attributes that have no public name are still there."""
    assert Conductor._resubscribe_sleep_lock_seconds == 45.0
    assert isinstance(TopicPartitionState.has_valid_position, property)
    assert "_last_fetch_ended" in inspect.getsource(SubscriptionState.fetcher_idle_time.fget)
    assert "_fetch_waiters" in inspect.getsource(Fetcher.__init__)
    assert isinstance(SubscriptionState.subscription, property)
    assert "_paused_partitions" in inspect.getsource(Consumer.pause_partitions)
    assert "_by_topic" in inspect.getsource(AgentManager.update_topic_index)
