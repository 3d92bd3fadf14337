"""Workers that are killed or frozen, and posts that arrive late: the fold over the node's task list puts it right."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from miroir.processes import Child
from schemas.events import IndexRecord
from schemas.ids import Partition
from streams.log import Append
from streams.topics import DEAD, PROGRESS
from tests.integration.cluster import Cluster
from tests.integration.documents import make_documents
from tests.integration.node import Node, PostTask
from tests.integration.waiting import signal_group

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = 3000
NODE_TIMEOUT_S = 5
"""Long enough for a busy machine to bring a post to a node that has just been frozen."""

PATIENCE_S = 120
"""Of a worker that sleeps while it waits for a node's answer: it must not have given up when it wakes."""

BALLAST = 20_000
"""Documents of somebody else's that keep a node busy for a second or more: what is posted then waits behind them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, node_binary: str | None) -> AsyncIterator[Cluster]:
    """Two nodes that hold everything, and one worker that soon loses patience with them."""
    directory = tmp_path_factory.mktemp("workers")
    settings = {"MIROIR_POST_RECORDS_MAX": "100", "MIROIR_NODE_TIMEOUT_S": str(NODE_TIMEOUT_S)}
    async with Cluster(directory, nodes=2, node_binary=node_binary, settings=settings) as running:
        for name in ("killed", "frozen", "late"):
            await running.create_index(name)
        yield running


async def one_worker(cluster: Cluster) -> Child:
    """End all workers but the newest, and return it: an older one may have more patience."""
    *others, newest = cluster.live_workers()
    for worker in others:
        await worker.stop()
    return newest


async def unfinished_posts(node: Node, index: IndexRecord, worker: str) -> Sequence[PostTask]:
    """Return the worker's posts that the node has taken and not yet done."""
    return [task for task in await node.posts(index) if task.is_unfinished and task.is_of(worker)]


async def test_worker_killed_after_a_nodes_202_leaves_no_gap(cluster: Cluster) -> None:
    """Posts are in the node's list, not done, and their worker is gone: the next one finds them and goes on behind."""
    index = await cluster.index("killed")
    worker = await one_worker(cluster)
    killed = await cluster.worker_id(worker)
    node = cluster.nodes[0]
    documents = make_documents(DOCUMENTS)
    await cluster.produce(index, {"doc-0": documents["doc-0"]})
    await cluster.caught_up(index)
    await node.ask("/indexes/ballast/documents", list(make_documents(BALLAST).values()), primaryKey="id")
    loading = asyncio.create_task(cluster.produce(index, documents))

    async def has_unfinished() -> bool:
        return bool(await unfinished_posts(node, index, killed))

    await cluster.until(has_unfinished, "a post that waits")
    await worker.kill()
    left = await unfinished_posts(node, index, killed)
    await loading
    await cluster.start_worker()

    rewritten = make_documents(200, first=100, text="rewritten")
    await cluster.produce(index, {**rewritten, "doc-5": None})
    expected = {**documents, **rewritten}
    del expected["doc-5"]
    await cluster.compare(index, expected)
    assert left, "the node had done every post before its worker was gone"


async def test_worker_frozen_beyond_its_session_does_no_harm_when_it_wakes(cluster: Cluster) -> None:
    """Another worker owns its shards and has gone far ahead when the frozen one sends what it had in hand."""
    index = await cluster.index("frozen")
    for worker in cluster.live_workers():
        await worker.stop()
    sleeper = await cluster.start_worker(MIROIR_NODE_TIMEOUT_S=str(PATIENCE_S))
    frozen = await cluster.worker_id(sleeper)
    node = cluster.nodes[0]
    documents = make_documents(DOCUMENTS)
    await cluster.produce(index, {"doc-0": documents["doc-0"]})
    await cluster.caught_up(index)

    # One post is on its way to the node, and what comes after it waits in the worker, when the worker falls asleep.
    node.freeze()
    for part in (make_documents(100), documents):
        await cluster.produce(index, part)
        await cluster.caught_up(index, without=[node.id])
    ends = {shard: held.end for shard, held in (await cluster.bounds(index)).items()}
    signal_group(sleeper, signal.SIGSTOP)
    node.thaw()
    other = await cluster.worker_id(await cluster.start_worker())
    rewritten = make_documents(DOCUMENTS, text="rewritten")
    await cluster.produce(index, {**rewritten, "doc-7": None})
    await cluster.caught_up(index)
    taken = {each.id: await each.posts(index) for each in cluster.nodes}
    signal_group(sleeper, signal.SIGCONT)

    for tasks in taken.values():
        assert {shard for task in tasks if task.is_of(other) for shard in task.post.ranges} == set(range(index.shards))
    newest = taken[node.id][0].uid

    async def has_come_late() -> bool:
        late = [task.post for task in await node.posts(index) if task.uid > newest and task.is_of(frozen)]
        return any(all(end <= ends[shard] for shard, (_, end) in post.ranges.items()) for post in late)

    await cluster.until(has_come_late, "a post of what the worker had in hand when it fell asleep")
    after = make_documents(300, first=DOCUMENTS)
    await cluster.produce(index, after)
    expected = {**documents, **rewritten, **after}
    del expected["doc-7"]
    await cluster.compare(index, expected)


async def test_post_that_a_frozen_node_takes_late_is_replayed_over(cluster: Cluster) -> None:
    """A whole body was on its way, the worker timed out, the node wakes and takes it: newer values win all the same."""
    index = await cluster.index("late")
    worker = await one_worker(cluster)
    killed = await cluster.worker_id(worker)
    victim = cluster.nodes[1]
    documents = make_documents(DOCUMENTS)
    await cluster.produce(index, documents)
    await cluster.caught_up(index)
    before = await cluster.bounds(index)
    victim.freeze()

    # Small enough for the frozen node's socket to take all of the body.
    stale = make_documents(60, text="stale")
    await cluster.produce(index, stale)
    ends = {shard: held.end for shard, held in (await cluster.bounds(index)).items()}
    await cluster.away(victim)
    # Whatever it has sent to the frozen node is on its way without an owner.
    await worker.kill()
    await cluster.start_worker()
    rewritten = make_documents(60, text="newest")
    await cluster.produce(index, {**rewritten, "doc-9": None})
    await cluster.caught_up(index, without=[victim.id])
    victim.thaw()

    expected = {**documents, **rewritten}
    del expected["doc-9"]
    await cluster.compare(index, expected)
    # The killed worker's own, by its id: a replay by the next one may well have the same ranges.
    late = [
        task
        for task in await victim.posts(index)
        if task.is_of(killed)
        and any(start >= before[s].end and end <= ends[s] for s, (start, end) in task.post.ranges.items())
    ]
    assert late, "no post was taken late"


async def test_foreign_records_of_our_own_topics_end_no_worker(cluster: Cluster) -> None:
    """Neither one that is at work when they come, nor one that meets them when it starts."""
    index = await cluster.create_index("foreign")
    await cluster.writer.append([Append(topic, Partition(0), b"foreign", b"{") for topic in (DEAD, PROGRESS)])
    first = make_documents(100)
    await cluster.produce(index, first)
    await cluster.caught_up(index)
    for worker in cluster.live_workers():
        await worker.kill()
    await cluster.start_worker()
    second = make_documents(50, text="second")
    await cluster.produce(index, second)
    await cluster.caught_up(index)

    # Whoever verifies stops at such a letter until it is taken away.
    await cluster.writer.append([Append(topic, Partition(0), b"foreign", None) for topic in (DEAD, PROGRESS)])
    assert len(cluster.live_workers()) == 1
    for node in cluster.nodes:
        assert await node.documents(index) == {**first, **second}
