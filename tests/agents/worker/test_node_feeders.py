"""Feeders that come and go with the nodes of the topology."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from agents.batching import PostLimits
from agents.operations import Operation
from agents.posts import ShardSlice, build_parts
from agents.window import Window
from agents.worker.feed import Assignment, Feed
from agents.worker.feeder import Feeder
from agents.worker.feeder_settings import FeederSettings
from agents.worker.node_feeders import NodeFeeders
from agents.worker.replay import Replay
from schemas.errors import MissedRecordsError
from schemas.events import IndexRecord, NodeRecord
from schemas.ids import Attempt, NodeId, Position, ShardId, node_index_uid
from schemas.posts import Drop, PositionRange, build_metadata
from streams.log import LogBatch
from streams.marker import shards_filter
from tests.background import background
from tests.builders import make_index, make_node, make_replica, make_topology
from tests.fakes.log import FakeLog, FakeLogReader
from tests.fakes.node import FakeNode, FakeNodeWriter

INDEX = make_index()
SHARD = ShardId(0)
A, B = NodeId("a"), NodeId("b")


class Running:
    """Feeders of nodes in memory, which hand nothing out."""

    def __init__(self) -> None:
        self.nodes: dict[NodeId, FakeNode] = {}
        self.made: list[NodeRecord] = []
        self.feeders = NodeFeeders(self._make)

    def _make(self, node: NodeRecord) -> Feeder:
        self.made.append(node)
        fake = self.nodes.setdefault(node.id, FakeNode(node.id))
        fake.create_index(node_index_uid(INDEX.uid, INDEX.incarnation), version=INDEX.settings_version)
        return Feeder(
            node.id,
            FakeNodeWriter(fake),
            FeederSettings("w", PostLimits(100, 10**6, 0.0), 0.01, 0.0),
            assignments=list,
            placements=lambda _: {},
            replay=Replay(FakeLogReader(FakeLog()), self._take, fed=lambda: None, missed=self._miss),
            search_key=str,
            is_stale=lambda _feed, _at: False,
            is_limited=lambda _: False,
            condemn=self._condemn,
            advanced=self.feeders.note_moved,
            now=lambda: 0.0,
            now_ms=lambda: 0,
        )

    async def _take(self, feed: Feed, index: IndexRecord, batch: LogBatch, window: Window) -> None:
        raise AssertionError((feed, index, batch, window))

    async def _miss(self, error: MissedRecordsError) -> None:
        raise AssertionError(error)

    async def _condemn(self, assignment: Assignment, operation: Operation, message: str) -> None:
        raise AssertionError((assignment, operation, message))

    async def put(self, node: NodeId, attempt: Attempt, end: int) -> None:
        """Let the node's list say that the shard began this attempt and holds the log up to ``end``."""
        writer, uid = FakeNodeWriter(self.nodes[node]), node_index_uid(INDEX.uid, INDEX.incarnation)
        metadata = build_metadata(Drop(INDEX.incarnation, {SHARD: attempt}))
        await writer.drop(uid, shards_filter([SHARD]), metadata)
        whole = ShardSlice(PositionRange(Position(0), Position(end)), [])
        for part in build_parts("p", INDEX.incarnation, {SHARD: whole}):
            await writer.post(uid, part)

    def ids(self) -> set[NodeId]:
        """Return the nodes that have a feeder."""
        return {node.id for node, _ in self.feeders.all()}


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """Keep feeders until the end of the block."""
    found = Running()
    started = asyncio.Event()
    async with background(found.feeders.run(started=started)):
        await started.wait()
        yield found


async def test_nodes_with_shards_get_a_feeder_until_they_have_none() -> None:
    """A member without shards needs none; one that lost its last shard is left."""
    async with running() as found:
        found.feeders.follow(make_topology(make_node("a"), make_node("b"), INDEX, make_replica("a")))
        assert found.ids() == {A}
        found.feeders.follow(make_topology(make_node("a"), make_node("b"), INDEX, make_replica("b")))
        assert found.ids() == {B}
        assert found.feeders.of(A) is None


async def test_feeder_is_made_anew_only_where_address_or_key_changed() -> None:
    """A node that came back with an empty disk has another key; a new weight is nothing to a feeder."""
    node = make_node("a")
    async with running() as found:
        for each in (node, replace(node, weight=2.0), replace(node, worker_key="another"), node):
            found.feeders.follow(make_topology(each, INDEX, make_replica("a")))

    assert [each.worker_key for each in found.made] == [node.worker_key, "another", node.worker_key]


async def test_shard_stands_where_its_best_copy_does() -> None:
    """By what the nodes tell of this placement: what stands there from another does not count."""
    replicas = (make_replica("a", attempt=5), make_replica("b", attempt=6))
    topology = make_topology(make_node("a"), make_node("b"), INDEX, *replicas)
    async with running() as found:
        found.feeders.follow(topology)
        told = [found.feeders.is_any_told]
        for node, end in ((A, 4), (B, 9)):
            await found.put(node, Attempt(5), end)
        await found.feeders.wait_told(5.0)

        told.append(found.feeders.is_any_told)
        assert told == [False, True]
        assert found.feeders.furthest(topology, INDEX.uid, INDEX.incarnation, SHARD) == 4
        assert found.feeders.furthest(topology, INDEX.uid, INDEX.incarnation, ShardId(1)) == 0


async def test_node_that_is_away_is_waited_for_no_longer_than_said() -> None:
    """The others have told theirs."""
    async with running() as found:
        found.nodes[B] = FakeNode(B)
        found.nodes[B].is_down = True
        found.feeders.follow(make_topology(make_node("a"), make_node("b"), INDEX, make_replica("a"), make_replica("b")))

        await found.feeders.wait_told(0.2)

        assert {node.id for node, feeder in found.feeders.all() if feeder.tail.is_whole} == {A}
