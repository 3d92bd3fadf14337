"""Posts have ids of their own, and their answers are noted one by one."""

from agents.operations import Operation
from agents.posts import ShardSlice
from agents.refusals import Refusals
from agents.window import Window
from agents.worker.feed import Assignment, Feed
from agents.worker.poster import Poster, mark_news
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Offset,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from schemas.posts import Drop, PositionRange, Post, build_metadata, parse_metadata
from streams.cursor import ShardCursor
from streams.log import TopicPartition
from streams.marker import splice_marker
from tests.fakes.node import FakeNode, FakeNodeWriter

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), "t", 1, 1, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)
SHARD = ShardId(0)
WRITE = Operation(Offset(0), 0, "1", splice_marker(b'{"id":1}', SHARD))
DELETE = Operation(Offset(1), 0, "2", None)
BOTH = ShardSlice(PositionRange(Position(0), Position(2)), [WRITE, DELETE])


class Stand:
    """A node, a poster to it, and what was noted."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.node.create_index(node_index_uid(INDEX.uid, INDEX.incarnation), version=INDEX.settings_version)
        self.noted: list[tuple[int, str]] = []
        self.poster = Poster(
            self.node.id,
            FakeNodeWriter(self.node),
            worker="w",
            refusals=Refusals(),
            noted=lambda uid, metadata: self.noted.append((uid, metadata)),
        )
        place = TopicPartition("t", Partition(0))
        self.feed = Feed(place, INDEX.uid, INDEX.incarnation, SHARD, Window(Position(0), bytes_max=1))
        replica = ReplicaRecord(INDEX.uid, INDEX.incarnation, SHARD, NodeId(self.node.id), Attempt(1))
        self.of = Assignment(self.feed, INDEX, replica)


async def test_every_part_of_a_post_is_noted_under_one_id_that_is_its_own() -> None:
    """Documents and deletes are two tasks of one post; the next post has another id."""
    stand = Stand()
    first = await stand.poster.send(stand.of, {SHARD: BOTH})
    second = await stand.poster.send(stand.of, {SHARD: BOTH})

    posts = [found for _, metadata in stand.noted if isinstance(found := parse_metadata(metadata), Post)]
    assert [post.post for post in posts] == [first, first, second, second]
    assert first != second
    assert [uid for uid, _ in stand.noted] == [task.uid for task in stand.node.list_tasks(0)]


async def test_drop_empties_the_index_or_deletes_by_the_marker() -> None:
    """As it says."""
    for is_whole in (True, False):
        stand = Stand()
        await stand.poster.send(stand.of, {SHARD: BOTH})
        drop = Drop(INDEX.incarnation, {SHARD: Attempt(2)}, is_whole=is_whole)
        await stand.poster.drop(INDEX.uid, drop)
        stand.node.run_all()

        assert stand.noted[-1][1] == build_metadata(drop)
        assert stand.node.documents(node_index_uid(INDEX.uid, INDEX.incarnation)) == {}


def test_slices_are_marked_with_what_is_news_to_the_node() -> None:
    """Since when the log's end was there already; nothing where the node knows it."""
    stand = Stand()
    stand.feed.ends.note(Position(0), 10**9)
    slices, placed = {SHARD: BOTH}, {SHARD: stand.of}

    fresh = mark_news(slices, placed, {SHARD: ShardCursor(Position(0), Attempt(1))})
    known = mark_news(slices, placed, {SHARD: ShardCursor(Position(0), Attempt(1), whole_ms=10**9)})

    assert (fresh[SHARD].mark_ms, known[SHARD].mark_ms) == (10**9, 0)
