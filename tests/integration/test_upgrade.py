"""Nodes upgraded one after the other while clients search and write: the walk of ``docs/operating.md``."""

import os
from pathlib import Path

import pytest

from bench.moves_traffic import Traffic
from bench.moves_walk import Walk
from schemas.events import NodeState, ReplicaRecord
from schemas.ids import NodeId
from schemas.requests import ActivateNode, MaintainNode
from tests.integration.cluster import Cluster

pytestmark = [pytest.mark.slow]

DOCUMENTS = 400
PAUSE_S = 0.3
"""Between a client's requests: many tests share the cores."""

VERSION = "1.51.0"
"""Of an embedded node after it; a real one is another program's."""


async def upgrade(walk: Walk, name: str, version: str, *, keeps_disk: bool) -> None:
    """Do to one node what the guide says, and return when it has caught up."""
    node = walk.cluster.node(NodeId(name))
    async with walk.step(f"upgrade {name} {'with its disk' if keeps_disk else 'with an empty disk'}"):
        before = {replica.shard: replica.attempt for replica in copies_on(walk, node.id)}
        await walk.ask(MaintainNode(node.id))
        await walk.in_state(node.id, NodeState.MAINTENANCE)

        await node.upgrade(version, keeps_disk=keeps_disk)

        async def is_begun() -> bool:
            await walk.cluster.view.refresh()
            now = copies_on(walk, node.id)
            return keeps_disk or all(each.attempt > before[each.shard] for each in now)

        await walk.cluster.until(is_begun, "a lost disk to be noticed")
        await walk.ask(ActivateNode(node.id))
        await walk.in_state(node.id, NodeState.ACTIVE)
        await walk.traffic.mark()
        after = {replica.shard: replica.attempt for replica in copies_on(walk, node.id)}
    assert after.keys() == before.keys(), "no copy was made elsewhere meanwhile"
    assert (after == before) is keeps_disk, "a good disk is caught up, not rebuilt"


async def versions_of(cluster: Cluster) -> set[str]:
    """Return the versions that there are among the nodes."""
    return {(await node.ask("/version"))["pkgVersion"] for node in cluster.nodes}


def copies_on(walk: Walk, node: NodeId) -> tuple[ReplicaRecord, ...]:
    """Return what is placed on a node."""
    return walk.cluster.view.topology.replicas_on(node)


async def test_rolling_upgrade_keeps_searches_and_copies_whole(tmp_path: Path, node_binary: str | None) -> None:
    """No search fails or misses a document, whether a node keeps its disk or not; in the end copies equal the log.

    Real nodes become what ``MEILISEARCH_BIN_NEWER`` names; without it they are only stopped and started.
    """
    newer = VERSION if node_binary is None else os.environ.get("MEILISEARCH_BIN_NEWER", "")
    settings = {"MIROIR_SEARCH_TIMEOUT_S": "5"}
    async with Cluster(tmp_path, node_binary=node_binary, settings=settings) as cluster:
        index = await cluster.create_index("books", shards=6, replication=2)
        traffic = Traffic(cluster, index, [await cluster.start_service()], pause_s=PAUSE_S)
        await traffic.load(DOCUMENTS)
        await traffic.mark()
        walk = Walk(cluster, index, traffic, None)
        async with traffic.going_on():
            before = await versions_of(cluster)
            await upgrade(walk, "node-1", newer, keeps_disk=True)
            await upgrade(walk, "node-2", newer, keeps_disk=False)
            await upgrade(walk, "node-3", newer, keeps_disk=True)
        await cluster.compare(index, traffic.documents)

        assert [report for report in walk.reports if report.failed or report.incomplete] == []
        assert all(report.searches > 0 for report in walk.reports)
        after = await versions_of(cluster)
        assert len(after) == 1
        assert (after == before) is (not newer)
