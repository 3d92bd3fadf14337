"""Whether the nodes there are can hold the copies that are asked for: enough nodes, and enough zones.

What always holds: a pure function of the nodes. A cluster knows zones as soon as one of its nodes names one; then no
two copies of a shard in a replica group may have to share one. Who calls it: the decisions on requests, and whoever
shows what a change would move. It must not know: what is placed where.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from schemas.events import IndexRecord, NodeRecord, NodeState
from streams.moves import HOLDING
from streams.topology import Topology

ACTIVE_ONLY = frozenset({NodeState.ACTIVE})


def copies_fault(
    nodes: Iterable[NodeRecord], *, replication: int, groups: Sequence[int], states: Collection[NodeState] = HOLDING
) -> str:
    """Return why these nodes cannot hold so many copies in each of these groups, and what to do; empty if they can.

    Args:
        nodes: of all groups and states.
        replication: copies of each shard in each group.
        groups: replica groups.
        states: which nodes count.
    """
    counted = [node for node in nodes if node.state in states]
    for group in groups:
        members = [node for node in counted if node.group == group]
        where = f" in replica group {group}" if list(groups) != [0] else ""
        if len(members) < replication:
            return f"{_copies(replication)} need as many nodes{where}, there are {len(members)}; add nodes"
        zones = {node.zone for node in members}
        if zones != {""} and len(zones) < replication:
            named = ", ".join(repr(zone) for zone in sorted(zones))
            return f"{_copies(replication)} need as many zones{where}, there are {len(zones)} ({named}); add nodes"
    return ""


def change_fault(topology: Topology, changed: Iterable[NodeRecord]) -> str:
    """Return which index would have too little room if these nodes were as given here, unless it has just that now."""
    return room_fault(topology, replace(topology, nodes={**topology.nodes, **{node.id: node for node in changed}}))


def room_fault(before: Topology, after: Topology) -> str:
    """Return which index would have too little room after a change, unless it had just that before; empty for none."""
    for uid, index in sorted(after.indexes.items()):
        fault = _index_fault(index, after.nodes.values())
        known = before.indexes.get(uid)
        if fault and (known is None or fault != _index_fault(known, before.nodes.values())):
            return f"index {uid!r}: {fault}, or ask for fewer copies"
    return ""


def _index_fault(index: IndexRecord, nodes: Iterable[NodeRecord]) -> str:
    return copies_fault(nodes, replication=index.replication, groups=index.groups)


def _copies(replication: int) -> str:
    return f"{replication} {'copy' if replication == 1 else 'copies'}"
