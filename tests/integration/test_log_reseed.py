"""A log that was trimmed under a copy is made anew from the other one, while producers write on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition as KafkaTopicPartition

from miroir.client import QueryClient
from miroir.reseed import Reseeder
from schemas.events import IndexRecord, IndexState
from tests.integration.brokers import running_broker
from tests.integration.cluster import Cluster
from tests.integration.documents import make_documents
from tests.integration.node import Document

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

DOCUMENTS = 300
EXACT = {"MIROIR_LAG_RECORDS_MAX": "0"}
"""The copy that missed writes would be read else, while it seems to catch up: its lag is small."""

LARGE_BYTES = 1_500_000
"""Of a document over Kafka's default limit."""

PAUSE_S = 0.02
"""Between two searches."""


async def trim(cluster: Cluster, index: IndexRecord) -> None:
    """Delete every record that the log holds now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.kafka.bootstrap_servers)
    await admin.start()
    try:
        ends = await cluster.bounds(index)
        # Kafka refuses to trim a topic that is only compacted: somebody has changed its policy.
        changed = {"cleanup.policy": "delete", "max.message.bytes": str(4 * LARGE_BYTES)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, index.topic, changed)])
        await admin.delete_records(
            {KafkaTopicPartition(index.topic, shard): RecordsToDelete(held.end) for shard, held in ends.items()}
        )
    finally:
        await admin.close()


async def stop_by_trimming(cluster: Cluster, index: IndexRecord) -> dict[str, Document]:
    """Let one node miss writes that are trimmed then, and return what is there once the index has stopped."""
    victim = cluster.nodes[0]
    documents = make_documents(DOCUMENTS)
    await cluster.produce(index, documents)
    await cluster.caught_up(index)
    await victim.kill()
    await cluster.away(victim)
    more = make_documents(DOCUMENTS, first=DOCUMENTS)
    gone = list(documents)[:20]
    await cluster.produce(index, {**more, **dict.fromkeys(gone)})
    await cluster.caught_up(index, without=[victim.id])
    await trim(cluster, index)
    # The worker that was there holds the records in memory still, and would rightly feed the node from it.
    for worker in cluster.live_workers():
        await worker.stop()
    await cluster.start_worker()
    await victim.start()

    async def is_paused() -> bool:
        return (await cluster.index(index.uid)).state is IndexState.PAUSED

    await cluster.until(is_paused, "the index to be stopped")
    return {key: document for key, document in {**documents, **more}.items() if key not in gone}


@asynccontextmanager
async def searching(url: str, found: list[object]) -> AsyncIterator[None]:
    """Search for everything until the block ends; note how many were found, or what was wrong."""
    is_ended = False

    async def search(client: httpx.AsyncClient) -> None:
        while not is_ended:
            answer = await client.post(f"{url}/indexes/books/search", json={"q": "", "limit": 1})
            is_whole = answer.status_code == httpx.codes.OK and "X-Miroir-Degraded" not in answer.headers
            found.append(answer.json()["estimatedTotalHits"] if is_whole else answer.text)
            await asyncio.sleep(PAUSE_S)

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client, asyncio.TaskGroup() as group:
        group.create_task(search(client))
        try:
            yield
        finally:
            is_ended = True


async def test_reseed_of_a_trimmed_log_loses_nothing(tmp_path: Path) -> None:
    """Documents, deletes, what was written while the index stood still and during the change: all in a whole log.

    Searches go on: they find what was there before, and then, from one moment on, all there is.
    """
    with running_broker("kafka", tmp_path / "kafka") as kafka:
        async with Cluster(tmp_path, nodes=2, kafka=kafka, settings=EXACT) as cluster:
            index = await cluster.create_index("books", shards=3)
            expected = await stop_by_trimming(cluster, index)
            large = {"doc-1002": {"id": "doc-1002", "text": "large " * (LARGE_BYTES // 6)}}
            late = {"doc-30": None, "doc-1000": {"id": "doc-1000", "text": "written while it stood still"}}
            await cluster.produce(index, late)
            # A topic that is not compacted takes it; the new one would refuse it with all that is sent beside it.
            await cluster.append(index, [(None, b"{}", 0)])
            await cluster.produce(index, large)
            straggler: dict[str, Document | None] = {
                "doc-1001": {"id": "doc-1001", "text": "to the old topic, after the switch"}
            }
            writes: list[asyncio.Task[None]] = []

            def report(_done: int, _total: int, what: str) -> None:
                if what.startswith("what still comes"):
                    writes.append(asyncio.create_task(cluster.produce(index, straggler)))

            url = await cluster.start_service()
            found: list[object] = []
            async with (
                QueryClient(url) as client,
                Reseeder(cluster.settings, client, report=report) as reseeder,
                searching(url, found),
            ):
                assert "was trimmed" in await reseeder.look(index.uid)
                done = await reseeder.run(index.uid)
                await asyncio.gather(*writes)

            assert (done.lost, done.is_quiet, done.carried, done.passed_over) == ("", True, 4, 0)
            assert done.keyless == 1
            made = await cluster.index("books")
            assert (made.topic, made.state, made.topic_owned) == (done.topic, IndexState.ACTIVE, True)
            whole = {key: each for key, each in {**expected, **late, **large, **straggler}.items() if each is not None}
            await cluster.compare(made, whole)
            # 20 of the first documents are deleted; one more was while it stood still, and three are new.
            assert [total for total, _ in groupby(found)] == [len(expected), len(whole)], found
            assert {held.beginning for held in (await cluster.bounds(made)).values()} == {0}
