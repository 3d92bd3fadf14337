"""What becomes of requests about nodes, and what is written when a node is taken in: at first, or with an empty disk.

What always holds: a placement gets a new attempt whenever the node's documents may not be believed; where somebody asks
for one, not while nothing would replay it and what is dropped is still needed. Who calls it:
``agents/controller.py`` and the reconciling of nodes. It must not know: how a node is asked.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from agents.decision import Decision, Sights, accept, refuse
from agents.log_identity import RESEED, is_paused_for_log
from schemas.errors import InvalidInputError
from schemas.events import ClusterValue, IndexState, NodeRecord, NodeState, ReplicaRecord
from schemas.ids import Attempt, NodeId, Offset, parse_node_id
from schemas.requests import AddNode, RebuildNode, ReplaceNode, Request
from streams.capacity import change_fault
from streams.moves import HOLDING, whole_copies
from streams.readable import ProgressView
from streams.topology import Topology
from streams.what_if import with_share

WEIGHT_MAX = 1000.0
"""Relative to others: beyond this a number is a slip of the finger, not a share."""

URL_CHARS_MAX = 2_000
"""Longer than any address of a host; the clients of nodes take no more than 65,536."""

_URL = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:/[!-~]*)?")
"""What every client of nodes understands; with a path, for a node behind a proxy."""

_PORT_MAX = 65_535


def joining_node(topology: Topology, request: Request) -> tuple[NodeId, str] | None:
    """Return id and URL of a node that must be looked at before the request is decided; None for most requests."""
    match request:
        case AddNode(id=node, url=url) | ReplaceNode(by=node, url=url) if not _url_fault(url):
            return None if topology.present(node) is not None else (node, url.rstrip("/"))
        case _:
            return None


def add_node(topology: Topology, request: AddNode, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a node that wants to join, or to have another weight, zone or group."""
    taken = any(request.id in (node.id, node.seat) for node in topology.nodes.values())
    # A name may be used again while another node still sits in the first one's seat.
    return join_decision(topology, request, offset, sights, seat=f"{request.id}@{offset}" if taken else "")


def join_decision(topology: Topology, request: AddNode, offset: Offset, sights: Sights, *, seat: str) -> Decision:
    """Return what becomes of a node that wants to join on a seat; asking twice is once.

    Args:
        topology: the cluster.
        request: id, URL and share.
        offset: the request's.
        sights: with the node as it was seen.
        seat: what placement hashes for it; empty for its id.
    """
    try:
        parse_node_id(request.id)
    except InvalidInputError as error:
        return refuse(offset, "invalid_node_id", str(error))
    if fault := _fault(request):
        return refuse(offset, "invalid_node", f"node {request.id!r}: {fault}")
    url = request.url.rstrip("/")
    if (existing := topology.present(request.id)) is not None:
        return _change_node(topology, existing, replace(request, url=url), offset)
    newcomer = sights.newcomer
    twin = next((n for n in topology.nodes.values() if n.id != request.id and n.url == url), None)
    twin = twin or next((n for n in topology.nodes.values() if n.worker_key in newcomer.keys), None)
    if twin is not None and twin.id != request.id:
        return refuse(offset, "node_already_exists", f"what answers at {url} is node {twin.id!r} already")
    if newcomer.code:
        return refuse(offset, newcomer.code, f"node {request.id!r} at {url}: {newcomer.message}")
    return accept(offset, with_share(NodeRecord(request.id, url, seat=seat), request))


def _change_node(topology: Topology, existing: NodeRecord, request: AddNode, offset: Offset) -> Decision:
    if existing.url != request.url:
        return at_another_url(existing, request.url, offset)
    changed = with_share(existing, request)
    if changed == existing:
        return accept(offset)
    if fault := change_fault(topology, [changed]):
        return refuse(offset, "not_enough_nodes", f"node {request.id!r} cannot be changed: {fault}")
    return accept(offset, changed)


def at_another_url(existing: NodeRecord, url: str, offset: Offset) -> Decision:
    """Return the refusal of a node that is there, but listens elsewhere than was asked for."""
    message = f"node {existing.id!r} exists with the url {existing.url}, asked for with {url}"
    return refuse(offset, "node_already_exists", message)


def rebuild_node(topology: Topology, request: RebuildNode, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of a rebuild: new attempts, and a search key that queries of the past do not have."""
    node = topology.nodes.get(request.id)
    if node is None:
        return node_not_found(offset, request.id)
    if node.state is NodeState.JOINING:
        return accept(offset)
    if node.state is NodeState.REMOVED:
        return refuse(offset, "node_state", f"node {node.id!r} is being removed: it holds nothing")
    asked = tuple(replica for replica in topology.replicas_on(node.id) if _is_asked(request, replica))
    # Asked for again by a worker that has not seen the answer: what it saw has begun anew since.
    if request.attempt is not None and not asked:
        return accept(offset)
    if fault := next(_replay_faults(topology, sights.progress, node.id, asked), None):
        return refuse(offset, "index_paused", f"node {node.id!r} cannot be rebuilt: {fault}")
    return accept(offset, fence_off(node, sights.key_uid), *_begun_anew(topology, asked))


def _replay_faults(
    topology: Topology, progress: ProgressView, node: NodeId, asked: Iterable[ReplicaRecord]
) -> Iterator[str]:
    """Yield why copies must not begin anew: their index is paused, so that nothing is replayed, and they are needed.

    Without its log an index has nothing but its copies: each is one that a new log can be made of. Where the log is
    whole, a copy can be spared until somebody resumes the index, but not the last one that searches go on from. A copy
    that holds nothing, as on a disk that is new, is not missed.
    """
    for replica in asked:
        index = topology.indexes[replica.uid]
        if index.state is not IndexState.PAUSED or not _holds(progress, replica):
            continue
        if is_paused_for_log(index):
            yield (
                f"index {index.uid!r} is paused for its log, which cannot make its copies anew;"
                f" first `{RESEED} {index.uid}`"
            )
        elif not whole_copies(topology, progress, index, replica.shard) - {node}:
            yield (
                f"index {index.uid!r} is paused, so that nothing is replayed, and no other node has a whole copy of"
                f" shard {replica.shard}; first `miroir index resume {index.uid}`"
            )


def _holds(progress: ProgressView, replica: ReplicaRecord) -> bool:
    """Return whether the copy has anything, or is known to be whole without; its node may be away."""
    found = progress.of(replica)
    return found is not None and (found.cursor > 0 or found.at_end_ms > 0)


def _is_asked(request: RebuildNode, replica: ReplicaRecord) -> bool:
    if request.uid is None:
        return True
    is_of_index = replica.uid == request.uid and replica.shard in request.shards
    return is_of_index and (request.attempt is None or replica.attempt <= request.attempt)


def fence_off(node: NodeRecord, key_uid: str) -> NodeRecord:
    """Return the node with its next search key in use, and ``key_uid`` as the one after it.

    It is written before the placements that it is for: nobody may see these with the former fence key, which works.
    Done again with the same uid, of a torn commit, it is done once.
    """
    if node.fence_key == key_uid:
        return node
    if not node.fence_key:
        return replace(node, search_key=key_uid)  # of a cluster from before there were fence keys
    return replace(node, search_key=node.fence_key, fence_key=key_uid)


class NewKeys(NamedTuple):
    """Uids of the keys that were made on a node."""

    worker: str
    search: str
    fence: str


def adopt_node(topology: Topology, node: NodeId, keys: NewKeys) -> tuple[ClusterValue, ...]:
    """Return what is written once keys were made on a node that has none of ours; nothing where it is gone.

    Besides a node that joins this is one that has lost its disk: whatever was placed on it begins anew. A node whose
    seat the joining one takes drains from now on; it is written first, so that a torn commit is an adoption not done.
    """
    record = topology.present(node)
    if record is None:
        return ()
    joins = record.state is NodeState.JOINING
    state = NodeState.ACTIVE if joins else record.state
    adopted = replace(record, state=state, worker_key=keys.worker, search_key=keys.search, fence_key=keys.fence)
    drained = tuple(replace(each, state=NodeState.DRAINING) for each in _replaced(topology, record) if joins)
    return (*drained, adopted, *new_attempts(topology, node), *_begun_anew(topology, topology.leaving_on(node)))


def node_not_found(offset: Offset, node: NodeId) -> Decision:
    """Return the refusal of a request about a node that is not there."""
    return refuse(offset, "node_not_found", f"node {node!r} not found")


def _replaced(topology: Topology, node: NodeRecord) -> Iterator[NodeRecord]:
    for other in topology.nodes.values():
        if node.seat and other.id != node.id and (other.seat or other.id) == node.seat and other.state in HOLDING:
            yield other


def new_attempts(topology: Topology, node: NodeId) -> tuple[ReplicaRecord, ...]:
    """Return every placement on the node, begun anew."""
    return _begun_anew(topology, topology.replicas_on(node))


def _begun_anew(topology: Topology, replicas: Iterable[ReplicaRecord]) -> tuple[ReplicaRecord, ...]:
    """Return the placements with a new attempt.

    The epoch is the attempt's number: what is written with it moves the epoch, so that a later one is larger.
    """
    return tuple(replace(replica, attempt=Attempt(topology.epoch)) for replica in replicas)


def _fault(request: AddNode) -> str:
    if fault := _url_fault(request.url):
        return fault
    weight, group = request.weight, request.group
    if weight is not None and not (math.isfinite(weight) and 0 < weight <= WEIGHT_MAX):
        return f"weight: expected above 0 and at most {WEIGHT_MAX:g}, found {weight}"
    if group is not None and group < 0:
        return f"group: expected 0 or more, found {group}"
    return ""


def _url_fault(url: str) -> str:
    found = _URL.fullmatch(url) if len(url) <= URL_CHARS_MAX and not set("?#@") & set(url) else None
    if found and 0 < int(found["port"] or 1) <= _PORT_MAX:
        return ""
    return f"url: expected http://host:port or https://host:port without a password, found {url[:100]!r}"
