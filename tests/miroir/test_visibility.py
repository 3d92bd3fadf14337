"""How far replicas are."""

from dataclasses import replace

import pytest

from miroir.cluster_view import ClusterView
from miroir.visibility import Standing, index_standing, node_standing, require_applied, until_visible
from schemas.errors import MiroirError, NotFoundError
from schemas.events import ClusterValue, IndexRecord, IndexState, ReplicaRecord, build_key
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Partition, Position, SettingsVersion, ShardId
from schemas.kafka import KafkaConfig
from schemas.progress import Progress, build_progress_key
from streams.readable import ProgressView
from streams.topology import Topology, build_topology

UID = IndexUid("films")
INDEX = IndexRecord(UID, Incarnation(3), "miroir.docs.films", 2, 2, SettingsVersion(3), 0, 0, primary_key="id")


def make_replica(shard: int, node: str, attempt: int = 1) -> ReplicaRecord:
    """Return a placement."""
    return ReplicaRecord(UID, INDEX.incarnation, ShardId(shard), NodeId(node), Attempt(attempt))


def make_topology(*replicas: ReplicaRecord) -> Topology:
    """Return a topology of one index with these placements."""
    return _build(INDEX, *replicas)


def _build(*values: ClusterValue) -> Topology:
    return build_topology({build_key(value): value for value in values})


def make_progress(*seen: tuple[ReplicaRecord, int, int]) -> ProgressView:
    """Return a view of these replicas' attempts, cursors and ends."""
    found = [
        Progress(UID, r.incarnation, r.shard, r.node, r.attempt, Position(cursor), Position(end), SettingsVersion(3), 0)
        for r, cursor, end in seen
    ]
    return ProgressView(replicas={build_progress_key(each).decode(): each for each in found})


def test_index_standing_counts_every_copy_towards_the_ends() -> None:
    """A copy beyond an end counts to the end only; one that was not seen is missing."""
    first, second, third = make_replica(0, "a"), make_replica(0, "b"), make_replica(1, "a")
    topology = make_topology(first, second, third)
    ends = {Partition(0): Position(10), Partition(1): Position(4)}

    standing = index_standing(topology, make_progress((first, 12, 12), (second, 7, 12)), UID, ends)

    assert standing == Standing(17, 24, 1)
    assert not standing.complete
    done = make_progress((first, 12, 12), (second, 10, 12), (third, 4, 4))
    assert index_standing(topology, done, UID, ends).complete


def test_index_standing_shard_without_copies_is_never_complete() -> None:
    """Documents of a shard that is placed nowhere are not visible."""
    assert not index_standing(make_topology(), make_progress(), UID, {Partition(0): Position(1)}).complete


def test_node_standing_earlier_attempt_counts_for_nothing() -> None:
    """A placement begun anew is not where its predecessor was; its end is known from the other copy."""
    old, new, other = make_replica(0, "a"), make_replica(0, "a", attempt=2), make_replica(0, "b")
    progress = make_progress((old, 9, 9), (other, 9, 9))

    assert node_standing(make_topology(old, other), progress, NodeId("a")) == Standing(9, 9, 0)
    assert node_standing(make_topology(new, other), progress, NodeId("a")) == Standing(0, 9, 1)


def test_node_standing_waits_for_no_index_without_primary_key() -> None:
    """Nothing is applied to it, so nothing of it will ever be seen."""
    unkeyed = replace(INDEX, primary_key=None)

    assert node_standing(_build(unkeyed, make_replica(0, "a")), make_progress(), NodeId("a")).complete
    assert not node_standing(make_topology(make_replica(0, "a")), make_progress(), NodeId("a")).complete


def test_node_standing_node_without_copies_is_complete() -> None:
    """A node that holds nothing lacks nothing."""
    assert node_standing(make_topology(), make_progress(), NodeId("a")).complete


class KnownView(ClusterView):
    """A view of what is given; nothing new comes."""

    def __init__(self, topology: Topology, progress: ProgressView) -> None:
        super().__init__(KafkaConfig("none:1"))
        self.topology, self.progress = topology, progress

    async def refresh(self) -> None:
        """Nothing came."""

    async def follow(self) -> bool:
        """Nothing comes."""
        return False


ENDS = {Partition(0): Position(9)}
PAUSED = replace(INDEX, state=IndexState.PAUSED, reason="the roof is open")


async def wait_for(index: IndexRecord, cursor: int) -> None:
    """Wait for the index's only copy, which stands there."""
    copy = make_replica(0, "a")
    view = KnownView(_build(index, copy), make_progress((copy, cursor, 9)))
    await until_visible(view, UID, ENDS, timeout_s=60.0)


async def test_waiting_for_a_paused_index_ends_with_the_reason() -> None:
    """Nothing would come of it, and the one who waits can end that; what is visible already is not waited for."""
    with pytest.raises(MiroirError, match=r"'films' is paused: the roof is open; .* `miroir index resume films`"):
        await wait_for(PAUSED, 8)
    await wait_for(PAUSED, 9)


async def test_waiting_for_an_index_that_is_deleted_ends() -> None:
    """It would be waited for to the last."""
    with pytest.raises(NotFoundError, match="films"):
        await until_visible(KnownView(_build(), make_progress()), UID, ENDS, timeout_s=60.0)


def test_index_that_is_applied_is_waited_for() -> None:
    """Though it has a reason to tell of: former copies that answer, for instance."""
    require_applied(UID, IndexState.ACTIVE, "former copies answer")
