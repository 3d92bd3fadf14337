"""What is readable: by published progress, never by claim."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInputError
from schemas.ids import Incarnation, NodeId, Position, ShardId
from schemas.progress import Progress, build_progress, build_progress_key
from streams.log import LogBatch
from streams.readable import ProgressView, fold_progress, read_beyond_bound, readable_replicas, readable_shards
from streams.topics import PROGRESS
from streams.topology import Topology
from tests.builders import make_batch, make_index, make_progress, make_replica, make_topology
from tests.strategies import progresses

INDEX = make_index(shards=1, replication=3)
NODES = ("n1", "n2", "n3")
BOUND = 100


def make_cluster(attempt: int = 1) -> Topology:
    """Return a cluster whose one shard is placed on every node."""
    placed = [make_replica(node, attempt=attempt) for node in NODES]
    return make_topology(INDEX, *placed)


def make_view(*seen: Progress) -> ProgressView:
    """Return the progress topic's fold after these."""
    return ProgressView(replicas={build_progress_key(progress).decode(): progress for progress in seen})


def readable(*seen: Progress, attempt: int = 1) -> tuple[str, ...]:
    """Return which of the nodes may be read."""
    return readable_replicas(make_cluster(attempt), make_view(*seen), INDEX, ShardId(0), lag_records_max=BOUND)


def at(node: str, cursor: int, *, attempt: int = 1, caught_up: bool = True, away: bool = False) -> Progress:
    """Return a replica's progress."""
    found = make_progress(make_replica(node), cursor, attempt=attempt)
    return replace(found, at_end_ms=1000 if caught_up else 0, away=away)


any_progress = st.builds(
    at, st.just("n1"), st.integers(0, 500), attempt=st.integers(0, 2), caught_up=st.booleans(), away=st.booleans()
)
any_cluster = st.tuples(*(st.builds(replace, any_progress, node=st.just(NodeId(node))) for node in NODES))


@given(any_cluster)
def test_of_replicas_of_the_right_attempt_one_is_readable(seen: tuple[Progress, ...]) -> None:
    """A shard never goes dark for what was published; another attempt is never read."""
    right = {progress.node for progress in seen if progress.attempt == 1}

    found = set(readable(*seen))

    assert found <= right
    assert bool(found) == bool(right)


@given(any_cluster)
def test_best_of_those_that_may_be_read_is_read(seen: tuple[Progress, ...]) -> None:
    """Of the present and caught up ones the furthest; none that is read is further behind it than the bound."""
    good = [progress for progress in seen if progress.attempt == 1 and progress.at_end_ms and not progress.away]
    found = readable(*seen)
    if not good:
        return

    best = max(progress.cursor for progress in good)
    assert {progress.node for progress in good if progress.cursor == best} <= set(found)
    assert set(found) == {progress.node for progress in good if best - progress.cursor <= BOUND}


@pytest.mark.parametrize(
    ("seen", "nodes"),
    [
        pytest.param([], (), id="nothing published"),
        pytest.param([at("n1", 0)], ("n1",), id="an empty log"),
        pytest.param([at("n2", 500), at("n1", 400)], ("n1", "n2"), id="just within the bound, by node id"),
        pytest.param([at("n1", 399), at("n2", 500)], ("n2",), id="just beyond the bound"),
        pytest.param([at("n1", 500, attempt=0), at("n2", 1)], ("n2",), id="an earlier attempt is never read"),
        pytest.param([at("n1", 500, attempt=2), at("n2", 1)], ("n2",), id="nor one not yet in the topology"),
        pytest.param([at("n1", 500, attempt=0)], (), id="not even where there is no other"),
        pytest.param([at("n1", 500, caught_up=False), at("n2", 1)], ("n2",), id="a rebuild is not read before its end"),
        pytest.param(
            [at("n1", 3, caught_up=False), at("n2", 5, caught_up=False)], ("n2",), id="none caught up: the best"
        ),
        pytest.param([at("n1", 500, away=True), at("n2", 1)], ("n2",), id="one that is away is not read"),
        pytest.param([at("n1", 500, away=True), at("n2", 1, caught_up=False)], ("n1",), id="away before half built"),
    ],
)
def test_readable_nodes_of_a_shard(seen: list[Progress], nodes: tuple[str, ...]) -> None:
    """The cases of the module's docstring."""
    assert readable(*seen) == nodes


def test_new_attempt_takes_the_old_copy_away() -> None:
    """The controller's record alone does it, before any worker has acted."""
    seen = [at(node, 500) for node in NODES]

    assert readable(*seen, attempt=1) == NODES
    assert readable(*seen, attempt=2) == ()


def test_progress_of_another_incarnation_is_not_this_replicas() -> None:
    """What a deleted index's replica had reached says nothing of its successor's."""
    old = replace(at("n1", 500), incarnation=Incarnation(INDEX.incarnation + 1))

    assert readable(old) == ()


def test_readable_shards_lists_every_shard_in_order() -> None:
    """A shard without any copy is an empty entry, not a missing one."""
    index = make_index(shards=3)
    placed = [make_replica("n1", shard=0), make_replica("n2", shard=2)]
    topology = make_topology(index, *placed)
    view = make_view(*(make_progress(replica, 5) for replica in placed))

    assert list(readable_shards(topology, view, index)) == [("n1",), (), ("n2",)]


@given(st.lists(progresses, max_size=12), st.integers(0, 12))
def test_fold_is_independent_of_where_batches_are_cut(seen: list[Progress], at_record: int) -> None:
    """The last record of each replica wins, however it is read."""
    rows: list[tuple[bytes, bytes | None]] = [(build_progress_key(p), build_progress(p)) for p in seen]
    rows += [(build_progress_key(p), None) for p in seen[::3]]
    at_record = min(at_record, len(rows))
    first = make_batch(rows[:at_record], topic=PROGRESS)
    second = make_batch(rows[at_record:], start=at_record, topic=PROGRESS)

    whole = fold_progress(ProgressView(), [make_batch(rows, topic=PROGRESS)])

    assert fold_progress(fold_progress(ProgressView(), [first]), [second]) == whole
    assert whole.position == len(rows)


def test_tombstone_forgets_a_replica() -> None:
    """A replica that was taken away leaves nothing behind."""
    progress = at("n1", 5)
    rows = [(build_progress_key(progress), build_progress(progress)), (build_progress_key(progress), None)]

    assert fold_progress(ProgressView(), [make_batch(rows, topic=PROGRESS)]).replicas == {}


def test_empty_batch_moves_the_position() -> None:
    """A transaction's marker is a position without a record."""
    batch = LogBatch(PROGRESS, make_batch([]).partition, Position(0), Position(4), ())

    assert fold_progress(ProgressView(), [batch]).position == 4


def test_malformed_progress_stops_the_fold() -> None:
    """A newer or foreign writer was here."""
    with pytest.raises(InvalidInputError, match=r"Progress: value"):
        fold_progress(ProgressView(), [make_batch([("films/7/0/n1", b"{")], topic=PROGRESS)])


def beyond(*seen: Progress) -> tuple[str, ...]:
    """Return which of the nodes are read although they lack something."""
    return read_beyond_bound(make_cluster(), make_view(*seen), INDEX, ShardId(0), lag_records_max=BOUND)


def test_copies_that_lack_something_are_read_where_there_is_no_better_one() -> None:
    """The whole one is away, or there is none yet; and never beside one that lacks nothing."""
    assert beyond(at("n1", 500, away=True), at("n2", 100), at("n3", 90)) == ("n2", "n3")
    assert beyond(at("n1", 50, caught_up=False), at("n2", 40, caught_up=False)) == ("n1",)
    assert beyond(at("n1", 500), at("n2", 100), at("n3", 450)) == ()
    assert beyond(replace(at("n1", 0, caught_up=False), end=Position(0))) == ()


@given(any_cluster)
def test_copies_beyond_their_bound_are_among_those_that_are_read(seen: tuple[Progress, ...]) -> None:
    """Whatever was published."""
    assert set(beyond(*seen)) <= set(readable(*seen))
