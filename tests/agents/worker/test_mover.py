"""The mover at work, under a controller on a log in memory."""

from schemas.ids import IndexUid, NodeId, Partition, Position, ShardId
from schemas.progress import Progress, build_progress, build_progress_key
from schemas.requests import AddNode, CreateIndex, DrainNode
from streams.log import Append
from streams.topics import PROGRESS
from tests.agents.worker.controlled import Stage

MOVIES = IndexUid("movies")


def publish(stage: Stage, *, but: str = "") -> None:
    """Publish that every copy, and every drop, has been seen at the end: but on one node."""
    topology = stage.topology
    index = topology.index(MOVIES)
    placed = [r for shard in range(index.shards) for r in topology.replicas_of(MOVIES, ShardId(shard))]
    for replica in (*placed, *topology.leaving):
        if replica.node != but:
            seen = Progress(
                replica.uid,
                replica.incarnation,
                replica.shard,
                replica.node,
                replica.attempt,
                Position(10),
                Position(10),
                index.settings_version,
                seen_ms=1,
                at_end_ms=1,
            )
            stage.log.append(Append(PROGRESS, Partition(0), build_progress_key(seen), build_progress(seen)))


async def test_copies_leave_a_drained_node_only_when_others_are_whole() -> None:
    """Begun at once; left when published as whole, with the node's key replaced; forgotten when seen dropped."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a", "b", "c")
        await stage.answered(CreateIndex(MOVIES, "id", shards=2, replication=2))
        publish(stage)
        before = stage.topology.node(NodeId("a"))
        await stage.answered(DrainNode(NodeId("a")))
        wanted = [["b", "c"], ["b", "c"]]

        def others() -> list[list[str]]:
            shards = [stage.topology.replicas_of(MOVIES, ShardId(shard)) for shard in range(2)]
            return [[replica.node for replica in shard if replica.node != "a"] for shard in shards]

        await stage.until(lambda: others() == wanted)
        assert stage.topology.replicas_on(NodeId("a"))
        assert stage.topology.node(NodeId("a")).search_key == before.search_key

        publish(stage)
        await stage.until(lambda: stage.topology.leaving and not stage.topology.replicas_on(NodeId("a")))
        assert stage.topology.node(NodeId("a")).search_key == before.fence_key
        await stage.until(lambda: before.search_key not in stage.nodes["a"].keys)

        publish(stage)
        await stage.until(lambda: not stage.topology.leaving)


async def test_new_controller_goes_on_where_the_former_one_stopped() -> None:
    """Nothing of a move is remembered but what stands in the log."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a", "b")
        await stage.answered(CreateIndex(MOVIES, "id", shards=4, replication=1))
        publish(stage)
        stage.ask(AddNode(NodeId("c"), "http://c:7700"))
        await stage.until(lambda: stage.topology.replicas_on(NodeId("c")))

    publish(stage)
    async with stage.controlled():
        await stage.until(lambda: stage.topology.leaving)
        publish(stage)
        await stage.until(lambda: not stage.topology.leaving)

    assert sum(len(stage.topology.replicas_on(NodeId(node))) for node in "abc") == 4
