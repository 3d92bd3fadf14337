"""Documents that somebody has altered on a node are noticed, and their copy is made anew."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from agents.operations import Operation, OperationBatch
from agents.posts import ShardSlice, build_parts
from agents.sampling import BESIDE_MS, Expected
from agents.tail import NodeTail, start_tail
from agents.window import Window
from agents.worker.feed import Assignment, Feed
from agents.worker.metrics import WorkerMetrics
from agents.worker.sampler import Place, Sampler, find_places
from schemas.errors import NodeUnreachableError
from schemas.events import IndexRecord, IndexState, ReplicaRecord, ReplicaState
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    NodeIndexUid,
    Offset,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from schemas.posts import Drop, PositionRange, build_metadata
from schemas.requests import RebuildNode, parse_request
from streams.log import Append, TopicPartition
from streams.marker import splice_marker
from tests.background import background
from tests.fakes.node import Document, FakeNode, FakeNodeWriter, Work

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), "t", 1, 2, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)
UID = node_index_uid(INDEX.uid, INDEX.incarnation)
SHARD = ShardId(0)
REPLICA = ReplicaRecord(INDEX.uid, INDEX.incarnation, SHARD, NodeId("n1"), Attempt(5))
DOCUMENTS = 10
REFUSALS = 3


def batch(start: int, end: int, *, text: str = "right") -> OperationBatch:
    """Return documents whose ids are their positions, modulo their number."""
    operations = []
    for at in range(start, end):
        key = str(at % DOCUMENTS)
        document = splice_marker(b'{"id":%s,"text":"%s"}' % (key.encode(), text.encode()), SHARD)
        operations.append(Operation(Offset(at), 0, key, document))
    return OperationBatch(Position(start), Position(end), tuple(operations), 1, 0, end - start)


class Stand:
    """A node that has applied ten documents of one shard, and what the sampler sees of it."""

    def __init__(self) -> None:
        self.disk = FakeNode()
        self.disk.create_index(UID, version=INDEX.settings_version)
        self.writer = FakeNodeWriter(self.disk)
        self.node = NodeId("n1")
        self.is_away = False
        self.tail: NodeTail = NodeTail()
        self.asked = 0
        self.requests: list[RebuildNode] = []
        self.has_other = True
        self.refuses = False
        self.condemns: Offset | None = None
        self.has_refused = asyncio.Event()
        self.now_ms = 0
        self.metrics = WorkerMetrics()
        self.window = Window(Position(0), bytes_max=10**6)
        feed = Feed(TopicPartition("t", Partition(0)), INDEX.uid, INDEX.incarnation, SHARD, self.window)
        self.place = Place(self, (Assignment(feed, INDEX, REPLICA),))
        self.sampler = Sampler(
            lambda: [self.place],
            has_other=lambda _: self.has_other,
            append=self._append,
            metrics=self.metrics,
            interval_s=0.01,
            draw=lambda: 0.5,
            now_ms=lambda: self.now_ms,
        )

    async def begin(self) -> None:
        """Let the node have what the log says."""
        await self.writer.clear(UID, build_metadata(Drop(INDEX.incarnation, {SHARD: REPLICA.attempt}, is_whole=True)))
        await self.post(batch(0, DOCUMENTS))

    async def post(self, written: OperationBatch, *, is_known: bool = True) -> None:
        """Let the node apply a batch; one that is not known is of a former owner."""
        if is_known:
            self.window.append(written)
        part = ShardSlice(PositionRange(written.start, written.end), written.operations)
        for each in build_parts(f"w-{written.start}-{written.end}", INDEX.incarnation, {SHARD: part}):
            await self.writer.post(UID, each)
        self.disk.run_all()

    def spoil(self, document: Document) -> None:
        """Write a document behind everybody's back."""
        self.disk.take("worker", "post", Work(UID, upserts=(document,)), "")
        self.disk.run_all()

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[dict[str, Any]]:
        """Return the documents; see ``SampledNode``."""
        self.asked += 1
        if self.refuses:
            if self.asked == REFUSALS:
                self.has_refused.set()
            raise NodeUnreachableError(self.node, "fetch", "gone")
        if self.condemns is not None:
            self.window.replace_by_delete(self.condemns)
        return [dict(each) for each in await self.writer.documents(index, ids)]

    async def read_tail(self) -> None:
        """Read the whole task list; see ``SampledNode``."""
        self.tail = start_tail(self.disk.list_tasks(0))

    async def _append(self, appends: Sequence[Append]) -> None:
        for append in appends:
            request = parse_request(append.value or b"")
            assert isinstance(request, RebuildNode)
            self.requests.append(request)

    async def look(self) -> None:
        """Look once, with the task list as it is now."""
        await self.read_tail()
        await self.sampler.look(self.place)

    def counted(self, name: str) -> float:
        """Return a counter of the index."""
        labels = {"index": "films"} | ({"node": "n1"} if "differences" in name else {})
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def stand() -> Stand:
    """A node that holds what the log says."""
    found = Stand()
    await found.begin()
    return found


WRONG = {"id": 3, "text": "wrong", "_miroir": "\U000f0000"}


async def test_node_that_holds_the_log_is_asked_once(stand: Stand) -> None:
    """All of its documents are as they must be."""
    await stand.look()

    assert (stand.asked, stand.requests) == (1, [])
    assert stand.counted("miroir_sampled_documents_total") == DOCUMENTS
    assert stand.sampler.differing(REPLICA) == 0


async def test_copies_that_differ_are_made_anew_by_one_request(stand: Stand) -> None:
    """A second one would put a search key in use that the node does not have yet: searches of it would be refused."""
    other = replace(REPLICA, shard=ShardId(1), attempt=Attempt(REPLICA.attempt + 1))
    (copy,) = stand.place.copies
    feed = Feed(TopicPartition("t", Partition(1)), INDEX.uid, INDEX.incarnation, other.shard, stand.window)
    place = Place(stand, (copy, Assignment(feed, INDEX, other)))
    differing = [Expected(each.feed.shard, Offset(1), "1", b"") for each in place.copies]
    await stand.sampler.report(place, differing)

    shards = (SHARD, other.shard)
    assert stand.requests == [RebuildNode(NodeId("n1"), INDEX.uid, shards, other.attempt)]


async def test_altered_document_is_seen_twice_and_its_copy_made_anew(stand: Stand) -> None:
    """The request names the placement that was seen, so that asking again changes nothing."""
    stand.spoil(WRONG)
    await stand.look()

    assert stand.asked == 2
    assert stand.requests == [RebuildNode(NodeId("n1"), INDEX.uid, (SHARD,), REPLICA.attempt)]
    assert stand.counted("miroir_sampled_differences_total") == 1
    assert stand.sampler.differing(REPLICA) == 1


async def test_last_whole_copy_is_not_dropped(stand: Stand) -> None:
    """It is told of, and stays."""
    stand.has_other = False
    stand.spoil(WRONG)
    await stand.look()

    assert stand.requests == []
    assert stand.sampler.differing(REPLICA) == 1


async def test_copy_that_differs_again_is_not_made_anew_again(stand: Stand) -> None:
    """Nor is the same document counted twice."""
    stand.spoil(WRONG)
    await stand.look()
    stand.now_ms = 60_000
    await stand.look()

    assert len(stand.requests) == 1
    assert stand.counted("miroir_sampled_differences_total") == 1


async def test_other_copy_of_the_shard_is_not_made_anew_at_once(stand: Stand) -> None:
    """Both differ; whether the first is whole is known only once the controller has answered."""
    stand.spoil(WRONG)
    await stand.look()
    (copy,) = stand.place.copies
    stand.place = Place(stand, (Assignment(copy.feed, INDEX, replace(REPLICA, node=NodeId("n2"))),))
    await stand.look()
    assert [request.id for request in stand.requests] == ["n1"]

    stand.now_ms = BESIDE_MS
    await stand.look()
    assert [request.id for request in stand.requests] == ["n1", "n2"]


async def test_late_post_of_a_former_owner_is_no_difference(stand: Stand) -> None:
    """It puts old values back; the task list says so before anything is judged, and the cursor takes care of it."""
    await stand.post(batch(DOCUMENTS, 2 * DOCUMENTS, text="newer"))
    await stand.read_tail()
    await stand.post(batch(0, DOCUMENTS), is_known=False)

    await stand.sampler.look(stand.place)

    assert (stand.asked, stand.requests, stand.sampler.differing(REPLICA)) == (1, [], 0)


async def test_newer_write_is_no_difference(stand: Stand) -> None:
    """A document that is written while it is looked at."""
    await stand.read_tail()
    stand.window.append(batch(DOCUMENTS, 2 * DOCUMENTS, text="newer"))
    part = ShardSlice(
        PositionRange(Position(DOCUMENTS), Position(2 * DOCUMENTS)), batch(10, 20, text="newer").operations
    )
    (each,) = build_parts("w-2", INDEX.incarnation, {SHARD: part})
    await stand.writer.post(UID, each)
    await stand.sampler.look(stand.place)
    assert stand.asked == 0, "the last write of every id is not on the node yet"

    stand.disk.run_all()
    await stand.look()
    assert (stand.requests, stand.counted("miroir_sampled_documents_total")) == ([], DOCUMENTS)


async def test_record_condemned_while_it_is_looked_at_is_no_difference(stand: Stand) -> None:
    """A node has refused it, and another one, which has taken it, holds what it must delete."""
    stand.spoil({"id": 3, "text": "refused", "_miroir": "\U000f0000"})
    stand.condemns = Offset(3)
    await stand.look()

    assert (stand.asked, stand.requests, stand.sampler.differing(REPLICA)) == (1, [], 0)


async def test_node_that_is_away_is_not_asked(stand: Stand) -> None:
    """Nothing is known of where it stands."""
    stand.is_away = True
    await stand.look()
    assert stand.asked == 0


async def test_run_looks_again_and_again_and_outlives_a_node_that_fails(stand: Stand) -> None:
    """A node that cannot be asked is looked at another time."""
    await stand.read_tail()
    stand.refuses = True
    async with background(stand.sampler.run()), asyncio.timeout(60):
        await stand.has_refused.wait()


def test_places_are_the_copies_that_are_fed(stand: Stand) -> None:
    """By node and index; not those of a paused index, nor those that leave."""
    (copy,) = stand.place.copies
    paused = Assignment(copy.feed, replace(INDEX, state=IndexState.PAUSED), REPLICA)
    leaving = Assignment(copy.feed, INDEX, replace(REPLICA, state=ReplicaState.LEAVING))

    assert find_places([stand], lambda _: [copy]) == [stand.place]
    assert find_places([stand], lambda _: [paused, leaving]) == []
