"""What whoever implements the log's ports must do: our clients of both brokers, and the fakes of the simulation."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.errors import FencedError, LogError, LogUnavailableError, MissedRecordsError
from schemas.ids import Partition, Position
from streams.log import Append, TopicPartition, TopicSpec
from tests.conformance.logs import AnyLog, broker_log, eventually, fake_log, gone, read_for, recreate
from tests.integration.waiting import DEADLINE_S


@pytest.fixture(params=["fake", "embedded", pytest.param("real", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyLog]:
    """Each log in turn."""
    if request.param == "fake":
        yield fake_log()
        return
    async with broker_log(request.param, request, tmp_path) as found:
        yield found


async def test_append_then_read_keeps_order_and_positions(log: AnyLog) -> None:
    """Offsets are returned in the order given, and batches follow one another without a gap up to the end."""
    topic = await log.topic(partitions=3)
    appends = [Append(topic, Partition(number % 3), b"%d" % number, b"v") for number in range(3000)]

    offsets = await log.writer.append(appends)

    assert list(offsets) == [number // 3 for number in range(3000)]
    for partition in range(3):
        batches = await log.batches(topic, partition=partition)
        assert [batch.start for batch in batches] == [0, *(batch.end for batch in batches[:-1])]
        assert batches[-1].end == (await log.bounds(topic, partition)).end == 1000
        records = [record for batch in batches for record in batch.records]
        assert [record.key for record in records] == [b"%d" % number for number in range(partition, 3000, 3)]


async def test_concurrent_appends_keep_the_order_of_each(log: AnyLog) -> None:
    """Appends of several tasks mix, but the records of each stay in order."""
    topic = await log.topic()

    await asyncio.gather(
        *(
            log.writer.append([Append(topic, Partition(0), b"%d" % task, b"%d" % number) for number in range(200)])
            for task in range(5)
        )
    )

    records = await log.records(topic)
    assert len(records) == 1000
    for task in range(5):
        mine = [record.value for record in records if record.key == b"%d" % task]
        assert mine == [b"%d" % number for number in range(200)]


async def test_read_from_the_middle_starts_there(log: AnyLog) -> None:
    """A position inside a batch of the log gives the records from it on, never those before."""
    topic = await log.topic()
    await log.put(topic, *(b"%d" % number for number in range(10)))

    records = await log.records(topic, start=7)

    assert [record.offset for record in records] == [7, 8, 9]


async def test_read_with_little_room_brings_all_records(log: AnyLog) -> None:
    """A limit on records cuts batches, and loses nothing."""
    topic = await log.topic()
    await log.put(topic, *(b"%d" % number for number in range(100)))
    await log.reader.assign({TopicPartition(topic, Partition(0)): Position(0)})

    sizes: list[int] = []
    while sum(sizes) < 100:
        sizes += [len(batch.records) for batch in await log.reader.read(timeout_s=DEADLINE_S, records_max=7)]

    assert max(sizes) <= 7


async def test_read_with_nothing_new_returns_empty_in_time(log: AnyLog) -> None:
    """A read at the end waits as long as asked, and returns nothing."""
    topic = await log.topic()
    await log.reader.assign({TopicPartition(topic, Partition(0)): Position(0)})

    began_s = time.monotonic()
    batches = await log.reader.read(timeout_s=0.3, records_max=10)

    assert len(batches) == 0
    assert 0.25 <= time.monotonic() - began_s < DEADLINE_S


async def test_assign_other_partitions_keeps_the_rest_reading(log: AnyLog) -> None:
    """A partition that stays assigned goes on where it stood."""
    topic = await log.topic(partitions=2)
    first, second = (TopicPartition(topic, Partition(number)) for number in range(2))
    await log.put(topic, b"a", b"b", partition=0)
    await log.reader.assign({first: Position(0)})
    (batch,) = await log.reader.read(timeout_s=DEADLINE_S, records_max=1)

    await log.reader.assign({first: batch.end, second: Position(0)})

    (rest,) = await log.reader.read(timeout_s=DEADLINE_S, records_max=10)
    assert [record.value for record in (*batch.records, *rest.records)] == [b"a", b"b"]


async def test_null_key_is_read_as_none(log: AnyLog) -> None:
    """A record without a key is not one with an empty key."""
    topic = await log.topic()
    await log.put(topic, b"none", key=None)
    await log.put(topic, b"empty", key=b"")

    assert [record.key for record in await log.records(topic)] == [None, b""]


async def test_tombstone_is_not_the_text_null(log: AnyLog) -> None:
    """A null value is read as None; the text ``null`` and the empty text are values."""
    topic = await log.topic({"cleanup.policy": "compact"})
    await log.put(topic, None, b"null", b"")

    assert [record.value for record in await log.records(topic)] == [None, b"null", b""]


async def test_null_key_in_compacted_topic_as_known(log: AnyLog) -> None:
    """Kafka refuses it, with every record that shares its batch; the embedded broker takes it."""
    topic = await log.topic({"cleanup.policy": "compact"})
    try:
        await log.put(topic, b"v", key=None)
        found = "appended"
    except LogError as error:
        found = "refused" if not error.retriable else f"to be tried again: {error}"

    assert found == log.expected("a null key in a compacted topic")
    await log.put(topic, b"after")
    assert (await log.records(topic))[-1].value == b"after"


async def test_describe_tells_partitions_of_those_that_exist(log: AnyLog) -> None:
    """Topics that do not exist are not in the answer."""
    topic = await log.topic(partitions=5)

    found = await log.admin.describe([topic, "conformance.nowhere"])

    assert [(name, each.partitions, each.replication) for name, each in found.items()] == [(topic, 5, 1)]


async def test_create_of_an_existing_topic_leaves_it(log: AnyLog) -> None:
    """Creating twice is no error and changes nothing."""
    topic = await log.topic(partitions=2)
    await log.put(topic, b"v")

    await log.admin.create([TopicSpec(topic, 7, {})])

    assert (await log.admin.describe([topic]))[topic].partitions == 2
    assert len(await log.records(topic)) == 1


async def test_delete_and_create_gives_another_empty_log(log: AnyLog) -> None:
    """A topic made again under the same name starts at 0, and has another identity in the same cluster."""
    topic = await log.topic()
    await log.put(topic, b"old")
    before = (await log.admin.identify([topic]))[topic]

    await recreate(log, topic)

    after = (await log.admin.identify([topic]))[topic]
    assert (after.cluster_id, await log.bounds(topic)) == (before.cluster_id, (0, 0))
    assert after.topic_id != before.topic_id
    await log.put(topic, b"new")
    assert [record.value for record in await log.records(topic)] == [b"new"]


@pytest.mark.parametrize("new_records", [1, 5], ids=["shorter", "longer"])
async def test_reader_of_a_recreated_topic_stops_loudly(log: AnyLog, new_records: int) -> None:
    """Whether the new log is shorter or longer than the position, nothing of it is read as a continuation."""
    topic = await log.topic()
    await log.put(topic, b"1", b"2", b"3")
    await log.batches(topic)

    await log.admin.delete([topic])
    await gone(log, topic)
    await log.admin.create([TopicSpec(topic, 1, {})])
    await eventually(lambda: log.writer.append([Append(topic, Partition(0), b"k", b"new")] * new_records))

    with pytest.raises((MissedRecordsError, LogUnavailableError)) as caught:
        await read_for(log.reader, 5.0)
    assert isinstance(caught.value, MissedRecordsError) or "no such topic" in str(caught.value)


async def test_reader_of_a_deleted_topic_stops_loudly(log: AnyLog) -> None:
    """A topic that goes away under a reader is an error, not silence."""
    topic = await log.topic()
    await log.batches(topic)
    await log.reader.assign({TopicPartition(topic, Partition(0)): Position(0)})

    await log.admin.delete([topic])

    with pytest.raises(LogUnavailableError, match="no such topic"):
        await read_for(log.reader, 10.0)


async def test_missing_partition_is_a_typed_error(log: AnyLog) -> None:
    """Neither a read nor an append goes to a partition that is not there."""
    topic = await log.topic(partitions=2)

    with pytest.raises(LogError, match="no partition 2"):
        await log.reader.assign({TopicPartition(topic, Partition(2)): Position(0)})
    with pytest.raises(LogError, match="no partition 2"):
        await log.writer.append([Append(topic, Partition(2), b"k", b"v")])


async def test_position_beyond_the_end_is_missed_records(log: AnyLog) -> None:
    """Nobody is moved back to where the log ends; the reader keeps what it was assigned before."""
    topic = await log.topic()
    await log.put(topic, b"1", b"2")

    with pytest.raises(MissedRecordsError) as caught:
        await log.reader.assign({TopicPartition(topic, Partition(0)): Position(3)})

    assert (caught.value.wanted, caught.value.beginning, caught.value.end) == (3, 0, 2)


async def test_committed_transaction_is_read_whole(log: AnyLog) -> None:
    """All records of a commit are read, in order, and the position reaches the end behind its marker."""
    topic = await log.topic(partitions=2)
    transactions = log.transactions(topic)
    await transactions.fence()
    await transactions.commit([Append(topic, Partition(number % 2), b"k", b"%d" % number) for number in range(6)])
    await transactions.commit([Append(topic, Partition(0), b"k", b"6")])
    await transactions.fence()
    await transactions.close()

    assert [record.value for record in await log.records(topic)] == [b"0", b"2", b"4", b"6"]
    assert [record.value for record in await log.records(topic, partition=1)] == [b"1", b"3", b"5"]


async def test_earlier_writer_of_the_same_name_as_known(log: AnyLog) -> None:
    """The last to fence commits; on Kafka an earlier one is told to stop, and nothing of it is read."""
    topic = await log.topic()
    first, second = log.transactions(topic), log.transactions(topic)
    await first.fence()
    await first.commit([Append(topic, Partition(0), b"k", b"first")])
    await second.fence()
    await second.commit([Append(topic, Partition(0), b"k", b"second")])
    try:
        await first.commit([Append(topic, Partition(0), b"k", b"late")])
        found = "commits"
    except FencedError:
        found = "fenced"
    await second.commit([Append(topic, Partition(0), b"k", b"third")])
    await second.fence()

    assert found == log.expected("an earlier writer of the same name")
    values = [record.value for record in await log.records(topic) if record.value != b"late"]
    assert values == [b"first", b"second", b"third"]
    await first.close()
    await second.close()
    # The client forgets a future that was refused: whoever collected it later would find its complaint in his own test.
    gc.collect()


async def test_commit_without_fence_is_refused(log: AnyLog) -> None:
    """A writer that has not fenced, or whose commit failed, cannot commit."""
    transactions = log.transactions("never-fenced")

    with pytest.raises(LogUnavailableError, match="fence first"):
        await transactions.commit([])
