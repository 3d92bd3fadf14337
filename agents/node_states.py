"""What becomes of requests that change a node's state: drain, maintenance, active again, remove, replace.

========= =========== ============= ============= ============= ============= ===========
request   joining     active        draining      maintenance   failed        removed
========= =========== ============= ============= ============= ============= ===========
drain     no          draining (1)  as it is      draining (1)  no            no
maintain  no          maintenance   no            as it is      maintenance   no
activate  as it is    as it is      active        active        active        no
remove    removed     removed (2)   removed (2)   removed (2)   removed (3)   as it is
forget    no          no            no            no            no            gone
replace   no          drains later  drains later  drains later  as it is (4)  no
========= =========== ============= ============= ============= ============= ===========

1. Only while the other nodes can hold what every index asks for.
2. Only where it holds nothing; with ``force`` where each of its shards has a whole copy elsewhere.
3. Only where each of its shards has a whole copy elsewhere.
4. The new node joins in its place; it can be removed then.

A node is replaced by a new one only. One that is in the cluster is refused, and stays as it is, unless it is there just
for that: then the same was asked for before.

What always holds: an accepted request decided again changes nothing more. Who calls it: ``agents/controller.py``. It
must not know: how a node is asked.
"""

from collections.abc import Iterator
from dataclasses import replace

from agents.decision import Decision, Sights, accept, refuse
from agents.node_requests import at_another_url, join_decision, node_not_found
from schemas.events import NodeRecord, NodeState, build_key
from schemas.ids import IndexUid, NodeId, Offset, ShardId
from schemas.requests import ActivateNode, AddNode, DrainNode, MaintainNode, RemoveNode, ReplaceNode
from streams.capacity import change_fault
from streams.moves import HOLDING, whole_copies
from streams.readable import ProgressView
from streams.topology import Topology
from streams.what_if import TAKEN

_GONE = "is being removed: wait until it is gone, or add it again"
_JOINING = "has not joined yet: wait, or remove it"


def drain_node(topology: Topology, request: DrainNode, offset: Offset) -> Decision:
    """Return what becomes of a draining: no new copies, and those that are there are made elsewhere."""
    node = topology.nodes.get(request.id)
    if node is None:
        return node_not_found(offset, request.id)
    match node.state:
        case NodeState.DRAINING:
            return accept(offset)
        case NodeState.JOINING:
            return _refuse_state(offset, node, _JOINING)
        case NodeState.FAILED:
            return _refuse_state(offset, node, "has failed: its copies are made elsewhere already; remove it")
        case NodeState.REMOVED:
            return _refuse_state(offset, node, _GONE)
        case NodeState.ACTIVE | NodeState.MAINTENANCE:
            drained = replace(node, state=NodeState.DRAINING)
            if fault := change_fault(topology, [drained]):
                return refuse(offset, "not_enough_nodes", f"node {node.id!r} cannot be drained: {fault}")
            return accept(offset, drained)


def maintain_node(topology: Topology, request: MaintainNode, offset: Offset) -> Decision:
    """Return what becomes of a maintenance: the node keeps its copies, however long it is away."""
    node = topology.nodes.get(request.id)
    if node is None:
        return node_not_found(offset, request.id)
    match node.state:
        case NodeState.MAINTENANCE:
            return accept(offset)
        case NodeState.JOINING:
            return _refuse_state(offset, node, _JOINING)
        case NodeState.DRAINING:
            return _refuse_state(offset, node, "drains: `miroir node activate` it before, or wait and remove it")
        case NodeState.REMOVED:
            return _refuse_state(offset, node, _GONE)
        case NodeState.ACTIVE | NodeState.FAILED:
            return accept(offset, replace(node, state=NodeState.MAINTENANCE))


def activate_node(topology: Topology, request: ActivateNode, offset: Offset) -> Decision:
    """Return what becomes of an activation; where another node has taken the seat, this one is given its own."""
    node = topology.nodes.get(request.id)
    if node is None:
        return node_not_found(offset, request.id)
    match node.state:
        case NodeState.ACTIVE | NodeState.JOINING:
            return accept(offset)
        case NodeState.REMOVED:
            return _refuse_state(offset, node, _GONE)
        case NodeState.DRAINING | NodeState.MAINTENANCE | NodeState.FAILED:
            active = replace(node, state=NodeState.ACTIVE, failures=0, failed_ms=0)
            if any(seat_of(other) == seat_of(node) for other in _others(topology, node) if other.state in HOLDING):
                active = replace(active, seat=f"{node.id}@{offset}")
            return accept(offset, active)


def remove_node(topology: Topology, request: RemoveNode, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a removal: its placements are gone at once, its record once our keys on it are."""
    node = topology.nodes.get(request.id)
    if node is None:
        return node_not_found(offset, request.id)
    placed = (*topology.replicas_on(node.id), *topology.leaving_on(node.id))
    if request.forget:
        return _forget(offset, node)
    if node.state is NodeState.REMOVED and not placed:
        return accept(offset)
    if placed and node.state not in (NodeState.FAILED, NodeState.REMOVED) and not request.force:
        message = (
            f"node {node.id!r} holds {len(placed)} copies: drain it first (`miroir node drain {node.id}`),"
            " or ask with force where every shard has another copy"
        )
        return refuse(offset, "node_not_empty", message)
    if last := next(last_copies(topology, sights.progress, node.id), None):
        uid, shard = last
        message = f"node {node.id!r} has the last whole copy of shard {shard} of index {uid!r}; drain it, or wait"
        return refuse(offset, "last_copy", message)
    removed = replace(node, state=NodeState.REMOVED)
    if node.state in HOLDING and (fault := change_fault(topology, [removed])):
        return refuse(offset, "not_enough_nodes", f"node {node.id!r} cannot be removed: {fault}")
    return accept(offset, removed, removes=tuple(build_key(replica) for replica in placed))


def replace_node(topology: Topology, request: ReplaceNode, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a replacement: the new node joins on the old one's seat."""
    node = topology.nodes.get(request.id)
    if node is None:
        return node_not_found(offset, request.id)
    if request.by == request.id:
        message = f"node {node.id!r} cannot replace itself: give the new node another id, or rebuild the node"
        return refuse(offset, "invalid_node_id", message)
    if node.state is NodeState.JOINING:
        return _refuse_state(offset, node, _JOINING)
    if node.state is NodeState.REMOVED:
        return _refuse_state(offset, node, _GONE)
    if (taken := topology.present(request.by)) is not None:
        return _replace_again(node, taken, request, offset)
    asked = AddNode(request.by, request.url, node.weight, node.zone, node.group)
    return join_decision(topology, asked, offset, sights, seat=seat_of(node))


def _replace_again(node: NodeRecord, taken: NodeRecord, request: ReplaceNode, offset: Offset) -> Decision:
    """Return what becomes of a replacement by a node that is there: nothing more, where it takes over already.

    Who takes over sits on the seat of the node that goes, and either joins yet or has let that one drain. A node that
    drains itself, or whose seat was left to it by an activation since, takes over nothing.
    """
    is_underway = taken.state is NodeState.JOINING or (
        taken.state is not NodeState.DRAINING and node.state not in HOLDING
    )
    if not (is_underway and seat_of(taken) == seat_of(node)):
        return refuse(offset, "node_already_exists", TAKEN.format(node=taken.id))
    url = request.url.rstrip("/")
    return accept(offset) if taken.url == url else at_another_url(taken, url, offset)


def seat_of(node: NodeRecord) -> str:
    """Return what placement hashes for the node."""
    return node.seat or node.id


def last_copies(topology: Topology, progress: ProgressView, node: NodeId) -> Iterator[tuple[IndexUid, ShardId]]:
    """Yield the shards on the node that have no whole copy elsewhere."""
    for replica in topology.replicas_on(node):
        index = topology.indexes[replica.uid]
        if not whole_copies(topology, progress, index, replica.shard) - {node}:
            yield replica.uid, replica.shard


def _forget(offset: Offset, node: NodeRecord) -> Decision:
    if node.state is not NodeState.REMOVED:
        return _refuse_state(offset, node, "is not being removed: `miroir node remove` it before it is forgotten")
    return accept(offset, removes=(build_key(node),))


def _others(topology: Topology, node: NodeRecord) -> Iterator[NodeRecord]:
    return (other for other in topology.nodes.values() if other.id != node.id)


def _refuse_state(offset: Offset, node: NodeRecord, why: str) -> Decision:
    return refuse(offset, "node_state", f"node {node.id!r} {why}")
