"""One suite for every broker we run on, by name: what all must do, and where the embedded one is known to differ."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from confluent_kafka import Producer

from miroir.broker import EmbeddedBroker
from schemas.errors import FencedError, LogError, LogUnavailableError, MissedRecordsError, RecordTooLargeError
from schemas.events import PartitionerName
from schemas.ids import Partition, Position
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter, kill_producer
from streams.log import Append, Bounds, LogBatch, LogRecord, TopicPartition, TopicSpec
from streams.partitioning import partition_of
from tests.integration.waiting import DEADLINE_S

KNOWN_DIFFERENCES = {
    # What it is about, then how it is on a real Kafka and on the embedded broker.
    "a null key in a compacted topic": ("refused", "appended"),
    "an idempotent producer": ("appends", "refused"),
    "a transaction that was aborted": ("not read", "cannot be made"),
    "an earlier writer of the same name": ("fenced", "commits"),
    "a record over the default limit of 1 MiB": ("refused", "appended"),
    "the end by ListOffsets": ("the last offset plus one", "the last batch's first offset plus one"),
    "DeleteRecords": ("deletes", "hangs up"),
    "a compacted topic": ("compacted", "kept whole"),
    "a topic's configuration": ("all of it", "what was given"),
    "what a user may do with a topic": ("create, delete, read, write", "nothing"),
}
"""Nothing of ours may rest on the embedded column; each entry is asserted for both brokers by a test below."""

FAST_COMPACTION = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "0",
    "file.delete.delay.ms": "0",
}
_numbers = itertools.count()


class Log:
    """A broker under test, and our clients of it."""

    def __init__(self, name: str, config: KafkaConfig) -> None:
        self.name = name
        self.config = config
        self.admin = KafkaLogAdmin(config)
        self.writer = KafkaLogWriter(config)
        self.reader = KafkaLogReader(config, check_s=0.2)

    def expected(self, behaviour: str) -> str:
        """Return what the table says of this broker."""
        real, embedded = KNOWN_DIFFERENCES[behaviour]
        return real if self.name == "real" else embedded

    async def topic(self, configs: dict[str, str] | None = None, *, partitions: int = 1) -> str:
        """Create a topic of a name nobody has used and wait until it is there."""
        name = f"conformance.{time.time_ns()}.{next(_numbers)}"
        await self.create(name, partitions, configs or {})
        return name

    async def create(self, name: str, partitions: int, configs: dict[str, str]) -> None:
        """Create a topic and wait until it is there, and led."""
        await self.admin.create([TopicSpec(name, partitions, configs)])
        await eventually(lambda: self.reader.bounds([TopicPartition(name, Partition(partitions - 1))]))

    async def put(self, topic: str, *values: bytes | None, key: bytes | None = b"k", partition: int = 0) -> None:
        """Append values under one key."""
        await self.writer.append([Append(topic, Partition(partition), key, value) for value in values])

    async def bounds(self, topic: str, partition: int = 0) -> Bounds:
        """Return one partition's bounds."""
        each = TopicPartition(topic, Partition(partition))
        return (await self.reader.bounds([each]))[each]

    async def batches(self, topic: str, *, start: int = 0, partition: int = 0) -> list[LogBatch]:
        """Return all batches of one partition from ``start`` to its end as it is now."""
        each = TopicPartition(topic, Partition(partition))
        end = (await self.bounds(topic, partition)).end
        await self.reader.assign({each: Position(start)})
        batches: list[LogBatch] = []
        while (batches[-1].end if batches else start) < end:
            batches += await self.reader.read(timeout_s=DEADLINE_S, records_max=1000)
        return batches

    async def records(self, topic: str, *, start: int = 0, partition: int = 0) -> list[LogRecord]:
        """Return all records of one partition from ``start`` to its end as it is now."""
        batches = await self.batches(topic, start=start, partition=partition)
        return [record for batch in batches for record in batch.records]

    async def close(self) -> None:
        """Close all clients."""
        for client in (self.reader, self.writer, self.admin):
            await client.close()


async def eventually(attempt, *, timeout_s: float = 15.0):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - any call
    """Return the attempt's answer once it is no ``LogError``."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                return await attempt()
            except LogError:
                await asyncio.sleep(0.05)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """Each broker in turn."""
    async with AsyncExitStack() as stack:
        if request.param == "real":
            found = Log("real", request.getfixturevalue("real_kafka"))
        else:
            broker = EmbeddedBroker(tmp_path / "broker.log")
            stack.push_async_callback(broker.stop)
            await broker.start()
            found = Log("embedded", broker.config)
        stack.push_async_callback(found.close)
        yield found


async def test_append_then_read_keeps_order_and_positions(log: Log) -> None:
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


async def test_concurrent_appends_keep_the_order_of_each(log: Log) -> None:
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


async def test_read_from_the_middle_starts_there(log: Log) -> None:
    """A position inside a batch of the log gives the records from it on, never those before."""
    topic = await log.topic()
    await log.put(topic, *(b"%d" % number for number in range(10)))

    records = await log.records(topic, start=7)

    assert [record.offset for record in records] == [7, 8, 9]


async def test_read_with_little_room_brings_all_records(log: Log) -> None:
    """A limit on records cuts batches, and loses nothing."""
    topic = await log.topic()
    await log.put(topic, *(b"%d" % number for number in range(100)))
    await log.reader.assign({TopicPartition(topic, Partition(0)): Position(0)})

    sizes: list[int] = []
    while sum(sizes) < 100:
        sizes += [len(batch.records) for batch in await log.reader.read(timeout_s=DEADLINE_S, records_max=7)]

    assert max(sizes) <= 7


async def test_read_with_nothing_new_returns_empty_in_time(log: Log) -> None:
    """A read at the end waits as long as asked, and returns nothing."""
    topic = await log.topic()
    await log.reader.assign({TopicPartition(topic, Partition(0)): Position(0)})

    began_s = time.monotonic()
    batches = await log.reader.read(timeout_s=0.3, records_max=10)

    assert len(batches) == 0
    assert 0.25 <= time.monotonic() - began_s < DEADLINE_S


async def test_assign_other_partitions_keeps_the_rest_reading(log: Log) -> None:
    """A partition that stays assigned goes on where it stood."""
    topic = await log.topic(partitions=2)
    first, second = (TopicPartition(topic, Partition(number)) for number in range(2))
    await log.put(topic, b"a", b"b", partition=0)
    await log.reader.assign({first: Position(0)})
    (batch,) = await log.reader.read(timeout_s=DEADLINE_S, records_max=1)

    await log.reader.assign({first: batch.end, second: Position(0)})

    (rest,) = await log.reader.read(timeout_s=DEADLINE_S, records_max=10)
    assert [record.value for record in (*batch.records, *rest.records)] == [b"a", b"b"]


async def test_null_key_is_read_as_none(log: Log) -> None:
    """A record without a key is not one with an empty key."""
    topic = await log.topic()
    await log.put(topic, b"none", key=None)
    await log.put(topic, b"empty", key=b"")

    assert [record.key for record in await log.records(topic)] == [None, b""]


async def test_tombstone_is_not_the_text_null(log: Log) -> None:
    """A null value is read as None; the text ``null`` and the empty text are values."""
    topic = await log.topic({"cleanup.policy": "compact"})
    await log.put(topic, None, b"null", b"")

    assert [record.value for record in await log.records(topic)] == [None, b"null", b""]


async def test_null_key_in_compacted_topic_as_known(log: Log) -> None:
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


async def test_timestamp_is_when_it_was_appended(log: Log) -> None:
    """Records carry the time at which they were produced, in milliseconds."""
    topic = await log.topic()
    before_ms = time.time_ns() // 1_000_000
    await log.put(topic, b"v")
    after_ms = time.time_ns() // 1_000_000

    (record,) = await log.records(topic)

    assert before_ms <= record.timestamp_ms <= after_ms


async def test_describe_tells_partitions_of_those_that_exist(log: Log) -> None:
    """Topics that do not exist are not in the answer."""
    topic = await log.topic(partitions=5)

    found = await log.admin.describe([topic, "conformance.nowhere"])

    assert [(name, each.partitions, each.replication) for name, each in found.items()] == [(topic, 5, 1)]


async def test_describe_tells_the_configuration_as_known(log: Log) -> None:
    """What was given is told by both; Kafka tells its defaults too."""
    topic = await log.topic({"cleanup.policy": "compact"})

    configs = (await log.admin.describe([topic]))[topic].configs

    assert configs["cleanup.policy"] == "compact"
    found = "all of it" if "max.message.bytes" in configs else "what was given"
    assert found == log.expected("a topic's configuration")


async def test_describe_tells_what_may_be_done_as_known(log: Log) -> None:
    """A Kafka without permissions allows everything; where a broker does not tell, nobody is blamed."""
    topic = await log.topic()

    allowed = (await log.admin.describe([topic]))[topic].operations

    told = "nothing" if allowed is None else ", ".join(sorted(allowed))
    assert told == log.expected("what a user may do with a topic")
    assert await log.admin.may_join("a-group")
    if log.name == "real":
        assert await log.admin.may_transact("a-transactional-id")


async def test_create_of_an_existing_topic_leaves_it(log: Log) -> None:
    """Creating twice is no error and changes nothing."""
    topic = await log.topic(partitions=2)
    await log.put(topic, b"v")

    await log.admin.create([TopicSpec(topic, 7, {})])

    assert (await log.admin.describe([topic]))[topic].partitions == 2
    assert len(await log.records(topic)) == 1


async def test_delete_and_create_gives_another_empty_log(log: Log) -> None:
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
async def test_reader_of_a_recreated_topic_stops_loudly(log: Log, new_records: int) -> None:
    """Whether the new log is shorter or longer than the position, nothing of it is read as a continuation."""
    topic = await log.topic()
    await log.put(topic, b"1", b"2", b"3")
    await log.batches(topic)
    other = KafkaLogWriter(log.config)

    await log.admin.delete([topic])
    await gone(log, topic)
    await log.admin.create([TopicSpec(topic, 1, {})])
    await eventually(lambda: other.append([Append(topic, Partition(0), b"k", b"new")] * new_records))
    await other.close()

    with pytest.raises((MissedRecordsError, LogUnavailableError)) as caught:
        await read_for(log.reader, 5.0)
    assert isinstance(caught.value, MissedRecordsError) or "no such topic" in str(caught.value)


async def test_reader_of_a_deleted_topic_stops_loudly(log: Log) -> None:
    """A topic that goes away under a reader is an error, not silence."""
    topic = await log.topic()
    await log.batches(topic)
    await log.reader.assign({TopicPartition(topic, Partition(0)): Position(0)})

    await log.admin.delete([topic])

    with pytest.raises(LogUnavailableError, match="no such topic"):
        await read_for(log.reader, 10.0)


async def test_topics_are_listed_by_how_their_names_begin(log: Log) -> None:
    """Those of others on the same Kafka are passed over."""
    topic = await log.topic()

    assert topic in await log.admin.names(("elsewhere.", "conformance."))
    assert await log.admin.names((f"{topic}.",)) == []


async def test_asking_about_a_missing_topic_creates_none(log: Log) -> None:
    """Kafka's default is to create a topic that a client asks about; ours never ask so."""
    missing = TopicPartition(f"conformance.missing.{time.time_ns()}", Partition(0))
    hasty = KafkaLogWriter(replace(log.config, request_timeout_ms=1000))

    with pytest.raises(LogUnavailableError):
        await log.reader.bounds([missing])
    with pytest.raises(LogUnavailableError):
        await log.reader.assign({missing: Position(0)})
    with pytest.raises(LogUnavailableError):
        await hasty.append([Append(missing.topic, missing.partition, b"k", b"v")])
    await hasty.close()

    assert await log.admin.describe([missing.topic]) == {}


async def test_missing_partition_is_a_typed_error(log: Log) -> None:
    """Neither a read nor an append goes to a partition that is not there."""
    topic = await log.topic(partitions=2)

    with pytest.raises(LogError, match="no partition 2"):
        await log.reader.assign({TopicPartition(topic, Partition(2)): Position(0)})
    with pytest.raises(LogError, match="no partition 2"):
        await log.writer.append([Append(topic, Partition(2), b"k", b"v")])


async def test_position_beyond_the_end_is_missed_records(log: Log) -> None:
    """Nobody is moved back to where the log ends; the reader keeps what it was assigned before."""
    topic = await log.topic()
    await log.put(topic, b"1", b"2")

    with pytest.raises(MissedRecordsError) as caught:
        await log.reader.assign({TopicPartition(topic, Partition(0)): Position(3)})

    assert (caught.value.wanted, caught.value.beginning, caught.value.end) == (3, 0, 2)


async def test_end_by_list_offsets_as_known(log: Log) -> None:
    """Ours is right on both; the question that other consumers ask is answered wrongly by the embedded broker."""
    topic = await log.topic()
    await log.put(topic, b"1", b"2", b"3")
    theirs = aiokafka.AIOKafkaConsumer(bootstrap_servers=log.config.bootstrap_servers)
    await theirs.start()
    (listed,) = (await theirs.end_offsets([aiokafka.TopicPartition(topic, 0)])).values()
    await theirs.stop()

    meanings = {3: "the last offset plus one", 1: "the last batch's first offset plus one"}
    assert meanings[listed] == log.expected("the end by ListOffsets")
    assert (await log.bounds(topic)).end == 3


async def test_deleted_records_as_known(log: Log) -> None:
    """A position before the beginning is an error, never a jump to the first record left."""
    topic = await log.topic()
    await log.put(topic, *(b"%d" % number for number in range(10)))
    admin = AIOKafkaAdminClient(bootstrap_servers=log.config.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({aiokafka.TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
    except KafkaError:
        found = "hangs up"
    else:
        with pytest.raises(MissedRecordsError) as caught:
            await log.records(topic, start=5)
        assert (caught.value.beginning, caught.value.end) == (6, 10)
        assert [record.offset for record in await log.records(topic, start=6)] == [6, 7, 8, 9]
        found = "deletes"
    await admin.close()

    assert found == log.expected("DeleteRecords")


async def test_idempotent_producer_as_known(log: Log) -> None:
    """Production's default works on Kafka; the embedded broker refuses it within the time-out."""
    topic = await log.topic()
    writer = KafkaLogWriter(replace(log.config, idempotence=True, request_timeout_ms=2000))
    try:
        await writer.append([Append(topic, Partition(0), b"k", b"v")])
        found = "appends"
    except LogError:
        found = "refused"
    await writer.close()

    assert found == log.expected("an idempotent producer")


async def test_committed_transaction_is_read_whole(log: Log) -> None:
    """All records of a commit are read, in order, and the position reaches the end behind its marker."""
    topic = await log.topic(partitions=2)
    transactions = KafkaTransactions(log.config, topic)
    await transactions.fence()
    await transactions.commit([Append(topic, Partition(number % 2), b"k", b"%d" % number) for number in range(6)])
    await transactions.commit([Append(topic, Partition(0), b"k", b"6")])
    await transactions.fence()
    await transactions.close()

    assert [record.value for record in await log.records(topic)] == [b"0", b"2", b"4", b"6"]
    assert [record.value for record in await log.records(topic, partition=1)] == [b"1", b"3", b"5"]


async def test_aborted_transaction_as_known(log: Log) -> None:
    """Nothing of it is read, and the position passes it even at the very end of the log."""
    topic = await log.topic()
    await log.put(topic, b"before")
    try:
        await abort(log.config, topic, [b"1", b"2"])
    except LogError:
        found = "cannot be made"
    else:
        async with asyncio.timeout(DEADLINE_S):
            while (await log.bounds(topic)).end < 4:  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.02)
        (tail,) = await log.batches(topic, start=1)
        assert (tail.start, tail.end, tail.records) == (1, 4, ())
        records = [record.value for record in await log.records(topic)]
        found = "not read" if records == [b"before"] else f"read: {records}"

    assert found == log.expected("a transaction that was aborted")


async def test_earlier_writer_of_the_same_name_as_known(log: Log) -> None:
    """The last to fence commits; on Kafka an earlier one is told to stop, and nothing of it is read."""
    topic = await log.topic()
    first, second = KafkaTransactions(log.config, topic), KafkaTransactions(log.config, topic)
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


async def test_commit_without_fence_is_refused(log: Log) -> None:
    """A writer that has not fenced, or whose commit failed, cannot commit."""
    transactions = KafkaTransactions(log.config, "never-fenced")

    with pytest.raises(LogUnavailableError, match="fence first"):
        await transactions.commit([])


async def test_record_too_large_is_refused_alone(log: Log) -> None:
    """One over the topic's limit is refused by name; appends beside it and after it are not touched."""
    topic = await log.topic({"max.message.bytes": "200000"})
    large = Append(topic, Partition(0), b"large", b"x" * 300_000)
    small = [Append(topic, Partition(0), b"small", b"%d" % number) for number in range(50)]

    results = await asyncio.gather(
        log.writer.append(small), log.writer.append([large]), log.writer.append(small), return_exceptions=True
    )
    await log.writer.append(small)

    assert [isinstance(result, RecordTooLargeError) for result in results] == [False, True, False]
    assert [record.key for record in await log.records(topic)] == [b"small"] * 150


async def test_raised_record_limit_counts_at_once(log: Log) -> None:
    """A writer that has refused a record takes it once the topic's limit is above it; it needs no restart."""
    topic = await log.topic({"max.message.bytes": "200000"})
    with pytest.raises(RecordTooLargeError):
        await log.put(topic, b"x" * 300_000)

    await log.admin.delete([topic])
    await eventually(lambda: log.create(topic, 1, {"max.message.bytes": "400000"}))
    await eventually(lambda: log.put(topic, b"x" * 300_000))
    with pytest.raises(RecordTooLargeError):
        await log.put(topic, b"x" * 500_000)

    assert [len(record.value or b"") for record in await log.records(topic)] == [300_000]


async def test_record_over_the_default_limit_as_known(log: Log) -> None:
    """Kafka's limit is 1 MiB; the embedded broker has none of its own."""
    topic = await log.topic()
    try:
        await log.put(topic, b"x" * 1_500_000)
        found = "appended"
    except RecordTooLargeError:
        found = "refused"

    assert found == log.expected("a record over the default limit of 1 MiB")


async def test_large_record_is_written_and_read(log: Log) -> None:
    """A record larger than a producer's batch and a fetch's share of a partition passes whole."""
    topic = await log.topic({"max.message.bytes": str(8 * 1024 * 1024)})
    reader = KafkaLogReader(log.config, fetch_bytes_max=64 * 1024)
    value = bytes(range(256)) * 12 * 1024
    await log.put(topic, b"before", value, b"after")

    await reader.assign({TopicPartition(topic, Partition(0)): Position(0)})
    values: list[bytes | None] = []
    while len(values) < 3:
        for batch in await reader.read(timeout_s=DEADLINE_S, records_max=10):
            values += [record.value for record in batch.records]
    await reader.close()

    assert values == [b"before", value, b"after"]


@pytest.mark.slow
async def test_compacted_tail_as_known(log: Log) -> None:
    """Compaction leaves holes, but the position still reaches the end, over tombstones that are gone and all."""
    topic = await log.topic(FAST_COMPACTION)
    for _ in range(3):
        await log.put(topic, *(b"%d" % number for number in range(10)))
    await log.put(topic, None)
    appended = 31
    try:
        async with asyncio.timeout(8.0 if log.name == "real" else 2.0):
            while len(await log.records(topic)) >= appended:
                await asyncio.sleep(0.3)
                await log.put(topic, None, key=b"last")
                appended += 1
        found = "compacted"
    except TimeoutError:
        found = "kept whole"

    assert found == log.expected("a compacted topic")
    batches = await log.batches(topic)
    assert batches[-1].end == (await log.bounds(topic)).end == appended
    assert [batch.start for batch in batches] == [0, *(batch.end for batch in batches[:-1])]


async def test_librdkafka_and_java_partitioners_agree_with_ours(log: Log) -> None:
    """A producer's own choice of partition is the one we compute, on every broker."""
    topic = await log.topic(partitions=7)
    keys = [f"key-{number}".encode() for number in range(50)]
    theirs = Producer({"bootstrap.servers": log.config.bootstrap_servers, "partitioner": "consistent_random"})
    for key in keys:
        theirs.produce(topic, key=key, value=b"crc32")
    await asyncio.to_thread(theirs.flush, 10)
    java = aiokafka.AIOKafkaProducer(bootstrap_servers=log.config.bootstrap_servers)
    await java.start()
    for key in keys:
        await java.send_and_wait(topic, key=key, value=b"murmur2")
    await java.stop()

    for partition in range(7):
        for record in await log.records(topic, partition=partition):
            assert record.key is not None
            name = PartitionerName((record.value or b"").decode())
            assert partition_of(record.key, 7, name) == partition


async def test_two_starts_of_the_embedded_broker_are_two_clusters(tmp_path: Path) -> None:
    """A restarted local stack finds another cluster id: its log is new."""
    ids = []
    for _ in range(2):
        async with AsyncExitStack() as stack:
            broker = EmbeddedBroker(tmp_path / "broker.log")
            stack.push_async_callback(broker.stop)
            await broker.start()
            admin = KafkaLogAdmin(broker.config)
            stack.push_async_callback(admin.close)
            ids.append(await admin.cluster_id())

    assert ids[0] != ids[1]


async def test_embedded_broker_restarted_on_its_port_is_noticed(tmp_path: Path) -> None:
    """Who read from the former log is told that it is another one, though topic and offsets look alike."""
    async with AsyncExitStack() as stack:
        broker = EmbeddedBroker(tmp_path / "broker.log")
        stack.push_async_callback(broker.stop)
        await broker.start()
        log = Log("embedded", broker.config)
        stack.push_async_callback(log.close)
        topic = await log.topic()
        await log.put(topic, b"1", b"2")
        await log.batches(topic)

        again = EmbeddedBroker(tmp_path / "again.log", port=int(broker.address.split(":")[1]))
        stack.push_async_callback(again.stop)
        await broker.stop()
        await again.start()
        await eventually(lambda: log.admin.create([TopicSpec(topic, 1, {})]))
        await eventually(lambda: log.put(topic, b"1", b"2", b"3"))

        with pytest.raises(MissedRecordsError):
            await read_until_missed(log.reader, 10.0)


async def recreate(log: Log, topic: str) -> None:
    """Delete a topic and create it again."""
    await log.admin.delete([topic])
    await gone(log, topic)
    await log.create(topic, 1, {})


async def gone(log: Log, topic: str) -> None:
    """Wait until a deleted topic is gone."""
    async with asyncio.timeout(DEADLINE_S):
        while await log.admin.describe([topic]):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)


async def read_for(reader: KafkaLogReader, duration_s: float) -> Sequence[LogBatch]:
    """Read for a while and return what came."""
    deadline_s = time.monotonic() + duration_s
    batches: list[LogBatch] = []
    while time.monotonic() < deadline_s:
        batches += await reader.read(timeout_s=0.2, records_max=100)
    return batches


async def read_until_missed(reader: KafkaLogReader, duration_s: float) -> None:
    """Read through times without a broker, for a while."""
    deadline_s = time.monotonic() + duration_s
    while time.monotonic() < deadline_s:
        try:
            await reader.read(timeout_s=0.2, records_max=100)
        except LogUnavailableError:
            await asyncio.sleep(0.05)


async def abort(config: KafkaConfig, topic: str, values: Sequence[bytes]) -> None:
    """Append values in a transaction and abort it."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=config.bootstrap_servers, transactional_id=f"abort-{topic}")
    try:
        async with asyncio.timeout(5.0):
            await producer.start()
    except (KafkaError, TimeoutError) as error:
        await kill_producer(producer)
        raise LogError("no transactions") from error
    await producer.begin_transaction()
    for value in values:
        await producer.send(topic, value, key=b"k", partition=0)
    await producer.flush()
    await producer.abort_transaction()
    await producer.stop()
