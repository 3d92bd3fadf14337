"""A document that somebody alters on a node is noticed while all runs, and its copy is made anew from the log."""

from pathlib import Path

import pytest

from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import NodeId, node_index_uid
from tests.integration.cluster import Cluster
from tests.integration.documents import make_documents
from tests.integration.node import Node

pytestmark = [pytest.mark.slow]

DOCUMENTS = 30


async def alter(cluster: Cluster, node: Node, index: IndexRecord, key: str) -> None:
    """Change a document on the node with its master key, and wait until it is changed."""
    path = f"/indexes/{node_index_uid(index.uid, index.incarnation)}/documents"
    held = await node.ask(f"{path}/{key}")
    task = (await node.ask(path, [{**held, "text": "altered"}]))["taskUid"]

    async def is_done() -> bool:
        return bool((await node.ask(f"/tasks/{task}"))["status"] == "succeeded")

    await cluster.until(is_done, "the document to be altered")


async def copy_of(cluster: Cluster, index: IndexRecord, key: str, node: NodeId) -> ReplicaRecord:
    """Return the placement on the node of the document's shard, as it is now."""
    shard = cluster.shard_of(index, key)
    return next(r for r in await cluster.replicas(index) if (r.shard, r.node) == (shard, node))


@pytest.mark.parametrize(
    ("name", "are_workers_new"),
    [
        pytest.param("MIROIR_SAMPLE_INTERVAL_S", False, id="a last write"),
        pytest.param("MIROIR_SAMPLE_OLD_INTERVAL_S", True, id="an old document"),
    ],
)
async def test_altered_document_is_noticed_and_its_copy_made_anew(
    tmp_path: Path, node_binary: str | None, name: str, *, are_workers_new: bool
) -> None:
    """That copy and no other one; at the end every replica equals the log."""
    settings = {"MIROIR_SAMPLE_INTERVAL_S": "0", "MIROIR_SAMPLE_OLD_INTERVAL_S": "0", name: "0.1"}
    documents = make_documents(DOCUMENTS)
    altered = "doc-7"
    async with Cluster(tmp_path, nodes=2, node_binary=node_binary, settings=settings) as cluster:
        index = await cluster.create_index("sampled", shards=2, replication=2)
        await cluster.produce(index, documents)
        await cluster.caught_up(index)
        if are_workers_new:
            # They begin to read where the copies stand: nothing that was written before is in their memory.
            for worker in cluster.live_workers():
                await worker.stop()
            await cluster.start_worker()
        node = cluster.nodes[0]
        before = await cluster.replicas(index)
        spoilt = await copy_of(cluster, index, altered, node.id)

        await alter(cluster, node, index, altered)

        async def is_placed_anew() -> bool:
            return (await copy_of(cluster, index, altered, node.id)).attempt > spoilt.attempt

        await cluster.until(is_placed_anew, "the copy to be made anew")
        await cluster.compare(index, documents)
        assert set(before) - set(await cluster.replicas(index)) == {spoilt}
