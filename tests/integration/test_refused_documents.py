"""A document that only the node refuses, in its task: one dead letter, and everything else is visible."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import orjson
import pytest
import pytest_asyncio

from schemas.events import IndexRecord
from schemas.requests import RebuildNode
from tests.integration.cluster import Cluster
from tests.integration.documents import make_documents
from tests.integration.node import Document

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FIELDS = 66_000
"""A node takes 65,535; its message does not say which document has more."""

TRAFFIC = 40
"""Documents of each round that another worker writes meanwhile."""

ROUND_S = 0.2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, node_binary: str | None) -> AsyncIterator[Cluster]:
    """Two nodes that hold everything, and two workers that share the partitions of every index."""
    async with Cluster(tmp_path_factory.mktemp("refused"), nodes=2, workers=2, node_binary=node_binary) as running:
        await running.create_index("fields", shards=6)
        yield running


async def write_on(cluster: Cluster, index: IndexRecord, written: dict[str, Document]) -> None:
    """Produce more and more documents until cancelled: both workers post them to both nodes."""
    while True:
        more = make_documents(TRAFFIC, first=100_000 + len(written), text="traffic")
        written |= more
        await cluster.produce(index, more)
        await asyncio.sleep(ROUND_S)


async def test_document_that_only_the_node_refuses_is_the_only_one_set_aside(cluster: Cluster) -> None:
    """Among 1,000 good ones, not named by the node, while another worker keeps it busy: the same after a rebuild."""
    index = await cluster.index("fields")
    workers = [await cluster.worker_id(worker) for worker in cluster.workers]
    assert len(workers) == 2

    async def share_partitions() -> bool:
        health = [orjson.loads(await cluster.watch_worker(worker, "/health")) for worker in cluster.workers]
        return all(each["partitions"] for each in health)

    await cluster.until(share_partitions, "partitions for either worker")
    good = make_documents(1000)
    keys = list(good)
    poison = {"id": "poison", **{f"f{number}": 1 for number in range(FIELDS)}}
    written: dict[str, Document] = {}
    traffic = asyncio.create_task(write_on(cluster, index, written))

    # An earlier version of it goes: a record set aside acts as a delete.
    await cluster.produce(index, {"poison": {"id": "poison"}})
    await cluster.produce(index, {key: good[key] for key in keys[:500]})
    before = {node.id: {task.uid for task in await node.posts(index)} for node in cluster.nodes}
    await cluster.produce(index, {"poison": poison})
    await cluster.produce(index, {key: good[key] for key in keys[500:]})

    async def has_letter() -> bool:
        return bool(await cluster.dead_letters(index))

    await cluster.until(has_letter, "the dead letter of the poison")
    for node in cluster.nodes:
        since = [task for task in await node.posts(index) if task.uid not in before[node.id]]
        posted = {worker: sum(task.is_of(worker) for task in since) for worker in workers}
        assert all(posted.values()), f"{node.id}: posts since the poison: {posted}"
    traffic.cancel()
    with suppress(asyncio.CancelledError):
        await traffic
    expected = {**good, **written}
    await cluster.compare(index, expected)
    await cluster.request(RebuildNode(cluster.nodes[0].id))
    await cluster.compare(index, expected)
    (letter,) = await cluster.dead_letters(index)
    assert (letter.reason, int(letter.partition)) == ("node_refused", int(cluster.shard_of(index, "poison")))
    assert "65,535 fields" in letter.message
