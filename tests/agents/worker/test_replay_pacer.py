"""What of a node's shards is limited, and when it has its turn."""

from agents.batching import PostLimits
from agents.operations import Operation, OperationBatch
from agents.replay_pace import Rest
from agents.tail import NodeTail, note_posted
from agents.window import Window
from agents.worker.feed import Assignment, Feed
from agents.worker.replay_pacer import ReplayPacer
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
)
from schemas.posts import PositionRange, Post, build_metadata
from streams.log import TopicPartition

LIMITS = PostLimits(1000, 10**6, 0.0)
INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), "t", 2, 2, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)
OLD, NEW = ShardId(0), ShardId(1)
BATCH = OperationBatch(Position(0), Position(1), (Operation(Offset(0), 0, "a", b"{}"),), 1, 0, 1)
SOURCES = {shard: (Position(0), [BATCH]) for shard in (OLD, NEW)}


class Stand:
    """A pacer of a node on which the second of two shards is being made."""

    def __init__(self, share: float) -> None:
        self.now_s = 100.0
        self.pacer = ReplayPacer(share, LIMITS, is_limited=lambda each: each.shard == NEW, now=lambda: self.now_s)
        self.placed = {}
        for shard in (OLD, NEW):
            place = TopicPartition("t", Partition(shard))
            feed = Feed(place, INDEX.uid, INDEX.incarnation, shard, Window(Position(0), bytes_max=1))
            replica = ReplicaRecord(INDEX.uid, INDEX.incarnation, shard, NodeId("n"), Attempt(1))
            self.placed[shard] = Assignment(feed, INDEX, replica)


def test_whole_share_limits_nothing() -> None:
    """As if there were no pace."""
    stand = Stand(1.0)
    assert stand.pacer.split(stand.placed, SOURCES) == (SOURCES, {})


def test_share_limits_the_copies_that_are_made() -> None:
    """And no others."""
    stand = Stand(0.5)
    live, limited = stand.pacer.split(stand.placed, SOURCES)
    assert (set(live), set(limited)) == ({OLD}, {NEW})


def test_post_waits_for_the_one_before_and_the_rest_after_it() -> None:
    """At a half: as long as the node was seen to take."""
    stand = Stand(0.5)
    limited = {NEW: SOURCES[NEW]}
    slices = stand.pacer.take(limited)
    assert not isinstance(slices, Rest)
    post = Post(INDEX.incarnation, "w-n-1", 0, 1, {NEW: PositionRange(Position(0), Position(1))}, {})
    waiting = note_posted(NodeTail(is_whole=True), 7, build_metadata(post))
    stand.pacer.note_sent(INDEX.incarnation, post.post, slices, sent_s=100.0)

    stand.now_s = 102.0
    stand.pacer.look(waiting)
    assert stand.pacer.take(limited) == Rest(None)
    assert stand.pacer.last == INDEX.incarnation

    stand.pacer.look(NodeTail(is_whole=True))
    assert stand.pacer.take(limited) == Rest(2.0)
    stand.now_s = 104.0
    assert stand.pacer.take(limited) == slices
