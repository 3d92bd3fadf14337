"""One node's keeper: what it shows of a node, and when it looks again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agents.checkpoint import TASKS_MAX
from agents.decision import build_puts
from agents.node_admin import KeyRole
from agents.reconcile import NodeSight
from agents.worker.cluster_writer import ClusterWriter
from agents.worker.node_keeper import NodeKeeper
from schemas.errors import FencedError
from schemas.events import NodeState
from schemas.ids import NodeId, NodeIndexUid
from schemas.requests import AddNode, CreateIndex
from tests.agents.clusters import MOVIES
from tests.agents.nodes.test_admin import stub_admin
from tests.agents.stub_meilisearch import StubMeilisearch
from tests.agents.worker.controlled import Stage
from tests.agents.worker.test_cluster_writer import make_overtaken, new_log, put, writer_of
from tests.integration.waiting import DEADLINE_S

A = NodeId("a")


class Kept:
    """A keeper at work on one stub node that is in the cluster with keys it does not have."""

    def __init__(self, writer: ClusterWriter) -> None:
        self.stub = StubMeilisearch()
        self.writer = writer
        self.sights: dict[NodeId, NodeSight] = {}
        self.faults: dict[NodeId, str] = {}
        self.now_s = 0.0

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when the condition holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - a stub has no events
                await asyncio.sleep(0.005)


@asynccontextmanager
async def kept(**state: object) -> AsyncIterator[Kept]:
    """Run a keeper; the stub has this state from the beginning."""
    writer = writer_of(new_log())
    await writer.lead()
    await put(writer, "a")
    made = Kept(writer)
    for name, value in state.items():
        setattr(made.stub, name, value)
    numbers = iter(range(1000))
    keeper = NodeKeeper(
        A,
        stub_admin(made.stub),
        writer,
        url="http://a:7700",
        cluster="here",
        sights=made.sights,
        faults=made.faults,
        clock=lambda: made.now_s,
        draw=lambda: 0.0,
        draw_uid=lambda: f"uid-{next(numbers)}",
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keeper.run())
        yield made
        task.cancel()


async def test_keeper_takes_in_a_node_without_keys_and_shows_it() -> None:
    """The record names the keys that are on the node."""
    async with kept() as node:
        await node.until(lambda: A in node.sights and len(node.stub.keys) == 3)
        record = node.writer.topology.node(A)

        assert (record.state, set(node.stub.keys)) == (
            NodeState.ACTIVE,
            {record.worker_key, record.search_key, record.fence_key},
        )
        assert node.faults == {}


@pytest.mark.parametrize(
    ("trouble", "words"),
    [({"down": True}, "ConnectError"), ({"frozen": True}, "no answer")],
    ids=["away", "frozen"],
)
async def test_keeper_says_what_is_wrong_and_that_it_is_over(trouble: dict[str, bool], words: str) -> None:
    """The fault stands as long as it lasts; then the node is kept as any other."""
    async with kept(**trouble) as node:
        await node.until(lambda: words in node.faults.get(A, ""))
        assert A not in node.sights

        node.stub.down = node.stub.frozen = False
        await node.until(lambda: not node.faults)
        await node.until(lambda: A in node.sights)


async def test_keeper_leaves_a_node_alone_that_is_too_old() -> None:
    """It says so, and makes nothing on it."""
    async with kept(version="1.20.0") as node:
        await node.until(lambda: "too old" in node.faults.get(A, ""))

        assert node.stub.keys == {}


async def test_keeper_ends_when_its_node_goes() -> None:
    """Nobody is left to look after a node that is not in the cluster; no sight of it stays."""
    writer = writer_of(new_log())
    await writer.lead()
    sights: dict[NodeId, NodeSight] = {}
    keeper = keeper_of(writer, StubMeilisearch(), sights=sights)

    await keeper.run()

    assert sights == {}


def keeper_of(
    writer: ClusterWriter,
    stub: StubMeilisearch,
    *,
    sights: dict[NodeId, NodeSight] | None = None,
    tasks_max: int = TASKS_MAX,
) -> NodeKeeper:
    """Return a keeper of the node ``a`` that does not run yet."""
    return NodeKeeper(
        A,
        stub_admin(stub),
        writer,
        url="http://a:7700",
        cluster="here",
        sights={} if sights is None else sights,
        faults={},
        clock=lambda: 0.0,
        draw=lambda: 0.0,
        draw_uid=lambda: "uid",
        tasks_max=tasks_max,
    )


async def node_with_keys(stub: StubMeilisearch, *uids: str) -> None:
    """Make keys on a node, as a controller of this cluster does."""
    node = stub_admin(stub)
    for uid in uids:
        await node.create_key(uid, KeyRole.SEARCH, "here")
    await node.close()


async def test_keeper_that_slept_while_another_controller_led_does_nothing_to_its_node() -> None:
    """By its fold the search key in use is nobody's, and a dead one is missing."""
    frozen, leads = await make_overtaken()
    async with leads as writer:
        record = writer.topology.node(A)
        await writer.commit(build_puts(replace(record, search_key="a-fence", fence_key="a-next")))
    stub = StubMeilisearch()
    await node_with_keys(stub, "a-worker", "a-fence", "a-next")

    with pytest.raises(FencedError):
        await keeper_of(frozen, stub).run()

    assert set(stub.keys) == {"a-worker", "a-fence", "a-next"}


async def test_keeper_that_slept_prunes_no_tasks_of_an_index_placed_since() -> None:
    """By its fold they are nobody's, and need no checkpoint."""
    frozen, leads = await make_overtaken()
    stub = StubMeilisearch()
    await node_with_keys(stub, "a-worker", "a-search", "a-fence")
    node = stub_admin(stub)
    for _ in range(30):
        await node.create_index(NodeIndexUid("movies__1"), "id")
    await put(leads, "b")

    with pytest.raises(FencedError):
        await keeper_of(frozen, stub, tasks_max=20).run()

    assert len(stub.tasks) == 30


async def test_keeper_of_a_node_without_anything_to_do_asks_nothing_of_the_log() -> None:
    """It looks every second, and a lead that is over does no harm there."""
    log = new_log()
    writer = writer_of(log)
    await writer.lead()
    await put(writer, "a")
    stub = StubMeilisearch()
    await node_with_keys(stub, "a-worker", "a-search", "a-fence")
    log.away = True

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await keeper_of(writer, stub).run()

    assert "GET /indexes" in stub.asked


async def test_keeper_of_a_frozen_node_does_not_delay_another() -> None:
    """Index and settings reach the living node while the other does not answer."""
    stage = Stage(nodes={"a": StubMeilisearch(), "b": StubMeilisearch()})
    async with stage.controlled():
        await stage.joined("a", "b")
        stage.nodes["b"].frozen = True
        await stage.answered(AddNode(NodeId("a"), "http://a:7700"))
        await stage.answered(CreateIndex(MOVIES, "id", shards=2, replication=2))

        await stage.until(lambda: stage.nodes["a"].indexes)
        assert not stage.nodes["b"].indexes
        stage.nodes["b"].frozen = False
        await stage.until(lambda: stage.nodes["b"].indexes)
