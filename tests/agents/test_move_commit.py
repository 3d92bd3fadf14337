"""What is written of a plan of moves."""

import itertools
from dataclasses import replace

from agents.decision import build_puts
from agents.move_commit import build_moves
from schemas.events import NodeRecord, NodeState, ReplicaRecord, ReplicaState, parse_value
from schemas.ids import Attempt, NodeId
from streams.log import Append
from streams.moves import Copy, MovePlan, plan_moves
from streams.readable import ProgressView
from tests.agents.clusters import MOVIES, node_record, world_with_index, write

N0 = NodeId("n0")


def values_of(appends: tuple[Append, ...]) -> list[object]:
    """Return what the records hold; None for a tombstone."""
    return [None if a.value is None or a.key is None else parse_value(a.key.decode(), a.value) for a in appends]


def test_node_comes_before_the_copies_that_leave_it() -> None:
    """Nobody sees a copy leaving with a fence key that works already; all of a node share one replacement."""
    topology = world_with_index("id").topology
    placed = topology.replicas_on(N0)
    uids = (f"uid-{number}" for number in itertools.count())

    node, *leaving = values_of(build_moves(topology, MovePlan(leave=placed), lambda: next(uids)))

    assert isinstance(node, NodeRecord)
    assert (node.search_key, node.fence_key) == ("n0-fence", "uid-0")
    attempt = Attempt(topology.epoch)
    assert leaving == [replace(replica, state=ReplicaState.LEAVING, attempt=attempt) for replica in placed]


def test_copies_begin_with_the_epoch_as_their_attempt_and_go_as_tombstones() -> None:
    """A later placement has a larger number."""
    topology = world_with_index("id").topology
    index = topology.indexes[MOVIES]
    gone = topology.replicas_on(N0)[0]
    copy = Copy(MOVIES, index.incarnation, gone.shard, NodeId("n9"))

    begun, forgotten = values_of(build_moves(topology, MovePlan(begin=(copy,), forget=(gone,)), lambda: ""))

    assert begun == ReplicaRecord(MOVIES, index.incarnation, gone.shard, NodeId("n9"), Attempt(topology.epoch))
    assert forgotten is None


def test_torn_commit_is_planned_again() -> None:
    """Whatever part of it got through, the rest is still wanted."""
    made = world_with_index().topology
    topology = write(made, build_puts(node_record("n0", NodeState.DRAINING), node_record("n3")))
    plan = plan_moves(topology, ProgressView())
    records = build_moves(topology, plan, lambda: "uid")
    assert len(records) > 1

    for cut in range(1, len(records)):
        torn = write(topology, records[:cut])
        left = plan_moves(torn, ProgressView())
        assert len(left.begin) == len(plan.begin) - sum(1 for value in values_of(records[:cut]) if value)
