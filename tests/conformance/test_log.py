"""What our clients do on every broker we run on, by name, and where the embedded one is known to differ.

What fakes must do too is in ``test_log_ports.py``.
"""

import asyncio
import time
from collections import Counter
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
from schemas.errors import LogError, LogUnavailableError, MissedRecordsError, RecordTooLargeError
from schemas.events import PartitionerName
from schemas.ids import Partition, Position
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter, kill_producer
from streams.log import Append, TopicPartition, TopicSpec
from streams.partitioning import partition_of
from tests.conformance.logs import Log, broker_log, eventually
from tests.integration.waiting import DEADLINE_S

FAST_COMPACTION = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.0",
    "delete.retention.ms": "0",
    "file.delete.delay.ms": "0",
}


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    """Each broker in turn."""
    async with broker_log(request.param, request, tmp_path) as found:
        yield found


async def test_timestamp_is_when_it_was_appended(log: Log) -> None:
    """Records carry the time at which they were produced, in milliseconds."""
    topic = await log.topic()
    before_ms = time.time_ns() // 1_000_000
    await log.put(topic, b"v")
    after_ms = time.time_ns() // 1_000_000

    (record,) = await log.records(topic)

    assert before_ms <= record.timestamp_ms <= after_ms


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

    seen: Counter[PartitionerName] = Counter()
    for partition in range(7):
        for record in await log.records(topic, partition=partition):
            assert record.key is not None
            name = PartitionerName((record.value or b"").decode())
            assert partition_of(record.key, 7, name) == partition
            seen[name] += 1
    assert seen == dict.fromkeys(PartitionerName, len(keys))


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
