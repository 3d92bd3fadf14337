"""The cluster as searches see it."""

from dataclasses import replace

from schemas.events import ClusterValue, FormerRecord, IndexRecord, ReplicaRecord, ReplicaState, build_key
from schemas.ids import Attempt, Epoch, Incarnation, IndexUid, NodeId, SettingsVersion, ShardId
from streams.serving import searched_topology
from streams.topology import Topology, build_topology

FORMER = IndexRecord(IndexUid("films"), Incarnation(3), "old", 2, 2, SettingsVersion(3), 0, 0, primary_key="id")
PRESENT = replace(FORMER, incarnation=Incarnation(9), topic="new")
OTHER = replace(FORMER, uid=IndexUid("other"))


def replica(index: IndexRecord, shard: int, node: str, state: ReplicaState = ReplicaState.PLACED) -> ReplicaRecord:
    """Return a placement."""
    return ReplicaRecord(index.uid, index.incarnation, ShardId(shard), NodeId(node), Attempt(1), state)


OLD = [replica(FORMER, 0, "b"), replica(FORMER, 0, "a"), replica(FORMER, 1, "a", ReplicaState.LEAVING)]
NEW = [replica(PRESENT, 0, "c"), replica(OTHER, 0, "c")]


def topology(*values: FormerRecord) -> Topology:
    """Return a cluster with all of it."""
    entities: tuple[ClusterValue, ...] = (PRESENT, OTHER, *OLD, *NEW, *values)
    return replace(build_topology({build_key(value): value for value in entities}), epoch=Epoch(7))


def test_searched_is_the_former_index_with_its_copies() -> None:
    """Those that may be read, by node; other indexes are as they are, and so is the epoch."""
    before = topology(FormerRecord(FORMER))

    found = searched_topology(before)

    assert found.index(FORMER.uid) == FORMER
    assert found.replicas_of(FORMER.uid, ShardId(0)) == (OLD[1], OLD[0])
    assert found.replicas_of(FORMER.uid, ShardId(1)) == ()
    assert found.index(OTHER.uid) == OTHER
    assert found.replicas_of(OTHER.uid, ShardId(0)) == (NEW[1],)
    assert (found.epoch, before.index(FORMER.uid)) == (Epoch(7), PRESENT)


def test_searched_is_the_topology_itself_where_nothing_former_answers() -> None:
    """Without a copy of it, so that whoever compares identities sees no change; a deleted index has no former one."""
    for before in (
        topology(),
        topology(FormerRecord(FORMER, answers=False)),
        topology(FormerRecord(replace(FORMER, uid=IndexUid("gone")))),
    ):
        assert searched_topology(before) is before
