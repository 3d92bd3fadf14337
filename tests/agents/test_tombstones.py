"""Which copies may have missed deletes, against a log that forgets its tombstones."""

import copy
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.tombstones import MARK_EVERY_MS, MARKS_MAX, Copy, EndMarks, choose_rebuilds, may_miss_deletes, news_ms
from schemas.ids import Attempt, NodeId, Position
from schemas.posts import Drop, Post
from streams.cursor import UNTOUCHED, NodeTask, ShardCursor, TaskState, fold_tasks
from tests.streams.test_cursor import INCARNATION, SHARD, World

TICK_MS = MARK_EVERY_MS
KEPT_TICKS = 100
ON_ITS_WAY_TICKS = 9
"""A post that was read reaches its node by then, or never: less than what the rule keeps in hand."""


def test_mark_holds_for_the_end_that_was_seen_and_beyond() -> None:
    """Nothing at or after an end was written before it was seen; before it, an earlier mark may know something."""
    marks = EndMarks()
    for end, ticks in ((10, 1), (20, 2), (30, 4)):
        marks.note(Position(end), ticks * TICK_MS)

    assert [marks.whole_ms(Position(at)) // TICK_MS for at in (9, 10, 19, 20, 29, 30, 99)] == [0, 1, 1, 2, 2, 4, 4]


def test_end_that_stays_moves_its_time() -> None:
    """A quiet log is known to be whole now, not when its last record came; a lower end says nothing."""
    marks = EndMarks()
    for end, ticks in ((10, 1), (10, 70), (5, 80)):
        marks.note(Position(end), ticks * TICK_MS)

    assert marks.whole_ms(Position(10)) == 70 * TICK_MS


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2 * MARK_EVERY_MS)), max_size=3 * MARKS_MAX))
def test_marks_are_few_and_each_was_seen(steps: list[tuple[int, int]]) -> None:
    """However long it is watched; and who stands at the end has the time of the last look."""
    marks, seen, end, now_ms = EndMarks(), {0}, 0, 1
    for grown, passed_ms in steps:
        end, now_ms = end + grown, now_ms + passed_ms
        marks.note(Position(end), now_ms)
        seen.add(now_ms)

    told = {marks.whole_ms(Position(position)) for position in range(end + 1)}
    assert told <= seen
    assert len(told) <= MARKS_MAX + 1
    assert not steps or marks.whole_ms(Position(end)) == now_ms


def test_log_that_always_grows_gives_a_replica_just_behind_it_a_recent_time() -> None:
    """Two positions behind an end that moves at every look: never more than two marks old."""
    marks = EndMarks()
    for step in range(600):
        marks.note(Position(step), step * MARK_EVERY_MS // 10)

    assert 599 * MARK_EVERY_MS // 10 - marks.whole_ms(Position(597)) <= 2 * MARK_EVERY_MS


def test_node_is_told_a_time_only_where_it_is_news() -> None:
    """An hour more or less does not count, so that hardly any post carries one."""
    assert news_ms(5 * MARK_EVERY_MS, 4 * MARK_EVERY_MS) == 5 * MARK_EVERY_MS
    assert news_ms(5 * MARK_EVERY_MS, 4 * MARK_EVERY_MS + 1) == 0
    assert news_ms(0, 0) == 0


def make_copies(told: str) -> list[Copy]:
    """Return copies as ``"a stale, b readable"`` tells them; others are ``behind`` or ``away``."""
    words = [each.split() for each in told.split(", ") if each]
    return [
        Copy(NodeId(node), is_stale=how == "stale", is_seen=how != "away", is_readable=how == "readable")
        for node, how in words
    ]


@pytest.mark.parametrize(
    ("copies", "chosen"),
    [
        pytest.param("a stale, b readable", "a", id="another can be searched"),
        pytest.param("c stale, a stale, b readable", "ac", id="two, and another can be searched"),
        pytest.param("a stale, b behind", "", id="another is on its way"),
        pytest.param("b stale, a stale", "a", id="all are stale"),
        pytest.param("a stale, b away", "a", id="the other node is away"),
        pytest.param("a stale", "a", id="the only one"),
        pytest.param("a readable, b behind", "", id="none is stale"),
        pytest.param("", "", id="none at all"),
    ],
)
def test_rebuilds_leave_a_copy_to_search(copies: str, chosen: str) -> None:
    """A stale copy can be searched until another one can, or until nothing better is to be had."""
    assert "".join(choose_rebuilds(make_copies(copies))) == chosen


# --- The model: the world of the cursor, in which time passes and tombstones go ------------------------------------


@dataclass
class AgingWorld(World):
    """A log whose compaction removes tombstones too, as Kafka's does since KIP-534.

    A tombstone's time begins when compaction first comes over it, and what it deletes goes then. So whoever has read
    what it deletes finds the tombstone for as long as tombstones are kept, from that read on at the least.
    """

    rules: bool = True
    now: int = 1000
    cleaned: dict[int, int] = field(default_factory=dict)
    truth: dict[int, int] = field(default_factory=dict)
    ends: EndMarks = field(default_factory=EndMarks)
    on_their_way: list[tuple[int, Post, dict[int, int | None]]] = field(default_factory=list)
    disk: tuple[dict[int, int], list[NodeTask]] = field(default_factory=lambda: ({}, []))

    def produce(self, key: int, *, delete: bool) -> None:
        """Append a write, and know what it leads to."""
        super().produce(key, delete=delete)
        self.truth.pop(key, None)
        if not delete:
            self.truth[key] = self.versions

    def compact(self, below: int) -> None:
        """Remove what was written again, then tombstones that are old enough and delete nothing any more."""
        super().compact(below)
        kept: set[int] = set()
        for offset, record in enumerate(self.log):
            if record is None:
                continue
            key, value = record
            is_tombstone = value is None and offset < below
            is_old = is_tombstone and self.now - self.cleaned.setdefault(offset, self.now) >= KEPT_TICKS
            if is_old and key not in kept:
                self.log[offset] = None
            else:
                kept.add(key)

    def at(self) -> ShardCursor:
        """Return the fold over the node's own list."""
        return fold_tasks({}, self.tasks).get(SHARD, UNTOUCHED)

    def is_stale(self) -> bool:
        """Return what the rule says of the replica now."""
        whole_ms = max(self.at().whole_ms, self.ends.whole_ms(self.at().cursor))
        return self.rules and may_miss_deletes(whole_ms, now_ms=self.now * TICK_MS, kept_ms=KEPT_TICKS * TICK_MS)

    def read(self, start: int, length: int, *, parts: int) -> list[tuple[Post, dict[int, int | None]]]:
        """Make a post as a worker does, with what it knows of the ends."""
        begin = min(start, len(self.log))
        mark_ms = self.ends.whole_ms(Position(begin))
        marks = {SHARD: mark_ms} if mark_ms else {}
        made = self.make_post(begin, min(begin + length, len(self.log)), parts=parts)
        return [(Post(p.incarnation, p.post, p.part, p.parts, p.ranges, marks), body) for p, body in made]

    def feed(self, length: int, *, parts: int) -> None:
        """The owner: rebuilds a stale replica, or continues at the fold's cursor."""
        if self.is_stale():
            drop = Drop(INCARNATION, {SHARD: Attempt(1)}, at_ms=self.now * TICK_MS)
            self.tasks.append(NodeTask(len(self.tasks), TaskState.SUCCEEDED, drop))
            self.node = {}
            return
        for post, body in self.read(self.at().cursor, length, parts=parts):
            self.run(post, body, fails=False)

    def deliver(self, which: int) -> None:
        """A former owner's post arrives, or never."""
        made, post, body = self.on_their_way.pop(which % len(self.on_their_way))
        if self.now - made <= ON_ITS_WAY_TICKS:
            self.run(post, body, fails=False)

    def check(self) -> None:
        """A replica that is fed on needs nothing but the log from its cursor on."""
        assert self.is_stale() or self.replay(self.node, self.at().cursor) == self.truth


def age(world: AgingWorld, move: tuple[object, ...]) -> None:
    """Do one step of a schedule."""
    match move:
        case ("produce", int(key), bool(delete)):
            world.produce(key, delete=delete)
        case ("wait", int(ticks)):
            world.now += ticks
        case ("look", bool(restarted)):
            world.ends = EndMarks() if restarted else world.ends
            world.ends.note(Position(len(world.log)), world.now * TICK_MS)
        case ("feed", int(length), int(parts)):
            world.feed(length, parts=parts)
        case ("hold", int(start), int(length), int(parts)):
            world.on_their_way += [(world.now, *each) for each in world.read(start, length, parts=parts)]
        case ("deliver", int(which)) if world.on_their_way:
            world.deliver(which)
        case ("compact", int(below)):
            world.compact(below)
        case ("copy disk",):
            world.disk = copy.deepcopy((world.node, world.tasks))
        case ("restore disk",):
            world.node, world.tasks = copy.deepcopy(world.disk)
        case _:
            pass


KEYS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("produce"), KEYS, st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from((1, 4, 30, 60, 99))),
        st.tuples(st.just("look"), st.booleans()),
        st.tuples(st.just("feed"), st.integers(0, 6), st.integers(1, 2)),
        st.tuples(st.just("hold"), st.integers(0, 12), st.integers(0, 8), st.integers(1, 2)),
        st.tuples(st.just("deliver"), st.integers(0, 9)),
        st.tuples(st.just("compact"), st.integers(0, 30)),
        st.just(("copy disk",)),
        st.just(("restore disk",)),
    ),
    min_size=10,
    max_size=60,
)
AWAY_TOO_LONG: list[tuple[object, ...]] = [
    ("feed", 0, 1),
    ("produce", 0, False),
    ("look", False),
    ("feed", 6, 1),
    ("produce", 0, True),
    ("produce", 1, False),
    ("compact", 2),
    ("wait", 99),
    ("wait", 4),
    ("compact", 2),
]
"""A document is deleted while its node is away, for longer than the log keeps the delete."""


@settings(max_examples=250)
@given(STEPS)
@example(AWAY_TOO_LONG)
@example([*AWAY_TOO_LONG[:4], ("copy disk",), *AWAY_TOO_LONG[4:], ("feed", 9, 1), ("restore disk",)])
def test_replica_that_is_fed_on_misses_no_delete(moves: list[tuple[object, ...]]) -> None:
    """Late posts, torn posts, older disks, restarted workers, and a log that forgets its tombstones."""
    world = AgingWorld()
    for move in moves:
        age(world, move)
        world.check()


@given(STEPS)
@example([("produce", 0, False), ("produce", 0, True), ("wait", 99), ("feed", 0, 1), ("feed", 1, 1), ("compact", 2)])
def test_replica_is_whole_once_it_was_fed_to_the_end(moves: list[tuple[object, ...]]) -> None:
    """Whatever happened: a rebuild where it is needed, then the rest of the log."""
    world = AgingWorld()
    for move in moves:
        age(world, move)

    for _ in range(2):
        world.feed(len(world.log), parts=2)

    assert world.node == world.truth


def test_deleted_document_would_stay_without_the_rule() -> None:
    """The rule is what saves it: caught up from its cursor, the replica keeps what nobody can see deleted any more."""
    without, kept = AgingWorld(rules=False), AgingWorld()
    for world in (without, kept):
        for move in (*AWAY_TOO_LONG, ("feed", 9, 1), ("feed", 9, 1)):
            age(world, move)

    assert without.node.keys() - without.truth.keys() == {0}
    assert kept.node == kept.truth
