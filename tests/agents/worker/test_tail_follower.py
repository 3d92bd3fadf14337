"""Following a node's task list over failures, another disk and a lost key."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from agents.tail import FailedTask, TaskView
from agents.worker import tail_follower as tail_module
from agents.worker.tail_follower import BACKOFF_S, TailFollower, backoff_s
from schemas.errors import NodeError
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, SettingsVersion, ShardId, node_index_uid
from schemas.posts import Drop, build_metadata
from streams.marker import shards_filter
from tests.background import background
from tests.fakes.node import FakeNode, FakeNodeWriter

INDEX = Incarnation(1)
UID = node_index_uid(IndexUid("films"), INDEX)
WAIT_S = 60.0


class Following:
    """A node with an index, a follower of its list, and what it told."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.node.create_index(UID, version=SettingsVersion(1))
        self.writer = FakeNodeWriter(self.node)
        self.failed: list[FailedTask] = []
        self.forgotten = 0
        self.errors: list[NodeError] = []
        self._changed = asyncio.Event()
        self.follower = TailFollower(NodeId("fake"), self.writer, interval_s=0.01, judge=self._judge, watcher=self)

    async def _judge(self, task: FailedTask) -> None:
        self.failed.append(task)

    def tail_moved(self, *, has_failed: bool) -> None:
        """Look again."""
        assert has_failed == bool(self.failed) or not has_failed
        self._changed.set()

    def tail_forgotten(self) -> None:
        """Count it."""
        self.forgotten += 1
        self._changed.set()

    def tail_unread(self, error: NodeError) -> None:
        """Remember why."""
        self.errors.append(error)
        self._changed.set()

    async def drop(self, attempt: int) -> None:
        """Write something: a drop that begins the attempt."""
        metadata = build_metadata(Drop(INDEX, {ShardId(0): Attempt(attempt)}))
        uid = await self.writer.drop(UID, shards_filter([ShardId(0)]), metadata)
        self.follower.note_posted(uid, metadata)

    def attempt(self) -> int:
        """Return the attempt that is visible."""
        return self.follower.tail.visible(INDEX, ShardId(0)).attempt

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()


@asynccontextmanager
async def following() -> AsyncIterator[Following]:
    """Follow until the end of the block."""
    found = Following()
    async with background(found.follower.run()):
        yield found


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be short."""
    monkeypatch.setattr(tail_module, "BACKOFF_S", (0.01,))
    monkeypatch.setattr(tail_module, "TAIL_IDLE_S", 0.02)


async def test_post_is_visible_once_its_task_has_finished() -> None:
    """Accepted at once, by the answer to it; visible by the list."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        await found.drop(5)
        accepted = found.follower.tail.index(INDEX).accepted()[ShardId(0)].attempt
        before = found.attempt()
        found.node.run_all()
        await found.until(lambda: found.attempt() == 5)

    assert (accepted, before) == (5, -1)


async def test_failed_task_is_judged_once() -> None:
    """However often the page that shows it is read."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        await found.drop(5)
        found.node.run(fails_with="internal")
        await found.until(lambda: bool(found.failed))
        await found.drop(6)
        found.node.run_all()
        await found.until(lambda: found.attempt() == 6)

    assert [task.error_code for task in found.failed] == ["internal"]


async def test_node_that_does_not_answer_is_away_until_its_list_is_read() -> None:
    """What was known stays meanwhile."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        found.node.is_down = True
        await found.until(lambda: found.follower.is_away)
        assert found.follower.tail.is_whole
        found.node.is_down = False
        await found.until(lambda: not found.follower.is_away)

    assert found.errors
    assert found.forgotten == 0


async def test_another_disk_is_read_from_its_beginning() -> None:
    """Nothing that was known of the former one is kept."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        older = found.node.copy_disk()
        await found.drop(5)
        found.node.run_all()
        await found.until(lambda: found.attempt() == 5)
        found.node.restore_disk(older)
        await found.until(lambda: found.forgotten == 1 and found.follower.tail.is_whole)

        assert found.attempt() == -1


@pytest.mark.parametrize("is_seen", [True, False], ids=["in its list", "by the answer to it"])
async def test_disk_from_before_a_task_that_waits_behind_another_is_read_from_its_beginning(*, is_seen: bool) -> None:
    """The task would be waited for, for ever, and its writer would have nothing to send."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        await found.drop(5)
        await found.follower.read_again()
        older = found.node.copy_disk()
        await found.drop(6)
        if is_seen:
            await found.follower.read_again()

        found.node.restore_disk(older)
        await found.until(lambda: found.forgotten == 1 and found.follower.tail.is_whole)

        assert found.follower.tail.index(INDEX).accepted()[ShardId(0)].attempt == 5
    assert found.forgotten == 1


async def test_answer_that_overtakes_a_page_is_no_other_disk() -> None:
    """The page was asked for before, and does not have the task yet."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        asked, let_go = asyncio.Event(), asyncio.Event()
        tasks_from = found.writer.tasks_from

        async def answer_late(uid: int) -> Sequence[TaskView]:
            page = await tasks_from(uid)
            asked.set()
            await let_go.wait()
            return page

        found.writer.tasks_from = answer_late  # type: ignore[method-assign]
        await asked.wait()
        await found.drop(5)
        let_go.set()
        await found.follower.read_again()

        assert found.follower.tail.index(INDEX).accepted()[ShardId(0)].attempt == 5
    assert found.forgotten == 0


def test_node_that_keeps_failing_is_asked_more_and_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last pause repeats."""
    monkeypatch.setattr(tail_module, "BACKOFF_S", BACKOFF_S)

    pauses_s = [backoff_s(failures) for failures in range(1, len(BACKOFF_S) + 3)]

    assert pauses_s == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]


async def test_list_of_a_node_that_keeps_failing_is_asked_for_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """However seldom it is written to: with which disk it comes back is to be known soon."""
    monkeypatch.setattr(tail_module, "BACKOFF_S", (0.01, 3600.0))
    monkeypatch.setattr(tail_module, "READ_AGAIN_MAX_S", 0.02)
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        found.node.is_down = True
        await found.until(lambda: len(found.errors) > 3)
        found.node.is_down = False
        await found.until(lambda: not found.follower.is_away)


async def test_list_read_again_holds_what_came_before_it_was_asked_for() -> None:
    """Another writer's task shows, though nothing else asks for the list."""
    async with following() as found:
        await found.until(lambda: found.follower.tail.is_whole)
        metadata = build_metadata(Drop(INDEX, {ShardId(0): Attempt(9)}))
        await found.writer.drop(UID, shards_filter([ShardId(0)]), metadata)
        found.node.run_all()

        async with asyncio.timeout(WAIT_S):
            await found.follower.read_again()

        assert found.attempt() == 9
