"""Moves: what is begun, left and forgotten, and when nothing is left to do."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ClusterValue, IndexRecord, NodeState, ReplicaRecord, ReplicaState, build_key
from schemas.ids import Attempt, NodeId, ShardId
from schemas.progress import Progress
from streams.moves import (
    BUILDING_PER_NODE_MAX,
    Copy,
    MovePlan,
    first_copies,
    moves_between,
    plan_moves,
    wanted_copies,
    whole_copies,
)
from streams.readable import LAG_RECORDS_MAX, ProgressView, readable_replicas
from streams.topology import Topology, build_topology
from tests.builders import UID, make_index, make_node, make_progress, make_replica, make_topology

INDEX = make_index(shards=12)
LATE = Attempt(50)


class World:
    """A cluster whose moves are done as they are planned, one look at a time; copies are made when a test says so."""

    def __init__(self, *values: ClusterValue) -> None:
        self.entities: dict[str, ClusterValue] = {build_key(value): value for value in values}
        self.progress = ProgressView()
        self._attempts = 0

    @property
    def topology(self) -> Topology:
        """The cluster now."""
        return build_topology(self.entities)

    def put(self, *values: ClusterValue) -> None:
        """Write entities."""
        self.entities |= {build_key(value): value for value in values}

    def state(self, node: str, state: NodeState) -> None:
        """Give a node a state."""
        self.put(replace(self.topology.nodes[NodeId(node)], state=state))

    def plan(self) -> MovePlan:
        """Return what may be done now."""
        return plan_moves(self.topology, self.progress)

    def write(self, plan: MovePlan) -> None:
        """Do what the controller does with a plan."""
        self._attempts += 1
        attempt = Attempt(self._attempts)
        self.put(*(replace(each, state=ReplicaState.LEAVING, attempt=attempt) for each in plan.leave))
        self.put(*(ReplicaRecord(c.uid, c.incarnation, c.shard, c.node, attempt) for c in plan.begin))
        for each in plan.forget:
            del self.entities[build_key(each)]

    def work(self, *, but: str = "") -> None:
        """Let every worker do what it has to, but at one node: copies are made, those that leave are dropped."""
        found = dict(self.progress.replicas)
        placed = [r for shards in self.topology.replicas.get(UID, {}).values() for r in shards]
        for replica in (*placed, *self.topology.leaving):
            if replica.node != but:
                gone = replica.state is ReplicaState.LEAVING
                found[build_key(replica).removeprefix("replica/")] = make_progress(replica, 0 if gone else 100)
        self.progress = ProgressView(replicas=found)

    def settle(self, *, looks: int = 60) -> int:
        """Plan, write and work until nothing is left; return how many copies were made."""
        made = 0
        for _ in range(looks):
            plan = self.plan()
            if plan.is_done:
                return made
            made += len(plan.begin)
            self.write(plan)
            self.work()
            self.check_full()
        raise AssertionError(f"still moving: {self.plan()}")

    def check_full(self) -> None:
        """Every shard that was whole once has its full set of readable copies."""
        index = self.topology.indexes[UID]
        for shard in map(ShardId, range(index.shards)):
            assert len(self.readable(shard)) >= min(index.replication, len(self.topology.nodes))

    def readable(self, shard: ShardId) -> tuple[NodeId, ...]:
        """Return the nodes on which queries read the shard."""
        index = self.topology.indexes[UID]
        return readable_replicas(self.topology, self.progress, index, shard, lag_records_max=LAG_RECORDS_MAX)


def settled(nodes: int = 3, *, index: IndexRecord = INDEX) -> World:
    """Return a cluster in which every copy is where it is wanted."""
    made = World(*(make_node(f"n{number}") for number in range(nodes)), index)
    made.write(
        MovePlan(
            begin=tuple(
                Copy(UID, index.incarnation, shard, node)
                for shard, wanted in first_copies(made.topology, index).items()
                for node in wanted
            )
        )
    )
    made.work()
    assert made.plan().is_done
    return made


def held(topology: Topology) -> Mapping[str, int]:
    """Return how many copies each node has."""
    return {node: len(topology.replicas_on(node)) for node in topology.nodes}


def test_settled_cluster_has_nothing_to_do() -> None:
    """Planning again after everything is done plans nothing."""
    assert settled().plan() == MovePlan()


def test_node_that_joins_is_given_its_share_and_others_keep_theirs_until_it_is_whole() -> None:
    """First copies begin, then those too many leave, then they are forgotten: each on a look of its own."""
    world = settled()
    world.put(make_node("n3"))

    first = world.plan()
    assert "n3" in {copy.node for copy in first.begin}
    assert not first.leave
    assert len(first.surplus) >= len(first.begin)

    world.write(first)
    assert not world.plan().leave
    world.work()
    second = world.plan()
    assert second.leave
    world.write(second)
    assert world.plan().leaving == world.topology.leaving
    world.work()
    assert set(world.plan().forget) == set(world.topology.leaving)
    world.settle()
    assert held(world.topology)[NodeId("n3")] > 0


def test_drained_node_is_empty_in_the_end_and_every_shard_stays_full() -> None:
    """At no look has any shard fewer readable copies than asked for."""
    world = settled(4)
    world.state("n0", NodeState.DRAINING)

    made = world.settle()

    assert made == 6
    assert held(world.topology)[NodeId("n0")] == 0
    assert sum(held(world.topology).values()) == 24


@pytest.mark.parametrize("number", range(8))
def test_replacement_is_given_the_very_copies_of_the_old_node_after_others_have_come(number: int) -> None:
    """What the old node has is not what placement alone would give its seat: some of it only stayed there."""
    world = settled(3, index=make_index(incarnation=number + 1, shards=24, replication=1))
    world.put(make_node("n3"))
    world.settle()
    world.state("n0", NodeState.DRAINING)
    world.settle()
    before = {replica.shard for replica in world.topology.replicas_on(NodeId("n2"))}

    world.state("n2", NodeState.DRAINING)
    world.put(replace(make_node("n4"), seat="n2"))

    assert world.settle() == len(before)
    assert {replica.shard for replica in world.topology.replicas_on(NodeId("n4"))} == before


def test_copies_begin_a_few_at_once_on_a_node() -> None:
    """The rest waits, and is told."""
    world = settled(2, index=make_index(shards=64, replication=1))
    world.put(make_node("n2"))

    plan = world.plan()

    assert len(plan.begin) == BUILDING_PER_NODE_MAX
    assert len(plan.waiting) > 0
    world.write(plan)
    assert not world.plan().begin
    assert len(world.plan().building) == BUILDING_PER_NODE_MAX


def test_change_in_the_middle_is_planned_anew() -> None:
    """A drain that is taken back: what was begun for it stays or leaves, and everything settles."""
    world = settled(4)
    world.state("n0", NodeState.DRAINING)
    world.write(world.plan())
    world.state("n0", NodeState.ACTIVE)

    world.work()
    assert world.settle() == 0

    assert sum(held(world.topology).values()) == 24
    assert held(world.topology)[NodeId("n0")] >= 5


def test_copy_that_is_wanted_again_while_it_leaves_begins_anew() -> None:
    """Its documents may be half gone: a new attempt is the only way back."""
    world = settled(2, index=make_index(shards=1, replication=1))
    (replica,) = world.topology.replicas_of(UID, ShardId(0))
    world.put(replace(replica, state=ReplicaState.LEAVING, attempt=LATE))

    assert Copy(UID, replica.incarnation, ShardId(0), replica.node) in world.plan().begin


@pytest.mark.parametrize("state", [NodeState.FAILED, NodeState.MAINTENANCE])
def test_node_that_is_away_keeps_what_it_has(state: NodeState) -> None:
    """It may bring it back; a failed one's share is made elsewhere meanwhile, one in maintenance is waited for."""
    world = settled(4)
    kept = world.topology.replicas_on(NodeId("n0"))
    world.state("n0", state)

    made = world.settle()

    assert world.topology.replicas_on(NodeId("n0")) == kept
    assert (made > 0) == (state is NodeState.FAILED)


def test_failed_node_that_returns_takes_its_share_back() -> None:
    """What was made in its stead leaves; nothing is made again."""
    world = settled(4)
    world.state("n0", NodeState.FAILED)
    world.settle()
    world.state("n0", NodeState.ACTIVE)

    assert world.settle() == 0
    assert sum(held(world.topology).values()) == 24


@pytest.mark.parametrize(("copies", "total"), [(1, 12), (3, 36)])
def test_replication_changes_live(copies: int, total: int) -> None:
    """More copies are made, or those too many leave."""
    world = settled(3)
    world.put(replace(INDEX, replication=copies))

    world.settle()

    assert sum(held(world.topology).values()) == total


def test_second_group_holds_every_shard_once_more() -> None:
    """Each group is placed for itself."""
    world = settled(3)
    world.put(*(replace(make_node(f"m{number}"), group=1) for number in range(2)), replace(INDEX, groups=(0, 1)))

    world.settle()

    assert sum(count for node, count in held(world.topology).items() if node.startswith("m")) == 24
    assert sum(count for node, count in held(world.topology).items() if node.startswith("n")) == 24


def test_node_on_another_ones_seat_is_given_exactly_its_shards() -> None:
    """So replacing a node moves nothing else."""
    world = settled(4)
    wanted = {(r.shard) for r in world.topology.replicas_on(NodeId("n0"))}
    world.put(replace(make_node("new"), seat="n0"))
    world.state("n0", NodeState.DRAINING)

    plan = world.plan()
    assert {(copy.node, copy.shard) for copy in plan.begin} == {("new", shard) for shard in wanted}
    assert not plan.waiting


def test_copies_wait_for_a_node_that_cannot_be_reached() -> None:
    """Nothing is begun there, and nothing leaves from there: its key could not be replaced."""
    world = settled(3)
    world.put(make_node("n3"))
    others = [NodeId(f"n{number}") for number in range(3)]

    plan = plan_moves(world.topology, world.progress, reachable=others)

    assert "n3" not in {copy.node for copy in plan.begin}
    assert "n3" in {copy.node for copy in plan.waiting}


def test_copy_stays_while_a_node_that_should_keep_it_cannot_be_reached() -> None:
    """Made and whole everywhere, but one of the nodes that have it is silent since a moment ago."""
    world = settled(4)
    world.state("n0", NodeState.DRAINING)
    while begun := world.plan().begin:
        world.write(MovePlan(begin=begun))
        world.work()
    wanted = wanted_copies(world.topology, world.topology.indexes[UID])

    all_there = world.plan()
    without = plan_moves(world.topology, world.progress, reachable=[NodeId(name) for name in ("n0", "n1", "n2")])

    kept = {replica.shard for replica in all_there.leave if NodeId("n3") in wanted[replica.shard]}
    assert {replica.shard for replica in without.leave} == {replica.shard for replica in all_there.leave} - kept
    assert kept <= {replica.shard for replica in without.surplus}
    assert kept
    assert without.leave


def test_nothing_leaves_while_too_few_nodes_are_left() -> None:
    """Two copies on two nodes, one of them draining: they stay until there is a third."""
    world = settled(2)
    world.state("n0", NodeState.DRAINING)

    plan = world.plan()

    assert not plan.leave
    assert {replica.node for replica in plan.surplus} == {"n0"}


def test_whole_is_stricter_than_readable() -> None:
    """The best there is may be read; whole is only what stood at the end and is there now."""
    topology = make_topology(make_node("a"), make_node("b"), make_index(), make_replica("a"), make_replica("b"))
    a, b = (make_progress(make_replica(node), 100_000) for node in "ab")

    def found(*progress: Progress) -> frozenset[NodeId]:
        view = ProgressView(replicas={f"{p.uid}/{p.incarnation}/{p.shard}/{p.node}": p for p in progress})
        return whole_copies(topology, view, topology.indexes[UID], ShardId(0))

    assert found(a, b) == {"a", "b"}
    assert found(a, replace(b, away=True)) == {"a"}
    assert found(a, replace(b, at_end_ms=0)) == {"a"}
    assert found(a, replace(b, attempt=Attempt(9))) == {"a"}
    assert found(a, replace(b, cursor=make_progress(make_replica("b"), 100_000 - LAG_RECORDS_MAX - 1).cursor)) == {"a"}
    assert found() == frozenset()


def test_copies_of_an_index_without_a_primary_key_move_at_once() -> None:
    """Nothing was ever posted to them: there is nothing to wait for."""
    world = settled(4, index=replace(INDEX, primary_key=None))
    world.progress = ProgressView()
    world.state("n0", NodeState.DRAINING)

    for _ in range(4):
        world.write(world.plan())

    assert world.plan().is_done
    assert held(world.topology)[NodeId("n0")] == 0


def test_moves_between_tells_what_a_change_would_make() -> None:
    """Before it is done; the same number that is made when it is."""
    world = settled(4)
    before = world.topology
    world.state("n1", NodeState.DRAINING)

    copies = moves_between(before, world.topology)

    assert len(copies) == world.settle() > 0
    assert all(copy.node != "n1" for copy in copies)


@given(
    st.lists(st.tuples(st.sampled_from(["n0", "n1", "n2", "n3"]), st.sampled_from(NodeState)), max_size=6), st.data()
)
def test_any_changes_end_settled_and_never_lose_the_full_set(
    changes: list[tuple[str, NodeState]], data: st.DataObject
) -> None:
    """Whatever states nodes go through, at whatever moment: once all are active again, everything settles."""
    world = settled(4, index=make_index(shards=5))
    for node, state in changes:
        world.state(node, NodeState.DRAINING if state in (NodeState.JOINING, NodeState.REMOVED) else state)
        for _ in range(data.draw(st.integers(0, 3))):
            world.write(world.plan())
            world.work(but=data.draw(st.sampled_from(["", "n0", "n2"])))
            world.check_full()
    for node in ("n0", "n1", "n2", "n3"):
        world.state(node, NodeState.ACTIVE)

    world.settle()

    assert sum(held(world.topology).values()) == 10
