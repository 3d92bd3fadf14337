"""Placements that begin anew: who drops what, and what is looked at before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agents.drops import PATIENCE_S, Attempts
from agents.window import Window
from agents.worker.beginnings import Beginnings, NodeSight
from agents.worker.feed import Assignment, Feed
from agents.worker.fence import Fence
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Partition, Position, SettingsVersion, ShardId
from schemas.posts import Drop
from streams.cursor import IndexCursors, ShardCursor
from streams.log import TopicPartition

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), "films", 2, 1, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)
SEARCH_S = 5.0
PLACED = {ShardId(0): Attempt(7), ShardId(1): Attempt(7)}


class Bench:
    """A node on which two shards begin, of which one worker feeds some."""

    def __init__(self, *fed: int) -> None:
        self.now_s = 100.0
        self.accepted: IndexCursors = {}
        self.at_next_look: IndexCursors = {}
        self.sent: list[Drop] = []
        self.group = [self._assignment(ShardId(shard)) for shard in fed]
        self.beginnings = Beginnings(
            NodeSight(self._placements, self._applied, lambda _: self.accepted, self._look),
            Fence(self._accepts, search_key=lambda: "new", deadline_s=SEARCH_S, now=lambda: self.now_s),
            self._send,
            search_deadline_s=SEARCH_S,
            now=lambda: self.now_s,
            now_ms=lambda: 0,
        )

    async def begin(self) -> float | None:
        """Do what is to be done now."""
        return await self.beginnings.begin(INDEX, self.group, self.accepted)

    @staticmethod
    def _assignment(shard: ShardId) -> Assignment:
        window = Window(Position(0), bytes_max=1)
        feed = Feed(TopicPartition(INDEX.topic, Partition(shard)), INDEX.uid, INDEX.incarnation, shard, window)
        return Assignment(feed, INDEX, ReplicaRecord(INDEX.uid, INDEX.incarnation, shard, NodeId("n"), PLACED[shard]))

    def _applied(self) -> Mapping[Incarnation, Sequence[Assignment]]:
        return {INDEX.incarnation: self.group} if self.group else {}

    @staticmethod
    def _placements(_: Incarnation) -> Attempts:
        return PLACED

    async def _look(self) -> None:
        self.accepted = self.at_next_look

    async def _send(self, _: IndexUid, drop: Drop) -> None:
        self.sent.append(drop)

    @staticmethod
    async def _accepts(_: str) -> bool:
        return True


def begun(*shards: int) -> IndexCursors:
    """Return cursors of these shards in the attempt that is placed."""
    return {ShardId(shard): ShardCursor(Position(9), PLACED[ShardId(shard)]) for shard in shards}


async def test_nothing_is_dropped_where_everything_has_begun() -> None:
    """There is no next look either."""
    bench = Bench(0, 1)
    bench.accepted = begun(0, 1)

    assert await bench.begin() is None
    assert bench.sent == []


async def test_feeder_of_the_first_placement_empties_the_index() -> None:
    """Also for the shards that others feed."""
    bench = Bench(0)

    assert await bench.begin() == 0
    assert [(drop.is_whole, drop.attempts) for drop in bench.sent] == [(True, PLACED)]


async def test_index_is_not_emptied_where_another_has_begun_by_the_next_look() -> None:
    """The view of the node was old: what the other worker has filled since stays."""
    bench = Bench(0)
    bench.at_next_look = begun(1)

    assert await bench.begin() == 0
    assert bench.sent == []
    assert await bench.begin() == 0
    assert [(drop.is_whole, drop.attempts) for drop in bench.sent] == [(False, {ShardId(0): Attempt(7)})]


async def test_index_is_not_emptied_by_a_worker_that_feeds_it_no_more() -> None:
    """Its partitions may have gone to another while it looked."""
    bench = Bench(0)
    group, bench.group = bench.group, []

    assert await bench.beginnings.begin(INDEX, group, {}) == 0
    assert bench.sent == []


async def test_feeder_of_a_later_placement_waits_and_then_drops_its_own() -> None:
    """The one that may empty the index may have gone; after an interruption the patience is a new one."""
    bench = Bench(1)

    assert await bench.begin() == SEARCH_S + PATIENCE_S
    bench.now_s += SEARCH_S + PATIENCE_S - 1
    bench.beginnings.keep(())
    assert await bench.begin() == SEARCH_S + PATIENCE_S
    bench.now_s += SEARCH_S + PATIENCE_S
    assert bench.sent == []
    assert await bench.begin() == 0
    assert [(drop.is_whole, drop.attempts) for drop in bench.sent] == [(False, {ShardId(1): Attempt(7)})]


async def test_copy_that_may_be_read_waits_for_the_fence() -> None:
    """A search may have been let in with the former key."""
    bench = Bench(0)
    bench.accepted = bench.at_next_look = {
        shard: replace(cursor, attempt=Attempt(3)) for shard, cursor in begun(0, 1).items()
    }

    assert await bench.begin() == SEARCH_S
    assert bench.sent == []
    bench.now_s += SEARCH_S
    assert await bench.begin() == 0
    assert bench.sent[0].is_whole
