"""Moves: what is wanted of placements against what exists, and what may be done about it now.

Three kinds of step, each planned from the topology and the published progress alone (``docs/decisions/0004-moves.md``):
a wanted copy that does not exist *begins*; a copy that is not wanted *leaves* once every wanted copy of its shard is
whole; a copy that has left and been dropped is *forgotten*. After a step is written, everything is planned anew: so a
move has no state of its own, and another change in the middle needs no code.

What always holds: no step lowers the number of whole copies of a shard below what is wanted; planning again after the
steps are written and done plans nothing. Who calls it: the controller writes the steps, query services show them. It
must not know: how a step is written, a clock, or a node.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from schemas.events import IndexRecord, NodeState, ReplicaRecord
from schemas.ids import Incarnation, IndexUid, NodeId, ShardId
from streams.keeping import keep_existing
from streams.placement import Candidate, Share, place, shares_of
from streams.readable import LAG_RECORDS_MAX, ProgressView
from streams.topology import Topology

BUILDING_PER_NODE_MAX = 8
"""Copies made on a node at once: posts of several shards are large, and a node that fails has wasted little."""

PLACEMENTS_CACHED_MAX = 4096
"""One for each index, group and set of nodes: planning runs after every change, placing 256 shards takes 10 ms."""

HOLDING = frozenset({NodeState.ACTIVE, NodeState.MAINTENANCE})
"""States of nodes that have a share of the copies."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is wanted and does not exist."""

    uid: IndexUid
    incarnation: Incarnation
    shard: ShardId
    node: NodeId


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What may be done now, in a fixed order, and what is still to come.

    Attributes:
        begin: copies to make.
        leave: copies that nobody needs any more.
        forget: copies whose drop has been seen.
        building: copies that were begun and are not whole.
        waiting: copies to make later: their node makes others, or cannot be reached.
        surplus: copies that will leave once others are whole.
        leaving: copies that are being dropped.
    """

    begin: tuple[Copy, ...] = ()
    leave: tuple[ReplicaRecord, ...] = ()
    forget: tuple[ReplicaRecord, ...] = ()
    building: tuple[ReplicaRecord, ...] = ()
    waiting: tuple[Copy, ...] = ()
    surplus: tuple[ReplicaRecord, ...] = ()
    leaving: tuple[ReplicaRecord, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether everything is where it is wanted, and nowhere else."""
        to_do = self.begin or self.leave or self.forget or self.waiting
        return not (to_do or self.building or self.surplus or self.leaving)


def candidates(topology: Topology, group: int, *, states: Collection[NodeState] = HOLDING) -> tuple[Candidate, ...]:
    """Return the nodes of a replica group that have a share of its copies, by id."""
    return tuple(
        Candidate(node.id, node.weight, node.zone, node.seat)
        for _, node in sorted(topology.nodes.items())
        if node.state in states and node.group == group
    )


def wanted_copies(
    topology: Topology, index: IndexRecord, *, states: Collection[NodeState] = HOLDING
) -> Mapping[ShardId, frozenset[NodeId]]:
    """Return the nodes that each shard is wanted on: fewer than asked for where there are not enough nodes.

    By placement, but for copies that may as well stay where they are (``streams/keeping.py``).

    Args:
        topology: the cluster.
        index: one of it, or one to come.
        states: which nodes have a share.
    """
    wanted: dict[ShardId, frozenset[NodeId]] = {ShardId(shard): frozenset() for shard in range(index.shards)}
    for group in index.groups:
        nodes = candidates(topology, group, states=states)
        if nodes:
            existing = _existing(topology, index, nodes)
            placed = _place(index.uid, index.incarnation, index.shards, index.replication, nodes)
            kept = keep_existing(placed, existing, nodes, _shares_of(index.shards, index.replication, nodes))
            wanted = {shard: found | kept[shard] for shard, found in wanted.items()}
    return wanted


def _existing(
    topology: Topology, index: IndexRecord, nodes: Sequence[Candidate]
) -> Mapping[ShardId, frozenset[NodeId]]:
    """Return the nodes of every copy; that of a node whose seat another has taken counts as the other's."""
    seats = {node.seat or node.id: node.id for node in nodes}
    present = {node.id for node in nodes}

    def holder(node: NodeId) -> NodeId:
        record = topology.nodes.get(node)
        return node if node in present or record is None else seats.get(record.seat or node, node)

    return {
        shard: frozenset(holder(replica.node) for replica in replicas)
        for shard, replicas in topology.replicas.get(index.uid, {}).items()
    }


def first_copies(topology: Topology, index: IndexRecord) -> Mapping[ShardId, tuple[NodeId, ...]]:
    """Return the nodes on which a new index's shards begin: those that are there now, by id."""
    placed = wanted_copies(topology, index, states=frozenset({NodeState.ACTIVE}))
    return {shard: tuple(sorted(nodes)) for shard, nodes in placed.items()}


def whole_copies(topology: Topology, progress: ProgressView, index: IndexRecord, shard: ShardId) -> frozenset[NodeId]:
    """Return the nodes whose copy of the shard has everything: at the end once, there now, near the best.

    Stricter than what may be read: where no copy is as good, the best there is may be read, but none is whole. Of an
    index that nothing can have been posted to yet, every copy is.
    """
    replicas = topology.replicas_of(index.uid, shard)
    if index.primary_key is None:
        return frozenset(replica.node for replica in replicas)
    seen = {r.node: p for r in replicas if (p := progress.of(r)) is not None and p.at_end_ms > 0 and not p.away}
    best = max((found.cursor for found in seen.values()), default=0)
    return frozenset(node for node, found in seen.items() if found.cursor >= best - LAG_RECORDS_MAX)


def plan_moves(topology: Topology, progress: ProgressView, *, reachable: Collection[NodeId] | None = None) -> MovePlan:
    """Return what may be done now.

    Args:
        topology: the cluster.
        progress: what workers publish, folded to its end.
        reachable: the nodes that can be asked just now; None where that is not known: then all are taken to be.
    """
    answers = topology.nodes.keys() if reachable is None else reachable
    draft = _Draft(topology, progress, frozenset(answers))
    for _, index in sorted(topology.indexes.items()):
        draft.add(index)
    return draft.plan()


def moves_between(before: Topology, after: Topology) -> tuple[Copy, ...]:
    """Return the copies that would be made if ``before`` became ``after`` and everything in it were where it is wanted.

    By index, shard and node; the same indexes are in both.
    """
    found = []
    for uid, index in sorted(after.indexes.items()):
        old = before.indexes.get(uid)
        existing = wanted_copies(before, old) if old is not None else {}
        for shard, nodes in wanted_copies(after, index).items():
            fresh = sorted(nodes - existing.get(shard, frozenset()))
            found += [Copy(uid, index.incarnation, shard, node) for node in fresh]
    return tuple(found)


class _Draft:
    """A plan in the making."""

    def __init__(self, topology: Topology, progress: ProgressView, reachable: frozenset[NodeId]) -> None:
        self._topology = topology
        self._progress = progress
        self._reachable = reachable
        self._missing: list[Copy] = []
        self._leave: list[ReplicaRecord] = []
        self._building: list[ReplicaRecord] = []
        self._surplus: list[ReplicaRecord] = []

    def add(self, index: IndexRecord) -> None:
        """Take in an index."""
        for shard, wanted in wanted_copies(self._topology, index).items():
            replicas = self._topology.replicas_of(index.uid, shard)
            whole = whole_copies(self._topology, self._progress, index, shard)
            holders = {replica.node for replica in replicas}
            self._missing += [
                Copy(index.uid, index.incarnation, shard, node) for node in sorted(wanted) if node not in holders
            ]
            # What a node that does not answer has was whole when last seen; it may come back with less.
            stays = wanted <= whole and wanted <= self._reachable
            complete = len(wanted) == index.replication * len(index.groups) and stays
            for replica in replicas:
                if replica.node in wanted:
                    self._building += [replica] * self._is_building(index, replica)
                elif self._may_leave(replica):
                    (self._leave if complete else self._surplus).append(replica)

    def plan(self) -> MovePlan:
        """Return what may be done of all that was taken in."""
        begin, waiting = self._choose_begin()
        leave, later = self._choose_leave()
        forget = frozenset(self._forgettable())
        return MovePlan(
            begin=tuple(begin),
            leave=tuple(leave),
            forget=tuple(replica for replica in self._topology.leaving if replica in forget),
            building=tuple(self._building),
            waiting=tuple(waiting),
            surplus=(*self._surplus, *later),
            leaving=tuple(replica for replica in self._topology.leaving if replica not in forget),
        )

    def _is_building(self, index: IndexRecord, replica: ReplicaRecord) -> bool:
        seen = self._progress.of(replica)
        return index.primary_key is not None and (seen is None or seen.at_end_ms == 0)

    def _may_leave(self, replica: ReplicaRecord) -> bool:
        """Return whether it is anybody's business: a failed node keeps what it has, and may bring it back."""
        node = self._topology.nodes.get(replica.node)
        return node is not None and node.state is not NodeState.FAILED

    def _choose_begin(self) -> tuple[list[Copy], list[Copy]]:
        """Return the copies to make now and later: a few at once on a node, only where that can be reached."""
        busy = Counter(replica.node for replica in self._building)
        begin: list[Copy] = []
        waiting: list[Copy] = []
        for copy in self._missing:
            node = self._topology.nodes[copy.node]
            can = node.state is NodeState.ACTIVE and copy.node in self._reachable
            if can and busy[copy.node] < BUILDING_PER_NODE_MAX:
                busy[copy.node] += 1
                begin.append(copy)
            else:
                waiting.append(copy)
        return begin, waiting

    def _choose_leave(self) -> tuple[list[ReplicaRecord], list[ReplicaRecord]]:
        """Return what leaves now and later: all that can of a node at once, then none until those are forgotten.

        Each time the node's search key is replaced, and the longest search is waited for.
        """
        busy = {replica.node for replica in self._topology.leaving}
        now: list[ReplicaRecord] = []
        later: list[ReplicaRecord] = []
        for replica in self._leave:
            can = replica.node in self._reachable and replica.node not in busy
            (now if can else later).append(replica)
        return now, later

    def _forgettable(self) -> Iterator[ReplicaRecord]:
        for replica in self._topology.leaving:
            index = self._topology.indexes[replica.uid]
            if index.primary_key is None or self._progress.of(replica) is not None:
                yield replica


@lru_cache(maxsize=PLACEMENTS_CACHED_MAX)
def _place(
    uid: IndexUid, incarnation: Incarnation, shards: int, replication: int, nodes: tuple[Candidate, ...]
) -> Mapping[ShardId, frozenset[NodeId]]:
    placed = place(uid, incarnation, shards=shards, replication=replication, nodes=nodes)
    return {shard: frozenset(chosen) for shard, chosen in placed.items()}


@lru_cache(maxsize=PLACEMENTS_CACHED_MAX)
def _shares_of(shards: int, replication: int, nodes: tuple[Candidate, ...]) -> Mapping[NodeId, Share]:
    return shares_of(shards, replication, nodes)
