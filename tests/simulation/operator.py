"""Whoever asks for changes of the cluster, sensible or not, and counts what was granted in which state."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from schemas.events import IndexState, NodeRecord, NodeState
from schemas.ids import IndexUid, NodeId, Offset
from schemas.requests import (
    ActivateNode,
    AddNode,
    CreateIndex,
    DeleteIndex,
    DrainNode,
    MaintainNode,
    RebuildNode,
    RemoveNode,
    ReplaceNode,
    Request,
    ResumeIndex,
    UpdateIndex,
    UpdateSettings,
)
from streams.topology import Topology
from tests.simulation.cluster import SimulatedCluster

NODES_MAX = 6
NODES_MORE_MAX = 10
"""With those that join to be away."""

INDEXES = ("films", "books")
GROUPS = ((0,), (0,), (0, 1))

ZONES = ("a", "b", "c")
WEIGHTS = (0.2, 0.5, 1.0, 2.0, 5.0)

UNREACHED = 0.3
"""Part of what is asked of nodes in rare states that names a new one, which is gone again before it is active."""

UNREACHED_S = (0.0, 0.8)
"""When it goes: before it was looked at, so that it is refused, or while it joins."""

CHANGES_NOTHING = frozenset(
    (
        "activate_node of absent",
        "activate_node of active",
        "activate_node of joining",
        "drain_node of draining",
        "maintain_node of maintenance",
        "rebuild_node of absent",
        "rebuild_node of joining",
        "remove_node of removed",
        "resume_index of absent",
        "resume_index of active",
        "update_settings of absent",
        "update_settings of active",
        "update_settings of paused",
    )
)
"""What leaves nodes, placements and indexes as they are, though it is granted: of what is not there yet, too, for it
may have come since, and not be ready."""

RETURN = 0.5
"""Part of what is asked for while there is no index that asks for one."""

_log = logging.getLogger(__name__)


class Operator:
    """The operator of one run.

    Args:
        cluster: what is operated.
        rng: of the run.
    """

    def __init__(self, cluster: SimulatedCluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._names = (f"n{number}" for number in range(1, 1000))
        self._asked: dict[Offset, str] = {}
        self._first: frozenset[Offset] = frozenset()
        self._asks = 0

    def join(self, group: int) -> NodeId:
        """Start a node, let it join, and return its id."""
        name = next(self._names)
        self._cluster.add_node(name)
        node = AddNode(NodeId(name), f"http://{name}:7700", zone=self._rng.choice(("a", "b")), group=group)
        self.ask_for(node, "absent")
        return node.id

    def make_indexes(self) -> None:
        """Ask for every index: for the first one as it is granted, for a run without documents would show nothing.

        With this a run has begun.
        """
        first, *others = map(IndexUid, INDEXES)
        for request in (self._fitting_index(first), *map(self._new_index, others)):
            self.ask_for(request, "absent")
        self._first = frozenset(self._asked)

    def ask(self) -> None:
        """Ask for something."""
        if self._cluster.log.away:
            return
        topology = self._cluster.view().topology
        is_room = len(self._cluster.nodes) < NODES_MAX
        if is_room and self._rng.random() < 0.2:
            self.join(self._rng.choice((0, 0, 1)))
            return
        if not topology.indexes and self._rng.random() < RETURN:
            self.ask_for(self._fitting_index(IndexUid(self._rng.choice(INDEXES))), "absent")
            return
        node = NodeId(self._rng.choice(sorted(self._cluster.nodes)))
        uid = IndexUid(self._rng.choice(INDEXES))
        if self._rng.random() < 0.6:
            request = self._for_node(node, is_room=is_room)
            known = topology.nodes.get(node)
        else:
            request = self._for_index(uid)
            known = topology.indexes.get(uid)  # type: ignore[assignment]  # both have a state
        self.ask_for(request, _state(known))

    def ask_for(self, request: Request, state: str) -> Offset:
        """Ask for something of what is known to be in a state; return where the request stands."""
        _log.info("%8.3f %s", asyncio.get_running_loop().time(), request)
        offset = self._cluster.ask(request)
        self._asked[offset] = f"{request.kind} of {state}"
        return offset

    def change_share(self) -> None:
        """Ask for another weight, zone or group of a node that is there."""
        nodes = self._cluster.view().topology.nodes
        if not nodes or self._cluster.log.away:
            return
        known = nodes[self._rng.choice(sorted(nodes))]
        share = (
            {"weight": self._rng.choice(WEIGHTS)},
            {"zone": self._rng.choice(ZONES)},
            {"group": self._rng.choice(GROUPS[-1])},
        )
        self.ask_for(replace(_as_it_is(known), **self._rng.choice(share)), _state(known))

    def ask_in_rare_states(self) -> None:
        """Ask for something of a node or index in a state that it is seldom in, or name a node that does not answer."""
        if self._cluster.log.away:
            return
        topology = self._cluster.view().topology
        paused = [uid for uid, index in sorted(topology.indexes.items()) if index.state is IndexState.PAUSED]
        if paused and self._rng.random() < 0.5:
            self.ask_for(self._for_index(self._rng.choice(paused)), str(IndexState.PAUSED))
            return
        rare = [known for _, known in sorted(topology.nodes.items()) if known.state is not NodeState.ACTIVE]
        is_room = len(self._cluster.nodes) < NODES_MORE_MAX
        if is_room and (not rare or self._rng.random() < UNREACHED):
            node = self._cluster.nodes[self.join(0)]
            asyncio.get_running_loop().call_later(self._rng.uniform(*UNREACHED_S), node.go_down)
        elif rare:
            states = sorted({known.state for known in rare})
            state = self._rng.choice(states)
            known = self._rng.choice([each for each in rare if each.state is state])
            self.ask_for(self._for_known(known, is_room=is_room), _state(known))

    def granted(self, topology: Topology) -> Counter[str]:
        """Return how often each request was accepted and refused, by what it was and the state it was asked in."""
        counted: Counter[str] = Counter()
        for offset, what in self._asked.items():
            counted[f"{what}: {_outcome(topology, offset)}"] += 1
        return counted

    def changes(self, topology: Topology) -> int:
        """Return how many requests have changed nodes, placements or indexes, but for those that a run begins with."""
        return sum(
            _outcome(topology, offset) == "accepted" and what not in CHANGES_NOTHING
            for offset, what in self._asked.items()
            if offset not in self._first
        )

    def _for_node(self, node: NodeId, *, is_room: bool) -> Request:
        if is_room and self._rng.random() < 0.15:
            return self._replacement(node)
        requests: Sequence[Request] = (
            DrainNode(node),
            ActivateNode(node),
            ActivateNode(node),
            MaintainNode(node),
            RemoveNode(node, force=self._rng.random() < 0.3),
            RebuildNode(node),
        )
        return self._rng.choice(requests)

    def _for_known(self, known: NodeRecord, *, is_room: bool) -> Request:
        """Return something to ask of a node: also its addition once more, and often its replacement."""
        draw = self._rng.random()
        if draw < 0.15:
            return _as_it_is(known)
        if draw < 0.4 and is_room:
            return self._replacement(known.id)
        return self._for_node(known.id, is_room=False)

    def _replacement(self, node: NodeId) -> ReplaceNode:
        name = next(self._names)
        self._cluster.add_node(name)
        return ReplaceNode(node, NodeId(name), f"http://{name}:7700")

    def _for_index(self, uid: IndexUid) -> Request:
        self._asks += 1
        requests: Sequence[Request] = (
            UpdateIndex(uid, replication=self._rng.choice((1, 2, 3))),
            UpdateIndex(uid, groups=self._rng.choice(GROUPS)),
            UpdateSettings(uid, {"stopWords": [f"word{self._asks}"]}),
            ResumeIndex(uid),
            DeleteIndex(uid),
            self._new_index(uid),
            self._new_index(uid),
        )
        return self._rng.choice(requests)

    def _new_index(self, uid: IndexUid) -> CreateIndex:
        shards, replication = self._rng.choice((1, 2, 4, 5)), self._rng.choice((1, 2, 2, 3))
        return CreateIndex(
            uid, primary_key="id", shards=shards, replication=replication, groups=self._rng.choice(GROUPS)
        )

    def _fitting_index(self, uid: IndexUid) -> CreateIndex:
        """Return one that the active nodes can hold, where there are any."""
        wanted, group = self._new_index(uid), self._rng.choice(GROUPS[0])
        nodes = self._cluster.view().topology.nodes.values()
        zones = {node.zone for node in nodes if node.group == group and node.state is NodeState.ACTIVE}
        return replace(wanted, groups=(group,), replication=max(1, min(wanted.replication, len(zones))))


def _outcome(topology: Topology, offset: Offset) -> str:
    answer = topology.answer(offset)
    return "forgotten" if answer is None else "accepted" if answer.accepted else "refused"


def _as_it_is(known: NodeRecord) -> AddNode:
    return AddNode(known.id, known.url)


def _state(known: object) -> str:
    return "absent" if known is None else str(getattr(known, "state"))  # noqa: B009 - of a node or an index alike
