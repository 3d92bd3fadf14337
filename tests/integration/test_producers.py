"""Whatever producers do: wrong partitions, aborted transactions, bad records, an index made anew under its name."""

from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from schemas.events import IndexRecord, IndexState, PartitionerName
from schemas.ids import IndexUid, node_index_uid
from schemas.requests import DeleteIndex, ResumeIndex
from streams.partitioning import partition_of
from streams.topics import docs_topic
from tests.integration.api import running_service
from tests.integration.brokers import BROKERS, running_broker
from tests.integration.cluster import Cluster, Record
from tests.integration.documents import make_documents

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

OWN_TOPIC = "company.films"
LONG_TOPIC = "company.long"
RECORD_BYTES_MAX = 20 * 1024 * 1024
"""Of the topic of that name: more than fits into a post."""

BAD_RECORDS = 10_000


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BROKERS)
async def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, node_binary: str | None
) -> AsyncIterator[Cluster]:
    """Two nodes that hold everything, and one worker, on either broker."""
    directory = tmp_path_factory.mktemp("producers")
    with running_broker(request.param, directory / "kafka") as kafka:
        async with Cluster(directory, nodes=2, node_binary=node_binary, kafka=kafka) as running:
            for name in ("java", "aborted", "anew", "bad", "flooded"):
                await running.create_index(name)
            await running.create_index("librdkafka", partitioner=PartitionerName.CRC32)
            await running.admin.create([docs_topic(OWN_TOPIC, 4)])
            await running.create_index("owned", topic=OWN_TOPIC)
            spec = docs_topic(LONG_TOPIC, 4)
            configs = {**spec.configs, "max.message.bytes": str(RECORD_BYTES_MAX)}
            await running.admin.create([replace(spec, configs=configs)])
            await running.create_index("long", topic=LONG_TOPIC)
            yield running


async def test_producer_of_the_other_partitioner_never_doubles_an_id(cluster: Cluster) -> None:
    """What librdkafka puts into another partition than the index's own goes to the dead letters, with the cure."""
    java, crc = await cluster.index("java"), await cluster.index("librdkafka")
    first, second = make_documents(300), make_documents(300, text="second")
    await cluster.produce(java, first)

    producer = Producer({"bootstrap.servers": cluster.kafka.bootstrap_servers})
    for index in (java, crc):
        for key, document in second.items():
            producer.produce(index.topic, key=key, value=orjson.dumps(document))
    assert producer.flush(30) == 0

    def is_right(key: str) -> bool:
        found = partition_of(key.encode(), java.shards, PartitionerName.CRC32)
        return found == partition_of(key.encode(), java.shards, PartitionerName.MURMUR2)

    expected = {key: second[key] if is_right(key) else first[key] for key in first}
    await cluster.compare(java, expected)
    await cluster.compare(crc, second)
    letters = await cluster.dead_letters(java)
    assert Counter(letter.reason for letter in letters) == {"misrouted": sum(not is_right(key) for key in first)}
    assert "crc32" in letters[0].message or "murmur2" in letters[0].message


async def test_records_of_aborted_transactions_are_never_indexed(cluster: Cluster) -> None:
    """Committed ones are, and cursors reach the end behind the transactions' markers."""
    if cluster.has_embedded_broker:
        pytest.skip("the embedded broker has no transactions")
    index = await cluster.index("aborted")
    committed, aborted = make_documents(200), make_documents(300, first=100, text="aborted")
    producer = AIOKafkaProducer(bootstrap_servers=cluster.kafka.bootstrap_servers, transactional_id="producer-of-tests")
    await producer.start()

    for documents, commits in ((aborted, False), (committed, True), (aborted, False)):
        await producer.begin_transaction()
        for key, document in documents.items():
            partition = partition_of(key.encode(), index.shards, PartitionerName.MURMUR2)
            await producer.send(index.topic, orjson.dumps(document), key.encode(), partition)
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    await producer.stop()

    await cluster.compare(index, committed)


async def test_index_made_anew_under_its_name_shows_nothing_of_the_old(cluster: Cluster) -> None:
    """Deleted and created at once, with a post of the old one on its way to a node that takes it after it wakes."""
    old = await cluster.index("anew")
    held = cluster.nodes[1]
    await cluster.produce(old, make_documents(1000, text="old"))
    await cluster.caught_up(old)
    before = {task.uid for task in await held.posts(old)}
    held.freeze()
    await cluster.produce(old, make_documents(50, first=500, text="old and late"))
    await cluster.caught_up(old, without=[held.id])

    assert (await cluster.request(DeleteIndex(IndexUid("anew")))).accepted
    new = await cluster.create_index("anew")
    documents = make_documents(400, first=300, text="new")
    await cluster.produce(new, documents)
    await cluster.caught_up(new, without=[held.id])

    async with running_service(cluster.settings) as api:
        held.thaw()

        async def is_old_gone() -> bool:
            assert await api.total("anew", q="old") == 0
            indexes = [await node.ask("/indexes", limit="1000") for node in cluster.nodes]
            gone = node_index_uid(old.uid, old.incarnation)
            return not any(each["uid"] == gone for found in indexes for each in found["results"])

        await cluster.until(is_old_gone, "the old index to be gone from every node")
        await cluster.compare(new, documents)
        assert await is_old_gone(), "the old index is there again"
        assert await api.total("anew") == len(documents)
        _, listed, _ = await api.call("GET", "/indexes/anew/documents?limit=1000")
    late = [task for task in await held.posts(old) if task.uid not in before]
    assert late, "no post of the old index came late"
    assert {each["id"]: each for each in listed["results"]} == documents
    assert new.incarnation > old.incarnation


async def test_index_made_anew_over_the_same_topic_is_replayed(cluster: Cluster) -> None:
    """A topic of the user's own outlives its index: the next index of that name begins with all that is in it."""
    old = await cluster.index("owned")
    documents = make_documents(500)
    await cluster.produce(old, documents)
    await cluster.caught_up(old)

    assert (await cluster.request(DeleteIndex(IndexUid("owned")))).accepted
    new = await cluster.create_index("owned", topic=OWN_TOPIC)
    documents |= make_documents(100, first=450, text="later")
    await cluster.produce(new, make_documents(100, first=450, text="later"))

    await cluster.compare(new, documents)


def bad_records(index: IndexRecord) -> list[tuple[Record, str]]:
    """Return records that no document can be made of, each with the reason of its dead letter."""
    misrouted = partition_of(b"elsewhere", index.shards, PartitionerName.MURMUR2)
    return [
        ((b"not-json", b"{", None), "not_json"),
        ((b"text-null", b"null", None), "not_an_object"),
        ((b"array", b"[1]", None), "not_an_object"),
        ((b"surrogate", b'{"a": "\\ud800"}', None), "not_json"),
        ((b"id-type", b'{"id": 1.5}', None), "invalid_id"),
        ((b"id-long", orjson.dumps({"id": "x" * 512}), None), "invalid_id"),
        ((b"id-other", b'{"id": "another"}', None), "id_disagrees"),
        ((b"reserved", b'{"_miroir": "x"}', None), "reserved_field"),
        ((b"reserved-long", orjson.dumps({"_miroir" + "\U000f0000" * 110_000: 1}), None), "reserved_field"),
        ((b"integer", b'{"n": 18446744073709551616}', None), "integer_too_large"),
        ((b"deep", b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", None), "too_deep"),
        ((b"bad characters!", b"{}", None), "invalid_id"),
        ((b"x" * 512, b"{}", None), "invalid_id"),
        ((b"x" * 100_000, b"{}", None), "invalid_id"),
        ((b"\x00\x00\x00\x00\x00\x00\x00\x07", b"{}", None), "key_binary_integer"),
        ((b'"quoted"', b"{}", None), "key_json_string"),
        ((b'{"id": 7}', b"{}", None), "key_struct"),
        ((b"\x00\x00\x00\x00\x01\x0eanother", b"{}", None), "key_schema_registry"),
        ((b"elsewhere", b"{}", (misrouted + 1) % index.shards), "misrouted"),
    ]


async def test_bad_records_get_their_reason_and_harm_no_other(cluster: Cluster) -> None:
    """Each has one dead letter that names what was found; it acts as a delete of its key; the good ones around show."""
    index = await cluster.index("bad")
    good = make_documents(200)
    expected = {
        **good,
        "9007199254740993": {"id": 9007199254740993, "big": 18446744073709551615},
        "twice": {"id": "twice", "a": 2},
        "no-id": {"id": "no-id", "a": 1},
    }
    await cluster.produce(index, good)
    rows = bad_records(index)
    # A key that is good: its document goes when a bad record comes.
    await cluster.append(index, [(b"not-json", b'{"id": "not-json"}', None), (b"doc-9", b'{"id": "doc-9"}', None)])
    await cluster.append(index, [row for row, _ in rows])
    more: list[Record] = [
        (b"9007199254740993", b'{"id": 9007199254740993, "big": 18446744073709551615}', None),
        (b"twice", b'{"id": "twice", "a": 1, "a": 2}', None),
        (b"no-id", b'{"a": 1}', None),
        (b"doc-9", None, None),
    ]
    await cluster.append(index, more)
    if cluster.has_embedded_broker:
        # A real Kafka refuses it in a compacted topic.
        await cluster.append(index, [(None, b"{}", 0)])
        rows.append(((None, b"{}", 0), "null_key"))

    del expected["doc-9"]
    await cluster.compare(index, expected)
    letters = await cluster.dead_letters(index)
    assert Counter(letter.reason for letter in letters) == Counter(reason for _, reason in rows)


async def test_over_long_record_is_set_aside_and_one_that_fits_is_not(cluster: Cluster) -> None:
    """Where a topic takes more than a post may hold: the letter says how long it is, and does not keep it."""
    index = await cluster.index("long")
    good = make_documents(200)
    fits = {"id": "fits", "text": "x" * (cluster.settings.post_bytes_max - 1000)}
    over = orjson.dumps({"id": "over", "text": "x" * cluster.settings.post_bytes_max})
    await cluster.produce(index, make_documents(100))
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.kafka.bootstrap_servers, max_request_size=RECORD_BYTES_MAX, request_timeout_ms=120_000
    )
    await producer.start()
    for key, value in ((b"over", over), (b"fits", orjson.dumps(fits))):
        partition = partition_of(key, index.shards, PartitionerName.MURMUR2)
        await producer.send_and_wait(index.topic, value, key, partition)
    await producer.stop()
    await cluster.produce(index, make_documents(100, first=100))

    await cluster.compare(index, {**good, "fits": fits})
    (letter,) = await cluster.dead_letters(index)
    assert (letter.reason, letter.key, letter.value) == ("too_large", b64encode(b"over").decode(), None)
    assert f"{len(over)} bytes" in letter.message


async def test_thousands_of_bad_records_pause_the_index_until_it_is_resumed(cluster: Cluster) -> None:
    """A broken producer does not fill the dead topic: the index says why it stands, and resumes without loss."""
    index = await cluster.index("flooded")
    good = make_documents(100)
    await cluster.produce(index, good)
    await cluster.caught_up(index)

    await cluster.append(index, [(f"bad-{number}".encode(), b"{", None) for number in range(BAD_RECORDS)])
    after = make_documents(100, first=100)
    await cluster.produce(index, after)

    resumed = 0
    ends = await cluster.bounds(index)

    async def is_through() -> bool:
        nonlocal resumed
        now = await cluster.index("flooded")
        if now.state is IndexState.PAUSED:
            assert "bad records in a row" in now.reason
            if not resumed:
                assert len(await cluster.dead_letters(index)) < BAD_RECORDS
            resumed += (await cluster.request(ResumeIndex(index.uid))).accepted
        replicas = await cluster.replicas(index)
        return all(seen is not None and seen.cursor == ends[replica.shard].end for replica, seen in replicas.items())

    await cluster.until(is_through, "the good records behind the bad ones")
    assert resumed > 0
    await cluster.compare(index, {**good, **after})
    assert len(await cluster.dead_letters(index)) == BAD_RECORDS
    assert (await cluster.index("flooded")).state is IndexState.ACTIVE
