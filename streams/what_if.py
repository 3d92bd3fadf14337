"""The cluster as it would be after a request, for whoever wants to know what would move.

What always holds: nothing is judged here: whether the request would be accepted is the controller's to say. A node that
would join counts as active at once, one that is replaced as drained. Who calls it: the query service. It must not know:
what moves.
"""

from collections.abc import Mapping
from dataclasses import replace

from schemas.errors import InvalidRequestError
from schemas.events import ClusterValue, NodeRecord, NodeState, build_key
from schemas.requests import (
    ActivateNode,
    AddNode,
    DrainNode,
    MaintainNode,
    RemoveNode,
    ReplaceNode,
    Request,
    UpdateIndex,
)
from streams.topology import Topology, build_topology

TAKEN = "node {node!r} is in the cluster already; name a new one"
"""Why it does not replace another: it has its own copies, and its own share."""


def topology_after(topology: Topology, request: Request) -> Topology:
    """Return the cluster as it would be.

    Raises:
        NotFoundError: there is no such node or index.
        InvalidRequestError: a request of this kind moves nothing, or a node is to be replaced by one that is there.
    """
    entities = dict(topology.entities)
    for value in _changed(topology, request):
        entities[build_key(value)] = value
    return replace(build_topology(entities), epoch=topology.epoch)


def with_share(node: NodeRecord, request: AddNode) -> NodeRecord:
    """Return the node with the weight, zone and group that are asked for; what is not asked for stays."""
    return replace(
        node,
        weight=node.weight if request.weight is None else request.weight,
        zone=node.zone if request.zone is None else request.zone,
        group=node.group if request.group is None else request.group,
    )


_STATES: Mapping[type[Request], NodeState] = {
    DrainNode: NodeState.DRAINING,
    MaintainNode: NodeState.MAINTENANCE,
    ActivateNode: NodeState.ACTIVE,
    RemoveNode: NodeState.REMOVED,
}


def _changed(topology: Topology, request: Request) -> tuple[ClusterValue, ...]:
    match request:
        case AddNode():
            return (_added(topology, request),)
        case ReplaceNode(id=node, by=by, url=url):
            old = topology.node(node)
            if topology.present(by) is not None:
                raise InvalidRequestError("node_already_exists", TAKEN.format(node=by))
            asked = AddNode(by, url, old.weight, old.zone, old.group)
            return (replace(_added(topology, asked), seat=old.seat or old.id), _in_state(old, NodeState.DRAINING))
        case DrainNode(id=node) | MaintainNode(id=node) | ActivateNode(id=node) | RemoveNode(id=node):
            return (_in_state(topology.node(node), _STATES[type(request)]),)
        case UpdateIndex(uid=uid, replication=replication, groups=groups):
            index = topology.index(uid)
            copies = index.replication if replication is None else replication
            return (replace(index, replication=copies, groups=index.groups if groups is None else groups),)
        case _:
            raise InvalidRequestError("bad_request", f"{request.kind}: moves no copies")


def _added(topology: Topology, request: AddNode) -> NodeRecord:
    known = topology.present(request.id) or NodeRecord(request.id, request.url, state=NodeState.ACTIVE)
    return with_share(known, request)


def _in_state(node: NodeRecord, state: NodeState) -> NodeRecord:
    return replace(node, state=state)
