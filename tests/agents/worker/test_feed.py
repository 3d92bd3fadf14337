"""Which replicas on a node a worker feeds, of the partitions that it owns."""

from dataclasses import replace

import pytest

from agents.window import Window
from agents.worker.feed import Assignment, Feed, assignments_on, attempts_on, fence_key
from schemas.events import IndexRecord, IndexState, NodeRecord, ReplicaState
from schemas.ids import Incarnation, NodeId, Partition, Position, ShardId
from schemas.keys import derive_key
from streams.log import TopicPartition
from tests.builders import make_index, make_replica, make_topology

INDEX = make_index()


def make_feed(shard: int, *, incarnation: Incarnation = INDEX.incarnation) -> Feed:
    """Return an owned partition of the index."""
    place = TopicPartition(INDEX.topic, Partition(shard))
    return Feed(place, INDEX.uid, incarnation, ShardId(shard), Window(Position(0), bytes_max=1))


def test_node_is_fed_its_replicas_of_the_owned_partitions_only() -> None:
    """Not those of other nodes, and not those of partitions that another worker owns."""
    here, there, not_owned = make_replica("a"), make_replica("b"), make_replica("a", shard=1)
    topology = make_topology(INDEX, here, there, not_owned)
    feed = make_feed(0)

    assert assignments_on(topology, NodeId("a"), [feed]) == [Assignment(feed, INDEX, here)]
    assert assignments_on(topology, NodeId("c"), [feed]) == []


def test_partition_of_an_earlier_incarnation_feeds_nobody() -> None:
    """The index was made anew under its name; what is held of the former one belongs nowhere."""
    topology = make_topology(INDEX, make_replica("a"))

    assert assignments_on(topology, NodeId("a"), [make_feed(0, incarnation=Incarnation(3))]) == []


def test_replica_that_leaves_is_assigned_and_not_fed() -> None:
    """It is to be dropped by whoever owns its partition."""
    leaving = replace(make_replica("a"), state=ReplicaState.LEAVING)
    topology = make_topology(INDEX, leaving)

    (found,) = assignments_on(topology, NodeId("a"), [make_feed(0)])

    assert found.replica == leaving
    assert not found.is_fed


@pytest.mark.parametrize(
    ("index", "is_applied"),
    [
        (INDEX, True),
        (replace(INDEX, state=IndexState.PAUSED), False),
        (replace(INDEX, primary_key=None), False),
    ],
    ids=["active", "paused", "no primary key yet"],
)
def test_log_is_applied_once_there_is_a_primary_key_and_no_pause(index: IndexRecord, *, is_applied: bool) -> None:
    """Else no document could be told from another, or somebody wants none written."""
    assert Assignment(make_feed(0), index, make_replica("a")).is_applied is is_applied


def test_every_placement_on_a_node_has_its_attempt() -> None:
    """Those that leave too, whoever feeds them; not those of other nodes or incarnations."""
    leaving = replace(make_replica("a", shard=1), state=ReplicaState.LEAVING)
    topology = make_topology(INDEX, make_replica("a"), leaving, make_replica("b", shard=2))

    found = attempts_on(topology, NodeId("a"), INDEX.incarnation)

    assert found == {ShardId(0): make_replica("a").attempt, ShardId(1): leaving.attempt}
    assert attempts_on(topology, NodeId("a"), Incarnation(3)) == {}


def test_fence_key_is_the_one_that_replaces_the_former_search_key() -> None:
    """The search key itself where none is replaced; a node that is gone has none."""
    plain = NodeRecord(NodeId("a"), "http://a", search_key="one")
    fenced = replace(plain, fence_key="two")

    assert fence_key(make_topology(plain), plain.id, "master") == derive_key("master", "one")
    assert fence_key(make_topology(fenced), plain.id, "master") == derive_key("master", "two")
    assert fence_key(make_topology(), plain.id, "master") == ""
