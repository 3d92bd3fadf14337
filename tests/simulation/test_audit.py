"""Copies that nobody reads are held against what they claim, and against each other."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from agents.decision import build_puts
from schemas.events import IndexRecord, NodeRecord, ReplicaRecord
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from schemas.posts import Drop, PositionRange, Post, build_metadata
from schemas.progress import Progress, build_progress, build_progress_key
from streams.log import Append
from streams.marker import MARKER_FIELD, marker_of
from streams.topics import PROGRESS
from tests.fakes.node import Work
from tests.simulation.audit import Audit
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.judge import Judge
from tests.simulation.truth import BrokenInvariantError, Truth

FILMS = IndexRecord(IndexUid("films"), Incarnation(1), "films", 1, 1, SettingsVersion(1), 0, 0, primary_key="id")
SHARD = ShardId(0)
ONE, OTHER = (
    ReplicaRecord(FILMS.uid, FILMS.incarnation, SHARD, NodeId(node), Attempt(attempt))
    for node, attempt in (("n1", 5), ("n2", 6))
)
UID = node_index_uid(FILMS.uid, FILMS.incarnation)


class _Lab:
    """Two copies of a shard, of which nothing is read, and an audit that looks at them."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster(random.Random(1))
        self.truth = Truth()
        self.judge = Judge(self.cluster, self.truth)
        self.audit = Audit(self.cluster, self.truth, self.judge, random.Random(1))
        self._posts = 0
        for replica in (ONE, OTHER):
            node = self.cluster.add_node(replica.node)
            node.create_index(UID)
            self._write(NodeRecord(replica.node, f"http://{replica.node}"))
            node.register(
                Work(UID, markers=frozenset()), build_metadata(Drop(FILMS.incarnation, {SHARD: replica.attempt}))
            )
        self._write(FILMS, ONE, OTHER)
        # The log: a is written twice, b once.
        for offset, (key, version) in enumerate((("a", 1), ("a", 2), ("b", 3))):
            self.truth.note(FILMS.incarnation, SHARD, offset, key, {"id": key, "v": version})

    def _write(self, *values: NodeRecord | IndexRecord | ReplicaRecord) -> None:
        for append in build_puts(*values):
            self.cluster.log.append(append)

    def post(self, replica: ReplicaRecord, start: int, end: int, **documents: int) -> None:
        """Let a node have a post of a range with these versions of documents, and do what waits."""
        self.send(replica, start, end, **documents)
        self.cluster.nodes[replica.node].run_all()

    def send(self, replica: ReplicaRecord, start: int, end: int, **documents: int) -> None:
        """Let a node have a post of a range with these versions of documents, which waits."""
        self._posts += 1
        upserts = tuple({"id": key, "v": v, MARKER_FIELD: marker_of(SHARD)} for key, v in documents.items())
        ranges = {SHARD: PositionRange(Position(start), Position(end))}
        node = self.cluster.nodes[replica.node]
        node.register(Work(UID, upserts), build_metadata(Post(FILMS.incarnation, f"p{self._posts}", 0, 1, ranges)))

    def publish(self, replica: ReplicaRecord, cursor: int) -> None:
        """Say where a copy stands."""
        where, at = replica, Position(cursor)
        seen = Progress(
            where.uid, where.incarnation, where.shard, where.node, where.attempt, at, Position(3), SettingsVersion(1), 1
        )
        self.cluster.log.append(Append(PROGRESS, Partition(0), build_progress_key(seen), build_progress(seen)))


@asynccontextmanager
async def _lab() -> AsyncIterator[_Lab]:
    lab = _Lab()
    try:
        yield lab
    finally:
        lab.cluster.stop()


async def test_copies_that_hold_what_they_claim_are_compared_and_judged() -> None:
    """Two at one position are a pair; what was published of one is held against it."""
    async with _lab() as lab:
        for replica in (ONE, OTHER):
            lab.post(replica, 0, 3, a=2, b=3)
        lab.publish(ONE, 3)

        lab.audit.look()

        assert (lab.audit.compared, lab.judge.judged, lab.judge.stale) == (1, 1, 0)


async def test_copy_that_lacks_what_its_own_tasks_say_is_found() -> None:
    """It is another one's business neither what was published nor how the second copy stands."""
    async with _lab() as lab:
        lab.post(ONE, 0, 3, a=2)

        with pytest.raises(BrokenInvariantError, match=r"^cursor"):
            lab.audit.look()


async def test_copies_at_one_position_that_differ_are_found() -> None:
    """Which of them is right, nobody needs to know."""
    async with _lab() as lab:
        lab.post(ONE, 0, 3, a=2, b=3)
        lab.post(OTHER, 0, 3, a=1, b=3)

        with pytest.raises(BrokenInvariantError, match=r"^equal"):
            lab.audit.look()


async def test_copies_differ_in_what_compaction_has_removed_and_are_good() -> None:
    """Whoever came later never met the first record of a; the next one is still to come."""
    async with _lab() as lab:
        lab.truth.superseded.add((FILMS.incarnation, SHARD, 0))
        lab.post(ONE, 0, 1, a=1)
        lab.post(OTHER, 0, 1)

        lab.audit.look()

        assert lab.audit.compared == 1


async def test_copies_differ_where_one_had_been_further_and_are_good() -> None:
    """A late post has put a back, and its cursor; b is from beyond it."""
    async with _lab() as lab:
        lab.post(ONE, 0, 3, a=2, b=3)
        lab.post(ONE, 0, 1, a=1)
        lab.post(OTHER, 0, 1, a=1)

        lab.audit.look()

        assert lab.audit.compared == 1


async def test_copy_that_shows_less_than_was_published_is_found_unless_its_own_node_was_ill() -> None:
    """A late post may just have come to a node that was mended, and to no other one."""
    async with _lab() as lab:
        lab.post(ONE, 0, 1, a=1)
        lab.publish(ONE, 3)
        lab.cluster.nodes[OTHER.node].well_since_s = asyncio.get_running_loop().time()
        lab.cluster.nodes[OTHER.node].is_frozen = True

        with pytest.raises(BrokenInvariantError, match=r"^published"):
            lab.audit.look()
        lab.cluster.nodes[ONE.node].well_since_s = asyncio.get_running_loop().time()
        lab.audit.look()

        assert lab.judge.stale == 1


async def test_copy_on_another_disk_is_judged_by_the_tasks_of_that_one() -> None:
    """A task that waits again on an older disk has done nothing there, though it had succeeded before."""
    async with _lab() as lab:
        node = lab.cluster.nodes[ONE.node]
        lab.send(ONE, 0, 3, a=2, b=3)
        older = node.copy_disk()
        node.run_all()
        lab.audit.look()
        node.restore_disk(older)

        lab.audit.look()


@pytest.mark.parametrize("dropped", [False, True], ids=["a late post", "a drop"])
async def test_nothing_excuses_that_a_dropped_copy_is_read(*, dropped: bool) -> None:
    """A late post excuses that a copy shows less than it did; that a later attempt has begun is no late post."""
    async with _lab() as lab:
        lab.cluster.nodes[ONE.node].well_since_s = asyncio.get_running_loop().time()
        if dropped:
            drop = Drop(FILMS.incarnation, {SHARD: Attempt(ONE.attempt + 1)})
            lab.cluster.nodes[ONE.node].register(Work(UID, markers=frozenset()), build_metadata(drop))
        lab.cluster.nodes[ONE.node].run_all()

        with pytest.raises(BrokenInvariantError) if dropped else nullcontext():
            lab.judge.judge({}, ONE, cursor=3, what="n1")

        assert (lab.judge.judged, lab.judge.stale) == (1, 0 if dropped else 1)
