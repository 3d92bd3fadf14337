"""Pruning a node's task list never changes where its replicas stand."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.checkpoint import Pruning, plan_pruning
from agents.tail import TaskView, start_tail
from schemas.ids import Attempt, Incarnation, NodeIndexUid, Position, ShardId
from schemas.posts import Checkpoint, CheckpointCursor, Drop, PositionRange, Post, PostMetadata, build_metadata

INCARNATION = Incarnation(7)
UID = NodeIndexUid("movies__7")
INDEXES = {UID: INCARNATION}
S0 = ShardId(0)


def view(uid: int, metadata: PostMetadata | None, *, status: str = "succeeded", index: str | None = UID) -> TaskView:
    """Return a task as the node tells it."""
    text = None if metadata is None else build_metadata(metadata)
    return TaskView(uid, index, status, f"t{uid}", text, uid, "", "")


def post(start: int, end: int, *, name: str = "p", part: int = 0, parts: int = 1, shard: int = 0) -> Post:
    """Return the metadata of a post of one shard."""
    return Post(INCARNATION, name, part, parts, {ShardId(shard): PositionRange(Position(start), Position(end))})


@st.composite
def histories(draw: st.DrawFn) -> list[TaskView]:
    """Return a task list: posts whole and in parts, drops, foreign tasks, failures; the last ones may wait."""
    tasks: list[TaskView] = []
    for uid in range(draw(st.integers(0, 14))):
        start, length = draw(st.integers(0, 12)), draw(st.integers(0, 6))
        shard = draw(st.integers(0, 1))
        metadata: PostMetadata | None = draw(
            st.sampled_from(
                [
                    post(start, start + length, name=f"p{uid}", shard=shard),
                    post(start, start + length, name="torn", part=draw(st.integers(0, 1)), parts=2, shard=shard),
                    Drop(INCARNATION, {ShardId(shard): Attempt(uid)}),
                    None,
                ]
            )
        )
        status = draw(st.sampled_from(["succeeded", "succeeded", "succeeded", "failed", "canceled"]))
        tasks.append(view(uid, metadata, status=status))
    waiting = draw(st.integers(0, 3))
    return [task._replace(status="enqueued") if at >= len(tasks) - waiting else task for at, task in enumerate(tasks)]


def pruned(tasks: list[TaskView], prunings: tuple[Pruning, ...]) -> list[TaskView]:
    """Return the list after the checkpoints have succeeded and the tasks are gone."""
    gone = {uid for pruning in prunings for uid in pruning.tasks}
    left = [task for task in tasks if task.uid not in gone]
    checkpoints = [pruning.checkpoint for pruning in prunings if pruning.checkpoint is not None]
    first = max((task.uid for task in tasks), default=-1) + 1
    return left + [view(uid, checkpoint) for uid, checkpoint in enumerate(checkpoints, first)]


@settings(max_examples=400)
@given(histories(), st.integers(0, 8))
def test_fold_after_pruning_is_the_fold_before(tasks: list[TaskView], kept: int) -> None:
    """Attempts are the same, cursors too; only where a post's parts were cut apart one may be earlier."""
    before = start_tail(tasks).index(INCARNATION)
    prunings = plan_pruning(tasks, INDEXES, kept=kept)

    after = start_tail(pruned(tasks, prunings)).index(INCARNATION)

    torn = any(task.metadata is not None and '"torn"' in task.metadata for task in tasks)
    for shard in before.visible:
        found = after.visible[shard]
        assert found.attempt == before.visible[shard].attempt
        assert found.cursor <= before.visible[shard].cursor
        assert torn or found.cursor == before.visible[shard].cursor


@given(histories(), st.integers(0, 8))
def test_pruning_twice_is_as_good_as_once(tasks: list[TaskView], kept: int) -> None:
    """The second checkpoint takes in the first."""
    once = pruned(tasks, plan_pruning(tasks, INDEXES, kept=kept))

    twice = pruned(once, plan_pruning(once, INDEXES, kept=0))

    first, second = start_tail(once).index(INCARNATION), start_tail(twice).index(INCARNATION)
    assert {shard: at.attempt for shard, at in second.visible.items()} == {
        shard: at.attempt for shard, at in first.visible.items()
    }
    assert all(second.visible[shard].cursor <= at.cursor for shard, at in first.visible.items())


@given(histories(), st.integers(0, 8))
def test_tasks_that_wait_and_the_newest_stay(tasks: list[TaskView], kept: int) -> None:
    """A worker finds the task where it stopped."""
    gone = {uid for pruning in plan_pruning(tasks, INDEXES, kept=kept) for uid in pruning.tasks}

    assert not gone & {task.uid for task in tasks[len(tasks) - kept :] if kept}
    assert not gone & {task.uid for task in tasks if task.status == "enqueued"}


def test_checkpoint_carries_cursor_and_attempt() -> None:
    """Whoever begins there knows as much as who read it all."""
    tasks = [view(0, Drop(INCARNATION, {S0: Attempt(3)})), view(1, post(0, 9)), view(2, None)]

    assert plan_pruning(tasks, INDEXES, kept=0) == (
        Pruning(UID, Checkpoint(INCARNATION, 2, {S0: CheckpointCursor(Position(9), Attempt(3))}), (0, 1, 2)),
    )


def test_tasks_of_deleted_indexes_and_of_none_go_without_a_checkpoint() -> None:
    """Nobody asks for their cursors."""
    tasks = [view(0, post(0, 9), index="old__3"), view(1, None, index=None), view(2, None)]

    assert plan_pruning(tasks, INDEXES, kept=0) == (Pruning(UID, None, (2,)), Pruning(None, None, (0, 1)))


def test_nothing_old_means_nothing_to_prune() -> None:
    """A short list stays as it is."""
    assert plan_pruning([view(0, post(0, 9))], INDEXES, kept=1) == ()
    assert plan_pruning([], INDEXES) == ()
