"""The cursor fold against a model: a log, a node, and everything that can go wrong between them."""

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.ids import Attempt, Incarnation, Position, ShardId
from schemas.posts import Checkpoint, CheckpointCursor, Drop, PositionRange, Post
from streams.cursor import (
    UNTOUCHED,
    NodeTask,
    ShardCursor,
    TaskState,
    fold_accepted,
    fold_tasks,
    start_from_checkpoint,
)

SHARD = ShardId(0)
INCARNATION = Incarnation(7)


def make_task(uid: int, start: int, end: int, *, post: str = "", part: int = 0, parts: int = 1) -> NodeTask:
    """Return a succeeded task of a post that holds ``[start, end)`` of the one shard."""
    ranges = {SHARD: PositionRange(Position(start), Position(end))}
    return NodeTask(uid, TaskState.SUCCEEDED, Post(INCARNATION, post or f"p{uid}", part, parts, ranges))


def cursor_after(*tasks: NodeTask) -> int:
    """Return the shard's cursor after the tasks."""
    return fold_tasks({}, tasks).get(SHARD, UNTOUCHED).cursor


@pytest.mark.parametrize(
    ("tasks", "cursor"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([make_task(1, 0, 5)], 5, id="first"),
        pytest.param([make_task(1, 0, 5), make_task(2, 5, 9)], 9, id="in a row"),
        pytest.param([make_task(1, 0, 5), make_task(2, 7, 9)], 5, id="gap"),
        pytest.param([make_task(1, 0, 9), make_task(2, 2, 5)], 5, id="late post steps back"),
        pytest.param([make_task(1, 0, 9), make_task(2, 5, 12)], 12, id="overlap"),
        pytest.param([make_task(1, 0, 5)._replace(state=TaskState.FAILED), make_task(2, 5, 9)], 0, id="failed"),
        pytest.param([make_task(1, 0, 5, post="a", parts=2)], 0, id="half a post"),
        pytest.param(
            [make_task(1, 0, 5, post="a", parts=2), make_task(2, 0, 5, post="a", part=1, parts=2)], 5, id="whole post"
        ),
        pytest.param(
            [
                make_task(1, 0, 5, post="a", parts=2),
                make_task(2, 0, 3),
                make_task(3, 0, 5, post="a", part=1, parts=2),
            ],
            3,
            id="another post between the parts",
        ),
        pytest.param([make_task(1, 0, 5, post="a", part=1, parts=2)], 0, id="second part alone"),
        pytest.param([make_task(1, 0, 5), make_task(2, 5, 5)], 5, id="empty range"),
    ],
)
def test_cursor_after_tasks_is_the_next_position_needed(tasks: list[NodeTask], cursor: int) -> None:
    """Each row of the table in the module's docstring."""
    assert cursor_after(*tasks) == cursor


def test_drop_returns_to_the_beginning_of_its_attempt() -> None:
    """A drop says which placement begins, and that nothing is there."""
    drop = NodeTask(2, TaskState.SUCCEEDED, Drop(INCARNATION, {SHARD: Attempt(4)}))

    assert fold_tasks({}, [make_task(1, 0, 5), drop])[SHARD] == ShardCursor(Position(0), Attempt(4))


def test_drop_of_all_returns_every_shard_to_the_beginning() -> None:
    """Whoever emptied the index named the shards it knew of; the others are as empty, and keep their attempts."""
    other = ShardId(3)
    known = {SHARD: ShardCursor(Position(5), Attempt(1)), other: ShardCursor(Position(7), Attempt(2))}
    drop = NodeTask(2, TaskState.SUCCEEDED, Drop(INCARNATION, {SHARD: Attempt(4)}, is_whole=True))

    assert fold_tasks(known, [drop]) == {
        SHARD: ShardCursor(Position(0), Attempt(4)),
        other: ShardCursor(Position(0), Attempt(2)),
    }


def test_post_tells_a_later_time_only_once_it_is_whole() -> None:
    """What follows a gap, or an earlier time, changes nothing; a drop begins with its own."""

    def told(uid: int, start: int, end: int, at_ms: int) -> NodeTask:
        ranges = {SHARD: PositionRange(Position(start), Position(end))}
        return NodeTask(uid, TaskState.SUCCEEDED, Post(INCARNATION, f"p{uid}", 0, 1, ranges, {SHARD: at_ms}))

    drop = NodeTask(0, TaskState.SUCCEEDED, Drop(INCARNATION, {SHARD: Attempt(4)}, at_ms=50))
    tasks = [drop, told(1, 0, 5, 70), told(2, 7, 9, 90), make_task(3, 5, 6), told(4, 6, 7, 60)]

    seen = [fold_tasks({}, tasks[: at + 1])[SHARD].whole_ms for at in range(len(tasks))]

    assert seen == [50, 70, 70, 70, 70]


def test_accepted_counts_waiting_tasks_and_not_failed_ones() -> None:
    """The writer continues behind what is queued, but not behind what the node has refused."""
    waiting = make_task(2, 5, 9)._replace(state=TaskState.WAITING)
    failed = make_task(1, 0, 5)._replace(state=TaskState.FAILED)

    assert fold_accepted({}, [make_task(1, 0, 5), waiting])[SHARD].cursor == 9
    assert fold_accepted({}, [failed, waiting])[SHARD].cursor == 0


# --- The model ---------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A log of (key, value) records and one node whose tasks run in order; a value of None deletes."""

    log: list[tuple[int, int | None] | None] = field(default_factory=list)
    """Index = offset; None is a hole that compaction left."""
    node: dict[int, int] = field(default_factory=dict)
    tasks: list[NodeTask] = field(default_factory=list)
    held: list[tuple[Post, dict[int, int | None]]] = field(default_factory=list)
    """Parts that a stalled worker made and that reach the node later, or never."""
    versions: int = 0
    posts: int = 0

    def produce(self, key: int, *, delete: bool) -> None:
        """Append a write that no earlier one equals."""
        self.versions += 1
        self.log.append((key, None if delete else self.versions))

    def compact(self, below: int) -> None:
        """Remove every record below the position whose key is written again later (tombstones stay)."""
        later: set[int] = set()
        for offset in range(len(self.log) - 1, -1, -1):
            record = self.log[offset]
            if record is None:
                continue
            if record[0] in later and offset < below:
                self.log[offset] = None
            later.add(record[0])

    def replay(self, documents: dict[int, int], start: int, end: int | None = None) -> dict[int, int]:
        """Return the documents after the log's records ``[start, end)``."""
        result = dict(documents)
        for record in self.log[start:end]:
            if record is None:
                continue
            key, value = record
            if value is None:
                result.pop(key, None)
            else:
                result[key] = value
        return result

    def make_post(self, start: int, end: int, *, parts: int) -> list[tuple[Post, dict[int, int | None]]]:
        """Read ``[start, end)`` now and fold it to the last write per key, as a worker does; split in parts."""
        self.posts += 1
        last: dict[int, int | None] = {r[0]: r[1] for r in self.log[start:end] if r is not None}
        upserts = {k: v for k, v in last.items() if v is not None}
        deletes = {k: v for k, v in last.items() if v is None}
        ranges = {SHARD: PositionRange(Position(start), Position(end))}
        bodies: list[dict[int, int | None]] = [{**last}] if parts == 1 else [{**upserts}, {**deletes}]
        return [
            (Post(INCARNATION, f"post-{self.posts}", part, parts, ranges), body) for part, body in enumerate(bodies)
        ]

    def run(self, post: Post, body: dict[int, int | None], *, fails: bool) -> None:
        """Let the node take one part and finish its task."""
        state = TaskState.FAILED if fails else TaskState.SUCCEEDED
        self.tasks.append(NodeTask(len(self.tasks), state, post))
        if fails:
            return
        for key, value in body.items():
            if value is None:
                self.node.pop(key, None)
            else:
                self.node[key] = value

    def drop(self, *, is_whole: bool, names: bool) -> None:
        """Let the node drop the shard, or everything: sent by somebody who may not know of the shard."""
        attempts = {SHARD: Attempt(1)} if names or not is_whole else {ShardId(3): Attempt(1)}
        self.tasks.append(
            NodeTask(len(self.tasks), TaskState.SUCCEEDED, Drop(INCARNATION, attempts, is_whole=is_whole))
        )
        self.node = {}

    def cursor(self) -> int:
        """Return the fold over the node's own list."""
        return fold_tasks({}, self.tasks).get(SHARD, UNTOUCHED).cursor

    def check(self) -> None:
        """Node plus log from the cursor = truth."""
        assert self.replay(self.node, self.cursor()) == self.replay({}, 0)


KEYS = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("produce"), KEYS, st.booleans()),
        st.tuples(st.just("post"), st.integers(0, 6), st.integers(1, 2), st.lists(st.booleans(), min_size=2)),
        st.tuples(st.just("hold"), st.integers(0, 12), st.integers(0, 8), st.integers(1, 2)),
        st.tuples(st.just("release"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("compact"), st.integers(0, 30)),
        st.tuples(st.just("drop"), st.booleans(), st.booleans()),
    ),
    min_size=10,
    max_size=60,
)


def step(world: World, move: tuple[object, ...]) -> None:
    """Do one step of a schedule."""
    match move:
        case ("produce", int(key), bool(delete)):
            world.produce(key, delete=delete)
        case ("post", int(length), int(parts), list(fails)):
            # The owner: continues at the fold's cursor.
            start = world.cursor()
            for (post, body), failing in zip(
                world.make_post(start, min(start + length, len(world.log)), parts=parts), fails, strict=False
            ):
                world.run(post, body, fails=failing and fails[0] is failing)
        case ("hold", int(start), int(length), int(parts)):
            # A former owner: made its post from any cursor it once believed in, and stalls.
            begin = min(start, len(world.log))
            world.held += world.make_post(begin, min(begin + length, len(world.log)), parts=parts)
        case ("release", int(which), bool(fails)) if world.held:
            world.run(*world.held.pop(which % len(world.held)), fails=fails)
        case ("compact", int(below)):
            world.compact(below)
        case ("drop", bool(is_whole), bool(names)):
            world.drop(is_whole=is_whole, names=names)
        case _:
            pass


@settings(max_examples=400)
@given(STEPS)
@example(
    [
        ("produce", 0, False),
        ("hold", 0, 1, 1),
        ("produce", 0, False),
        ("post", 6, 1, [False, False]),
        ("release", 0, False),
    ]
)
def test_node_plus_log_from_cursor_is_truth_after_every_task(moves: list[tuple[object, ...]]) -> None:
    """Deletes, stale and future ranges, held-back posts, failing and torn posts, drops of some or all, compaction."""
    world = World()
    for move in moves:
        step(world, move)
        world.check()


def make_checkpoint(uid: int, tasks: list[NodeTask]) -> NodeTask | None:
    """Return a checkpoint of these first tasks of a list; none in the middle of a torn post, as the controller's."""
    folded = fold_tasks({}, tasks)
    if any(at.torn is not None for at in folded.values()):
        return None
    cursors = {shard: CheckpointCursor(at.cursor, at.attempt, at.whole_ms) for shard, at in folded.items()}
    return NodeTask(uid, TaskState.SUCCEEDED, Checkpoint(INCARNATION, len(tasks) - 1, cursors))


@settings(max_examples=200)
@given(STEPS, st.integers(0, 60), st.lists(st.integers(0, 60), max_size=2))
def test_fold_of_a_pruned_list_equals_the_whole_fold(
    moves: list[tuple[object, ...]], cut: int, late: list[int]
) -> None:
    """Tasks behind a checkpoint can be forgotten: whoever begins at it ends where the whole fold ends.

    Also where checkpoints of fewer tasks come after it, which frozen controllers had planned before.
    """
    world = World()
    for move in moves:
        step(world, move)
    uid = len(world.tasks)
    checkpoint = make_checkpoint(uid, world.tasks[:cut])
    if checkpoint is None:
        return
    planned = [make_checkpoint(uid + 1 + at, world.tasks[: min(cut, fewer)]) for at, fewer in enumerate(late)]
    left = [*world.tasks[cut:], checkpoint, *(each for each in planned if each is not None)]

    started, upto = start_from_checkpoint(INCARNATION, left)

    assert fold_tasks(started, [t for t in left if t.uid > upto]) == fold_tasks({}, world.tasks)


def test_late_checkpoint_of_a_former_controller_is_passed_over() -> None:
    """What stepped the cursor back is deleted behind the later plan's checkpoint; the earlier plan does not know it."""
    tasks = [make_task(0, 0, 400), make_task(1, 400, 900), make_task(2, 400, 500)]
    former, present = make_checkpoint(4, tasks[:2]), make_checkpoint(3, tasks)
    assert former is not None
    assert present is not None

    cursors, upto = start_from_checkpoint(INCARNATION, [present, former])

    assert (cursors[SHARD].cursor, upto) == (500, 2)
    assert start_from_checkpoint(INCARNATION, [former, present._replace(uid=5)]) == (cursors, upto)


def test_checkpoint_planned_on_another_disk_is_passed_over() -> None:
    """It includes tasks as late as itself: on an older disk that came back the list had not come so far."""
    planned = make_checkpoint(2, [make_task(uid, 100 * uid, 100 * uid + 100) for uid in range(3)])
    assert planned is not None

    assert start_from_checkpoint(INCARNATION, [make_task(0, 0, 100), planned._replace(uid=1)]) == ({}, -1)


@given(STEPS, st.integers(0, 60))
def test_fold_is_independent_of_where_the_list_is_cut(moves: list[tuple[object, ...]], cut: int) -> None:
    """Reading the task list in pages gives what reading it at once gives."""
    world = World()
    for move in moves:
        step(world, move)

    assert fold_tasks(fold_tasks({}, world.tasks[:cut]), world.tasks[cut:]) == fold_tasks({}, world.tasks)
