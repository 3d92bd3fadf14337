"""Copies that may have missed deletes are rebuilt one after the other, each asked for once."""

from collections.abc import Sequence
from dataclasses import replace

from agents.window import Window
from agents.worker.feed import Feed
from agents.worker.metrics import WorkerMetrics
from agents.worker.stale_copies import ASK_AGAIN_MS, StaleCopies
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
)
from schemas.progress import Progress
from schemas.requests import RebuildNode, parse_request
from streams.cursor import ShardCursor
from streams.log import Append, TopicFound, TopicPartition
from streams.readable import ProgressView
from streams.topics import TOMBSTONES_KEPT_MS
from streams.topology import Topology, build_topology

UID = IndexUid("films")
INCARNATION = Incarnation(1)
SHARDS = (ShardId(0), ShardId(1))
A, B = NodeId("a"), NodeId("b")
ATTEMPT = Attempt(5)
TOPIC = "miroir.docs.films"
NOW_MS = 10 * TOMBSTONES_KEPT_MS
LONG_AGO_MS = NOW_MS - TOMBSTONES_KEPT_MS


def make_topology() -> Topology:
    """Return an index of two shards with a copy of each on both nodes."""
    index = IndexRecord(UID, INCARNATION, "t", 2, 2, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id")
    replicas = [ReplicaRecord(UID, INCARNATION, shard, node, ATTEMPT) for shard in SHARDS for node in (A, B)]
    entities = {f"replica/{r.uid}/{r.incarnation}/{r.shard}/{r.node}": r for r in replicas}
    return build_topology({f"index/{UID}": index, **entities})


def published(node: NodeId, *, cursor: int, at_end_ms: int) -> ProgressView:
    """Return what is published of one node's copies."""
    progress = {
        f"{UID}/{INCARNATION}/{shard}/{node}": Progress(
            UID, INCARNATION, shard, node, ATTEMPT, Position(cursor), Position(9), SettingsVersion(1), 0, at_end_ms
        )
        for shard in SHARDS
    }
    return ProgressView(replicas=progress)


class Stand:
    """Feeds of both shards whose logs end at 9, and copies of which each node tells where they stand."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.asked: list[RebuildNode] = []
        self.at: dict[NodeId, ShardCursor | None] = {}
        self.metrics = WorkerMetrics()
        self.feeds = []
        for shard in SHARDS:
            window = Window(Position(9), bytes_max=1)
            feed = Feed(TopicPartition(TOPIC, Partition(shard)), UID, INCARNATION, shard, window)
            feed.ends.note(Position(9), NOW_MS)
            self.feeds.append(feed)
        self.stale = StaleCopies(
            self._append,
            standing=lambda node, _, __: self.at[node],
            metrics=self.metrics,
            now_ms=lambda: self.now_ms,
        )

    async def _append(self, appends: Sequence[Append]) -> None:
        for append in appends:
            request = parse_request(append.value or b"")
            assert isinstance(request, RebuildNode)
            self.asked.append(request)

    def shown(self) -> float | None:
        """Return how many stale copies the metrics show."""
        return self.metrics.registry.get_sample_value("miroir_stale_copies")


def standing(cursor: int, *, whole_ms: int = LONG_AGO_MS) -> ShardCursor:
    """Return where a copy stands, and since when it may lack deletes."""
    return ShardCursor(Position(cursor), ATTEMPT, whole_ms=whole_ms)


async def test_copy_that_was_away_too_long_is_rebuilt_once() -> None:
    """All its shards in one request, and again only if nothing comes of it."""
    stand = Stand()
    stand.at = {A: standing(4), B: standing(9)}
    view = published(B, cursor=9, at_end_ms=NOW_MS)

    for _ in range(3):
        await stand.stale.look(make_topology(), view, stand.feeds)

    assert stand.asked == [RebuildNode(A, UID, SHARDS, ATTEMPT)]
    assert stand.shown() == 2

    stand.now_ms += ASK_AGAIN_MS
    await stand.stale.look(make_topology(), view, stand.feeds)
    assert len(stand.asked) == 2


async def test_copy_at_the_end_or_back_in_time_is_not_stale() -> None:
    """Nothing after its cursor, or a task list that says how late it was: it is fed on."""
    stand = Stand()
    stand.at = {A: standing(9), B: standing(4, whole_ms=NOW_MS - TOMBSTONES_KEPT_MS // 2)}

    await stand.stale.look(make_topology(), ProgressView(), stand.feeds)

    assert stand.asked == []
    assert stand.shown() == 0


async def test_topic_that_forgets_deletes_sooner_makes_copies_stale_sooner() -> None:
    """A user's own topic may keep them for a day."""
    stand = Stand()
    half_ms = TOMBSTONES_KEPT_MS // 2
    stand.at = {A: standing(4, whole_ms=NOW_MS - half_ms), B: standing(9)}
    view = published(B, cursor=9, at_end_ms=NOW_MS)
    await stand.stale.look(make_topology(), view, stand.feeds)
    assert stand.asked == []

    stand.stale.note_topics({TOPIC: TopicFound(TOPIC, 2, 1, {"delete.retention.ms": str(half_ms)})})
    await stand.stale.look(make_topology(), view, stand.feeds)
    assert [request.id for request in stand.asked] == [A]


async def test_topic_that_keeps_no_deletes_is_taken_at_its_word() -> None:
    """Nothing is a time as well: a copy that is behind may have missed some whenever it stood at the end."""
    stand = Stand()
    stand.at = {A: standing(4, whole_ms=NOW_MS - 1000), B: standing(9)}
    stand.stale.note_topics({TOPIC: TopicFound(TOPIC, 2, 1, {"delete.retention.ms": "0"})})

    await stand.stale.look(make_topology(), published(B, cursor=9, at_end_ms=NOW_MS), stand.feeds)

    assert [request.id for request in stand.asked] == [A]


async def test_copy_that_stood_at_the_end_lately_is_not_stale() -> None:
    """An index that was quiet for months: the task list is old, what was published is not."""
    stand = Stand()
    stand.at = {A: standing(4), B: None}

    for cursor, asked in ((4, 0), (5, 1)):
        view = published(B, cursor=cursor, at_end_ms=NOW_MS - 1000)
        await stand.stale.look(make_topology(), view, stand.feeds)
        assert len(stand.asked) == asked


async def test_last_copies_are_rebuilt_one_after_the_other() -> None:
    """While the first begins anew the second can be searched; once it is whole, the second follows."""
    stand = Stand()
    topology = make_topology()
    stand.at = {A: standing(4), B: standing(4)}
    await stand.stale.look(topology, ProgressView(), stand.feeds)
    assert [request.id for request in stand.asked] == [A]

    stand.at[A] = standing(2, whole_ms=NOW_MS)
    stand.now_ms += ASK_AGAIN_MS
    await stand.stale.look(topology, ProgressView(), stand.feeds)
    assert [request.id for request in stand.asked] == [A]

    stand.at[A] = standing(9)
    await stand.stale.look(topology, published(A, cursor=9, at_end_ms=NOW_MS), stand.feeds)
    assert [request.id for request in stand.asked] == [A, B]


async def test_copy_whose_attempt_has_not_begun_is_nobodys_business() -> None:
    """It is dropped anyway."""
    stand = Stand()
    stand.at = {A: replace(standing(4), attempt=Attempt(3)), B: standing(9)}

    await stand.stale.look(make_topology(), ProgressView(), stand.feeds)

    assert stand.asked == []
