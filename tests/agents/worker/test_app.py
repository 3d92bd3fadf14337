"""A worker whose log is there in part: what is there is applied, and the rest as soon as it is there, too."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from schemas.events import NodeState
from schemas.ids import IndexUid, NodeId, Partition, ShardId, node_index_uid
from schemas.requests import AddNode, CreateIndex, RebuildNode
from streams.log import Append, TopicPartition
from streams.topics import REQUESTS, docs_topic
from tests.simulation.cluster import ELECTION_S, SimulatedCluster
from tests.simulation.simulate import run_at_once

FILMS, BOOKS = IndexUid("films"), IndexUid("books")
SHARDS = 2

WAIT_S = 60.0
"""On the clock of the run; everything takes a few seconds."""

SETTLED_S = 5.0
"""A rebalance is over by then."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - time costs nothing here
            await asyncio.sleep(0.05)


def write(cluster: SimulatedCluster, uid: IndexUid, key: str, *shards: int) -> None:
    """Write a document to each of these shards; its id is the key and the shard's number."""
    index = cluster.view().topology.indexes[uid]
    for shard in shards:
        name = f"{key}{shard}"
        cluster.log.append(Append(index.topic, Partition(shard), name.encode(), b'{"id": "%s"}' % name.encode()))


def is_held(cluster: SimulatedCluster, uid: IndexUid, key: str, shard: int) -> bool:
    """Return whether the node holds what ``write`` wrote."""
    name = node_index_uid(uid, cluster.view().topology.indexes[uid].incarnation)
    node = cluster.nodes[NodeId("n1")]
    return node.has_index(name) and f"{key}{shard}" in node.held(name, ShardId(shard))


@asynccontextmanager
async def applying() -> AsyncIterator[SimulatedCluster]:
    """Yield a cluster of one node and one worker, with two indexes; a document of each shard is on the node."""
    cluster = SimulatedCluster(random.Random(1))
    cluster.start()
    try:
        cluster.add_node("n1")
        cluster.ask(AddNode(NodeId("n1"), "http://n1:7700"))
        cluster.start_worker()
        await until(lambda: [n.state for n in cluster.view().topology.nodes.values()] == [NodeState.ACTIVE])
        for uid in (FILMS, BOOKS):
            cluster.ask(CreateIndex(uid, primary_key="id", shards=SHARDS, replication=1))
            await until(lambda: uid in cluster.view().topology.indexes)  # noqa: B023 - awaited here
            write(cluster, uid, "first", *range(SHARDS))
        await until(lambda: all(is_held(cluster, uid, "first", s) for uid in (FILMS, BOOKS) for s in range(SHARDS)))
        yield cluster
        assert list(cluster.failed()) == []
    finally:
        cluster.stop()


async def rebalance(cluster: SimulatedCluster) -> None:
    """Give everything to the one worker again."""
    cluster.group.change()
    await asyncio.sleep(SETTLED_S)


def test_topic_that_is_not_known_yet_is_begun_once_it_is() -> None:
    """The group has given its partitions to this worker: nobody else begins them, and no rebalance comes for it."""

    async def run() -> None:
        async with applying() as cluster:
            cluster.log.lagging.add(cluster.view().topology.indexes[FILMS].topic)
            await rebalance(cluster)
            for uid in (FILMS, BOOKS):
                write(cluster, uid, "second", *range(SHARDS))
            await until(lambda: all(is_held(cluster, BOOKS, "second", shard) for shard in range(SHARDS)))

            cluster.log.lagging.clear()
            await until(lambda: all(is_held(cluster, FILMS, "second", shard) for shard in range(SHARDS)))

    run_at_once(run())


def test_partition_without_a_leader_waits_alone_over_a_rebalance() -> None:
    """The worker goes on with all others, of the same index too, and with the lost one once a broker leads it."""

    async def run() -> None:
        async with applying() as cluster:
            topic = cluster.view().topology.indexes[FILMS].topic
            cluster.log.leaderless.add(TopicPartition(topic, Partition(1)))
            await rebalance(cluster)
            write(cluster, FILMS, "second", 0)
            write(cluster, BOOKS, "second", *range(SHARDS))
            await until(lambda: all(is_held(cluster, BOOKS, "second", shard) for shard in range(SHARDS)))
            await until(lambda: is_held(cluster, FILMS, "second", 0))

            cluster.log.leaderless.clear()
            write(cluster, FILMS, "second", 1)
            await until(lambda: is_held(cluster, FILMS, "second", 1))

    run_at_once(run())


def test_rebuild_goes_on_without_a_partition_that_has_no_leader() -> None:
    """The node's other shards are read again from the log meanwhile."""

    async def run() -> None:
        async with applying() as cluster:
            topic = cluster.view().topology.indexes[FILMS].topic
            # Windows begin anew, where the node stands: what it lacks later must be read again.
            await rebalance(cluster)
            cluster.log.leaderless.add(TopicPartition(topic, Partition(1)))
            cluster.ask(RebuildNode(NodeId("n1")))
            await until(lambda: not is_held(cluster, FILMS, "first", 0))
            await until(lambda: is_held(cluster, FILMS, "first", 0))
            await until(lambda: all(is_held(cluster, BOOKS, "first", shard) for shard in range(SHARDS)))
            assert not is_held(cluster, FILMS, "first", 1)

            cluster.log.leaderless.clear()
            await until(lambda: is_held(cluster, FILMS, "first", 1))

    run_at_once(run())


def test_owner_of_requests_leads_though_their_topic_is_not_known_yet() -> None:
    """Ownership alone makes a controller: what the log holds is the controller's own matter."""

    async def run() -> None:
        async with applying() as cluster:
            cluster.log.lagging.add(REQUESTS)
            await rebalance(cluster)
            cluster.log.lagging.clear()

            cluster.ask(CreateIndex(IndexUid("plays"), primary_key="id", shards=SHARDS, replication=1))
            await until(lambda: IndexUid("plays") in cluster.view().topology.indexes)

    run_at_once(run())


def test_request_about_a_topic_whose_leader_is_being_chosen_is_not_refused() -> None:
    """A leader that moves is missed for a moment; a refusal would be the last word."""

    async def run() -> None:
        async with applying() as cluster:
            cluster.log.create(docs_topic("plays", SHARDS))
            cluster.log.leaderless.add(TopicPartition("plays", Partition(1)))
            plays = CreateIndex(IndexUid("plays"), primary_key="id", shards=SHARDS, replication=1, topic="plays")
            cluster.ask(plays)
            await asyncio.sleep(ELECTION_S / 2)
            cluster.log.leaderless.clear()

            await until(lambda: IndexUid("plays") in cluster.view().topology.indexes)

    run_at_once(run())
