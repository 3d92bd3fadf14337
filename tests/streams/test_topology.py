"""The cluster fold: one truth, however it is read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInputError, NotFoundError
from schemas.events import (
    AnswerRecord,
    ClusterValue,
    ControllerRecord,
    NodeState,
    ReplicaState,
    RetiredRecord,
    SettingsRecord,
    build_key,
    build_value,
)
from schemas.ids import Incarnation, IndexUid, NodeId, Offset, Position, SettingsVersion, ShardId
from streams.log import LogBatch, LogRecord
from streams.topology import Topology, build_topology, fold_cluster
from tests.builders import UID, make_batch, make_cluster_batch, make_index, make_node, make_replica

FEW_UIDS = st.sampled_from(["films", "books"])
FEW_NODES = st.sampled_from(["n1", "n2", "n3"])
FEW = st.integers(0, 2)

values: st.SearchStrategy[ClusterValue] = st.one_of(
    st.builds(make_node, FEW_NODES, weight=st.floats(1, 3), state=st.sampled_from(NodeState)),
    st.builds(make_index, FEW_UIDS, incarnation=FEW, shards=st.integers(1, 3)),
    st.builds(make_replica, FEW_NODES, shard=FEW, attempt=FEW, uid=FEW_UIDS, incarnation=FEW),
    st.builds(
        SettingsRecord,
        FEW_UIDS.map(IndexUid),
        FEW.map(Incarnation),
        FEW.map(SettingsVersion),
        st.just({"stopWords": ["the"]}),
    ),
    st.builds(
        RetiredRecord,
        FEW_UIDS.map(IndexUid),
        FEW.map(Incarnation),
        st.just("miroir.docs.films"),
        topic_owned=st.booleans(),
    ),
    st.builds(AnswerRecord, FEW.map(Offset), accepted=st.booleans()),
    st.builds(ControllerRecord, FEW.map(Position)),
)
rows = st.lists(
    st.one_of(
        values.map(lambda value: (build_key(value).encode(), build_value(value))),
        values.map(lambda value: (build_key(value).encode(), None)),
        st.sampled_from([(b"quota/films", b"whatever"), (b"quota/films", None), (b"\xff/x", b"y"), (None, b"z")]),
    ),
    max_size=30,
)


def compact(records: tuple[LogRecord, ...]) -> tuple[LogRecord, ...]:
    """Return what a broker keeps: the last record of each key, tombstones gone, offsets as they were."""
    last = {record.key: record for record in records}
    return tuple(record for record in records if last[record.key] is record and record.value is not None)


def cut(batch: LogBatch, at: int) -> list[LogBatch]:
    """Return the batch in two."""
    middle = batch.records[at].offset if at < len(batch.records) else batch.end
    return [
        LogBatch(batch.topic, batch.partition, batch.start, Position(middle), batch.records[:at]),
        LogBatch(batch.topic, batch.partition, Position(middle), batch.end, batch.records[at:]),
    ]


@given(rows, st.integers(0, 30))
def test_fold_is_independent_of_where_batches_are_cut(found: list[tuple[bytes | None, bytes | None]], at: int) -> None:
    """Who reads in one go and who reads as records come have equal topologies."""
    batch = make_batch(found)

    first, second = cut(batch, min(at, len(found)))

    assert fold_cluster(fold_cluster(Topology(), [first]), [second]) == fold_cluster(Topology(), [batch])


@given(rows)
def test_fresh_fold_of_the_compacted_topic_is_the_old_state(found: list[tuple[bytes | None, bytes | None]]) -> None:
    """A process that starts late sees what one that saw everything sees, in the same order."""
    batch = make_batch(found)
    compacted = LogBatch(batch.topic, batch.partition, batch.start, batch.end, compact(batch.records))

    old, fresh = fold_cluster(Topology(), [batch]), fold_cluster(Topology(), [compacted])

    assert fresh == old
    assert list(fresh.entities) == list(old.entities)
    assert list(fresh.answers()) == list(old.answers())
    assert list(fresh.retired()) == list(old.retired())


@given(rows)
def test_folding_the_same_records_again_changes_nothing(found: list[tuple[bytes | None, bytes | None]]) -> None:
    """Redelivery is harmless: the last write of each key wins again."""
    batch = make_batch(found)
    once = fold_cluster(Topology(), [batch])

    assert fold_cluster(once, [batch]) == once


def test_epoch_is_the_position_after_the_last_batch() -> None:
    """Holes of compaction and of transactions count: the last record's offset may never reach the end."""
    batch = LogBatch("miroir.cluster", make_batch([]).partition, Position(5), Position(9), ())

    assert fold_cluster(Topology(), [batch]).epoch == 9


def test_unknown_kind_is_passed_over() -> None:
    """A later version's records stop no reader."""
    folded = fold_cluster(Topology(), [make_batch([("quota/films", b"\x00"), (b"\xff", b"x"), (None, b"y")])])

    assert (dict(folded.entities), folded.epoch) == ({}, 3)


def test_malformed_value_of_a_known_kind_stops_the_fold() -> None:
    """A newer or foreign writer was here: half a cluster is worse than none."""
    with pytest.raises(InvalidInputError, match=r"record miroir\.cluster/0/0: NodeRecord: value"):
        fold_cluster(Topology(), [make_batch([("node/n1", b"{")])])


def test_recreated_index_shows_no_replica_of_the_former_one() -> None:
    """Not even while the old placements still stand in the topic."""
    old, new = make_index(incarnation=7), make_index(incarnation=20)
    folded = fold_cluster(Topology(), [make_cluster_batch([old, make_replica("n1"), make_replica("n2", shard=1)])])
    assert folded.replicas_of(UID, ShardId(0)) == (make_replica("n1"),)

    folded = fold_cluster(folded, [make_cluster_batch([new, make_replica("n2", incarnation=20)], start=3)])

    assert folded.index(UID).incarnation == 20
    assert folded.replicas_of(UID, ShardId(0)) == (make_replica("n2", incarnation=20),)
    assert folded.replicas_of(UID, ShardId(1)) == ()
    assert folded.replicas_on(NodeId("n1")) == ()


def test_replicas_of_a_deleted_index_are_not_shown() -> None:
    """The tombstone of the index is enough."""
    folded = fold_cluster(Topology(), [make_cluster_batch([make_index(), make_replica("n1")])])

    folded = fold_cluster(folded, [make_batch([("index/films", None)], start=2)])

    assert (folded.indexes, folded.replicas_of(UID, ShardId(0)), folded.replicas_on(NodeId("n1"))) == ({}, (), ())


def test_replica_before_its_index_is_shown_with_it() -> None:
    """The order of different keys does not matter: compaction changes it."""
    one = fold_cluster(Topology(), [make_cluster_batch([make_replica("n1"), make_index()])])

    assert one.replicas_of(UID, ShardId(0)) == (make_replica("n1"),)


@given(st.lists(st.builds(make_replica, FEW_NODES, shard=FEW), max_size=9))
def test_replicas_stand_by_node_and_by_shard(found: list[ClusterValue]) -> None:
    """Both views name the same placements, each in its documented order."""
    topology = build_topology({build_key(value): value for value in [make_index(shards=3), *found]})

    by_shard = [replica for shard in range(3) for replica in topology.replicas_of(UID, ShardId(shard))]
    by_node = [replica for node in ("n1", "n2", "n3") for replica in topology.replicas_on(NodeId(node))]
    assert by_shard == sorted(by_shard, key=lambda replica: (replica.shard, replica.node))
    assert set(by_shard) == set(by_node) == set(found)


def test_lookups_return_what_stands_or_a_typed_error() -> None:
    """A name that is not there is told with its kind."""
    settings = SettingsRecord(UID, Incarnation(7), SettingsVersion(7), {})
    retired = RetiredRecord(UID, Incarnation(3), "miroir.docs.films", topic_owned=True)
    answer, controller = AnswerRecord(Offset(4), accepted=True), ControllerRecord(Position(5))
    topology = fold_cluster(
        Topology(),
        [make_cluster_batch([make_node("n1"), make_index(), settings, retired, answer, controller])],
    )

    assert (topology.node(NodeId("n1")), topology.index(UID)) == (make_node("n1"), make_index())
    assert (topology.settings(UID), topology.answer(Offset(4))) == (settings, answer)
    assert (list(topology.retired()), list(topology.answers())) == ([retired], [answer])
    assert topology.requests_cursor == 5
    with pytest.raises(NotFoundError, match="node 'n9'"):
        topology.node(NodeId("n9"))
    with pytest.raises(NotFoundError, match="index 'books'"):
        topology.index(IndexUid("books"))


def test_empty_topology_knows_nothing() -> None:
    """Before anything is folded."""
    topology = Topology()

    assert (topology.epoch, topology.requests_cursor) == (0, 0)
    assert (topology.settings(UID), topology.answer(Offset(0))) == (None, None)
    assert topology.replicas_of(UID, ShardId(0)) == ()


def test_leaving_copies_stand_apart() -> None:
    """Nobody who reads copies sees them; who drops them does."""
    gone = replace(make_replica("n1"), state=ReplicaState.LEAVING)
    topology = build_topology({build_key(v): v for v in (make_index(), gone, make_replica("n2"))})

    assert topology.replicas_of(UID, ShardId(0)) == (make_replica("n2"),)
    assert topology.replicas_on(NodeId("n1")) == ()
    assert topology.leaving == topology.leaving_on(NodeId("n1")) == (gone,)
