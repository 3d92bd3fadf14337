"""A log that is trimmed or made anew under its replicas: a loud stop of that index, never a silent skip."""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition as KafkaTopicPartition
from rich.console import Console

from miroir.status_table import status_tables
from schemas.events import IndexRecord, IndexState
from streams.topics import docs_topic
from tests.integration.api import Api, running_service
from tests.integration.brokers import BROKERS, running_broker
from tests.integration.cluster import Cluster
from tests.integration.documents import make_documents
from tests.integration.node import Document

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = 600


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BROKERS)
async def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, node_binary: str | None
) -> AsyncIterator[Cluster]:
    """Two nodes that hold everything, and one worker, on either broker."""
    directory = tmp_path_factory.mktemp("logs")
    with running_broker(request.param, directory / "kafka") as kafka:
        async with Cluster(directory, nodes=2, node_binary=node_binary, kafka=kafka) as running:
            for name in ("shorter", "longer", "unseen", "deleted", "trimmed", "beside"):
                await running.create_index(name)
            yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """What ``miroir status`` asks."""
    async with running_service(cluster.settings) as ready:
        yield ready


async def fill(cluster: Cluster, index: IndexRecord) -> dict[str, Document]:
    """Produce documents, wait until all replicas show them, and return them."""
    documents = make_documents(DOCUMENTS)
    await cluster.produce(index, documents)
    await cluster.caught_up(index)
    return documents


async def make_anew(cluster: Cluster, index: IndexRecord, count: int) -> dict[str, Document]:
    """Delete the index's topic, make it again under the same name, produce other documents, and return them."""
    await cluster.admin.delete([index.topic])

    async def is_gone() -> bool:
        return not await cluster.admin.describe([index.topic])

    async def is_there() -> bool:
        await cluster.admin.create([docs_topic(index.topic, index.shards)])
        return index.topic in await cluster.admin.describe([index.topic])

    await cluster.until(is_gone, "the topic to be gone")
    await cluster.until(is_there, "the topic to be there again")
    await cluster.renew_writer()
    documents = make_documents(count, text="of another log")
    await cluster.produce(index, documents)
    return documents


async def paused(cluster: Cluster, api: Api, uid: str) -> str:
    """Wait until the index is paused, and ``miroir status`` says so; return the reason shown."""

    async def is_paused() -> IndexRecord | None:
        index = await cluster.index(uid)
        return index if index.state is IndexState.PAUSED else None

    reason = (await cluster.until(is_paused, f"{uid} to be paused")).reason

    async def is_told() -> bool:
        status, answer, _ = await api.call("GET", "/_miroir/status")
        assert status == 200
        console = Console(width=1000)
        with console.capture() as shown:
            console.print(status_tables(answer, [], shards=False))
        return f"! index {uid} is paused: {reason}" in shown.get()

    await cluster.until(is_told, f"`miroir status` to tell of {uid}")
    return reason


async def all_have(cluster: Cluster, index: IndexRecord, documents: Mapping[str, Document]) -> bool:
    """Return whether every node holds these documents of the index and no other."""
    return all([await node.documents(index) == documents for node in cluster.nodes])


async def goes_on(cluster: Cluster) -> None:
    """Fail unless another index is applied as ever."""
    beside = await cluster.index("beside")
    documents = make_documents(100)
    await cluster.produce(beside, documents)
    await cluster.compare(beside, documents)


async def test_log_made_anew_and_shorter_stops_its_index(cluster: Cluster, api: Api) -> None:
    """Positions beyond the new log's end stop the index; the documents stay, and other indexes go on."""
    index = await cluster.index("shorter")
    documents = await fill(cluster, index)

    await make_anew(cluster, index, 20)

    assert index.topic in await paused(cluster, api, "shorter")
    assert await all_have(cluster, index, documents)
    await goes_on(cluster)


async def test_log_made_anew_and_longer_stops_its_index(cluster: Cluster, api: Api) -> None:
    """Positions that the new log holds too, but that mean other records there, stop the index before one is applied."""
    index = await cluster.index("longer")
    documents = await fill(cluster, index)

    await make_anew(cluster, index, 3 * DOCUMENTS)

    assert index.topic in await paused(cluster, api, "longer")
    assert await all_have(cluster, index, documents)
    await cluster.produce(index, make_documents(DOCUMENTS, text="too late"))
    await goes_on(cluster)
    assert await all_have(cluster, index, documents)


async def test_deleted_topic_stops_its_index_and_no_other(cluster: Cluster, api: Api) -> None:
    """It is said though nobody reads the topic; a node that was away is given what it lacks of every other index."""
    index, beside = await cluster.index("deleted"), await cluster.index("beside")
    documents = await fill(cluster, index)
    victim = cluster.nodes[0]
    await victim.kill()
    await cluster.away(victim)
    more = make_documents(100, text="while away")
    await cluster.produce(beside, more)
    await cluster.produce(index, make_documents(10, first=DOCUMENTS))
    await cluster.caught_up(beside, without=[victim.id])

    await cluster.admin.delete([index.topic])
    reason = await paused(cluster, api, "deleted")
    await victim.start()

    assert f"topic {index.topic}: does not exist" in reason
    await cluster.compare(beside, more)
    assert (await victim.documents(index)).items() >= documents.items()


async def test_log_made_anew_while_no_worker_ran_stops_its_index(cluster: Cluster, api: Api) -> None:
    """A worker that never saw the old log knows from the progress which one it was."""
    index = await cluster.index("unseen")
    documents = await fill(cluster, index)
    for worker in cluster.live_workers():
        await worker.stop()

    await make_anew(cluster, index, 3 * DOCUMENTS)
    await cluster.start_worker()

    assert index.topic in await paused(cluster, api, "unseen")
    assert await all_have(cluster, index, documents)
    await goes_on(cluster)


async def test_log_trimmed_under_a_replica_stops_its_index(cluster: Cluster, api: Api) -> None:
    """A node comes back and needs records that were deleted from the log: said, not skipped."""
    if cluster.has_embedded_broker:
        pytest.skip("the embedded broker hangs up on DeleteRecords")
    index = await cluster.index("trimmed")
    victim = cluster.nodes[0]
    documents = await fill(cluster, index)
    await victim.kill()
    await cluster.away(victim)
    more = make_documents(DOCUMENTS, first=DOCUMENTS)
    await cluster.produce(index, more)
    await cluster.caught_up(index, without=[victim.id])

    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.kafka.bootstrap_servers)
    await admin.start()
    ends = await cluster.bounds(index)
    # Kafka refuses to trim a topic that is only compacted: somebody has changed its policy.
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, index.topic, {"cleanup.policy": "delete"})])
    await admin.delete_records(
        {KafkaTopicPartition(index.topic, shard): RecordsToDelete(bound.end) for shard, bound in ends.items()}
    )
    await admin.close()
    # The worker that was there holds the records in memory still, and would rightly feed the node from it.
    for worker in cluster.live_workers():
        await worker.stop()
    await cluster.start_worker()
    await victim.start()

    assert "is outside the log" in await paused(cluster, api, "trimmed")
    assert await cluster.nodes[1].documents(index) == {**documents, **more}
    await goes_on(cluster)
