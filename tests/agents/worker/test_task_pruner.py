"""A node's task list is kept short, and its replicas stay where they stand: on a stub and on a real node."""

import asyncio
from dataclasses import replace

import pytest

from agents.nodes.admin import HttpNodeAdmin
from agents.tail import start_tail
from agents.worker.task_pruner import LOOK_S, LOOK_SKIPPED_S, TaskPruner
from schemas.events import IndexRecord
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, NodeIndexUid, Position, SettingsVersion, ShardId
from schemas.posts import Drop, PositionRange, Post, build_metadata
from streams.cursor import ShardCursor
from tests.agents.nodes.test_admin import admin, finished, stub_admin
from tests.agents.stub_meilisearch import StubMeilisearch

__all__ = ["admin"]  # the fixture, for the same nodes

INCARNATION = Incarnation(1)
UID = NodeIndexUid("movies__1")
S0 = ShardId(0)
INDEX = IndexRecord(IndexUid("movies"), INCARNATION, "t", 1, 1, SettingsVersion(1), 0, 0)


class Clock:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


async def lead() -> None:
    """Lead, as ever."""


async def fill(node: HttpNodeAdmin, posts: int) -> ShardCursor:
    """Write a drop and so many posts of ten positions as tasks; return where the replica then stands."""
    await finished(node, await node.create_index(UID, "id"))
    task = await node.post_checkpoint(UID, build_metadata(Drop(INCARNATION, {S0: Attempt(5)})))
    for number in range(posts):
        ranges = {S0: PositionRange(Position(number * 10), Position(number * 10 + 10))}
        task = await node.post_checkpoint(UID, build_metadata(Post(INCARNATION, f"p{number}", 0, 1, ranges)))
    await finished(node, task)
    return ShardCursor(Position(posts * 10), Attempt(5))


async def stands(node: HttpNodeAdmin) -> ShardCursor:
    """Return where the replica stands by the node's task list alone."""
    return start_tail(await node.fetch_tasks()).visible(INCARNATION, S0)


async def pruned(pruner: TaskPruner) -> None:
    """Prune until nothing waits."""
    await pruner.prune({UID: INDEX})
    while pruner.is_waiting:
        await pruner.prune({UID: INDEX})
        await asyncio.sleep(0.01)


async def settled(node: HttpNodeAdmin) -> None:
    """Return when every task has finished."""
    await finished(node, await node.fetch_newest_task())


async def test_long_list_is_cut_and_the_cursor_stays(admin: HttpNodeAdmin) -> None:
    """What is left folds to the same place, the newest tasks and the checkpoint among it."""
    expected = await fill(admin, 40)
    pruner = TaskPruner(NodeId("n1"), admin, require_lead=lead, clock=Clock(), tasks_max=20)

    await pruned(pruner)
    await settled(admin)

    assert await stands(admin) == expected
    assert await admin.fetch_task_count() < 10


async def test_pruning_again_and_again_keeps_the_cursor(admin: HttpNodeAdmin) -> None:
    """Each checkpoint takes in the one before."""
    clock = Clock()
    pruner = TaskPruner(NodeId("n1"), admin, require_lead=lead, clock=clock, tasks_max=5)
    for posts in (10, 20, 30):
        expected = await fill(admin, posts)

        clock.now_s += LOOK_S
        await pruned(pruner)
        await settled(admin)

        assert await stands(admin) == expected


async def test_short_list_is_left_alone_and_rarely_looked_at() -> None:
    """Below the bound nothing is written, and the next look waits."""
    stub = StubMeilisearch()
    node = stub_admin(stub)
    await fill(node, 3)
    pruner = TaskPruner(NodeId("n1"), node, require_lead=lead, clock=Clock(), tasks_max=20)
    await pruned(pruner)
    asked = len(stub.asked)

    await pruned(pruner)

    assert len(stub.asked) == asked
    assert len(stub.tasks) == 5


async def test_index_with_too_many_shards_for_a_checkpoint_keeps_its_tasks(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once; the node is not taken for one that is away, and the tasks of other indexes go."""
    stub, clock = StubMeilisearch(), Clock()
    node = stub_admin(stub)
    await fill(node, 40)
    other = NodeIndexUid("books__2")
    await node.create_index(other, "id")
    shards = {ShardId(shard): Attempt(123_456) for shard in range(1500)}
    drop = Drop(Incarnation(2), shards, at_ms=1_700_000_000_000)
    stub.tasks[-1]["customMetadata"] = build_metadata(drop)
    await fill(node, 10)
    pruner = TaskPruner(NodeId("n1"), node, require_lead=lead, clock=clock, tasks_max=20)
    both = {UID: INDEX, other: replace(INDEX, uid=IndexUid("books"), incarnation=Incarnation(2))}

    for _ in range(3):
        clock.now_s += LOOK_SKIPPED_S
        await pruner.prune(both)
        while pruner.is_waiting:
            await pruner.prune(both)

    assert start_tail(await node.fetch_tasks()).visible(Incarnation(2), ShardId(1499)).attempt == 123_456
    assert [task["indexUid"] for task in stub.tasks].count(UID) < 10
    assert [record.__dict__["index"] for record in caplog.records if record.levelname == "WARNING"] == [other]


@pytest.mark.parametrize("lost", [True, False], ids=["checkpoint lost", "checkpoint failed"])
async def test_nothing_is_deleted_without_its_checkpoint(*, lost: bool) -> None:
    """A checkpoint that failed, or that the node does not know, deletes nothing."""
    stub = StubMeilisearch()
    node = stub_admin(stub)
    expected = await fill(node, 40)
    pruner = TaskPruner(NodeId("n1"), node, require_lead=lead, clock=Clock(), tasks_max=20)
    stub.held = True
    await pruner.prune({UID: INDEX})
    assert pruner.is_waiting
    if lost:
        stub.tasks.pop()
    else:
        stub.tasks[-1].update(status="failed", error={"code": "internal", "message": "?"})

    await pruner.prune({UID: INDEX})

    assert len([task for task in stub.tasks if task["status"] == "succeeded"]) == 42
    assert await stands(node) == expected
