"""What has to be done to a node so that it is as the cluster says: keys, indexes, primary keys, settings.

Level-triggered: the plan follows from the topology and from what was just seen on the node, never from what was done
before, so that a crash anywhere is only a step not taken. Each node has its own plan: a dead one holds up nobody.

Order within a node: keys that are no longer in its record are deleted *before* those of its record are made, the fence
key last. So whoever finds that the fence key works knows that former search keys are dead: from then on a copy may be
dropped once the longest search that began with the old key is over.

What always holds: planning again after the steps were done plans nothing. Who calls it: the reconciling shell. It must
not know: HTTP, or time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agents.newcomers import foreign_fault, version_fault
from agents.node_admin import KeyRole, NodeKey
from schemas.events import IndexRecord, NodeRecord, NodeState, RetiredRecord
from schemas.ids import Epoch, IndexUid, NodeId, NodeIndexUid, SettingsVersion, node_index_uid
from streams.topology import Topology


class AdoptReason(StrEnum):
    """Why a node is given new keys."""

    JOINING = "joining"
    LOST_DISK = "lost disk"


@dataclass(frozen=True, slots=True)
class Adopt:
    """Make keys with new uids, then write them with new attempts for all that is placed on the node."""

    reason: AdoptReason


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """Delete a key of ours that the node's record does not name."""

    uid: str


@dataclass(frozen=True, slots=True)
class CreateKey:
    """Make the key that the node's record names."""

    uid: str
    role: KeyRole


@dataclass(frozen=True, slots=True)
class CreateNodeIndex:
    """Make an index; without a primary key as long as that is not known: it can be searched already."""

    uid: NodeIndexUid
    primary_key: str | None


@dataclass(frozen=True, slots=True)
class SetNodePrimaryKey:
    """Give the node's index the primary key of the cluster's; settings of ``version`` follow once it has it."""

    uid: NodeIndexUid
    primary_key: str
    version: SettingsVersion


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Send whole settings, marked with their version."""

    uid: NodeIndexUid
    index: IndexUid
    version: SettingsVersion


@dataclass(frozen=True, slots=True)
class DeleteNodeIndex:
    """Delete what is left of a deleted index."""

    uid: NodeIndexUid


@dataclass(frozen=True, slots=True)
class Forget:
    """Write that the removed node is gone: it has no key of ours any more."""


Step = Adopt | DeleteKey | CreateKey | CreateNodeIndex | SetNodePrimaryKey | ApplySettings | DeleteNodeIndex | Forget


@dataclass(frozen=True, slots=True)
class NodeSight:
    """A node as it was just seen.

    Attributes:
        epoch: of the topology in hand when looking began.
        version: Meilisearch's, such as ``1.50.0``.
        keys: all of them.
        indexes: each with its primary key.
        versions: of the settings of those indexes that are placed on it.
        waiting: settings that were sent and whose task has not finished, or that failed and must wait.
        deleting: indexes whose deletion was sent and has not finished.
    """

    epoch: Epoch
    version: str
    keys: tuple[NodeKey, ...]
    indexes: Mapping[NodeIndexUid, str | None] = field(default_factory=dict)
    versions: Mapping[NodeIndexUid, SettingsVersion | None] = field(default_factory=dict)
    waiting: Mapping[NodeIndexUid, SettingsVersion] = field(default_factory=dict)
    deleting: frozenset[NodeIndexUid] = frozenset()


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What to do, in this order; ``fault`` says why nothing can be done, and what the operator can."""

    steps: tuple[Step, ...] = ()
    fault: str = ""


def indexes_on(topology: Topology, node: NodeId) -> Mapping[NodeIndexUid, IndexRecord]:
    """Return the indexes with a shard placed on the node, or about to leave it, by their name there."""
    uids = {replica.uid for replica in (*topology.replicas_on(node), *topology.leaving_on(node))}
    indexes = (topology.indexes[uid] for uid in sorted(uids))
    return {node_index_uid(index.uid, index.incarnation): index for index in indexes}


def plan_node(topology: Topology, node: NodeRecord, sight: NodeSight, cluster: str) -> NodePlan:
    """Return what has to be done to the node.

    Args:
        topology: the cluster.
        node: the node's record in it.
        sight: the node as it was seen with this topology or a later one in hand.
        cluster: this cluster's name, as its keys carry it.
    """
    if node.state is NodeState.REMOVED:
        ours = tuple(DeleteKey(key.uid) for key in sight.keys if key.cluster == cluster)
        return NodePlan(ours or (Forget(),))
    if fault := _fault(node, sight, cluster):
        return NodePlan(fault=fault)
    reason = _adopt_reason(node, sight)
    if reason is not None:
        # Keys of ours that no record names: of a join that was cut short, or of a life before.
        stale = tuple(DeleteKey(key.uid) for key in sight.keys if key.cluster == cluster)
        return NodePlan((*stale, Adopt(reason)))
    keys = _plan_keys(node, sight, cluster)
    indexes = _plan_indexes(topology, node, sight)
    return NodePlan((*keys, *indexes, *_plan_retired(topology, sight)))


def finished_retired(topology: Topology, sights: Mapping[NodeId, NodeSight]) -> tuple[RetiredRecord, ...]:
    """Return the deleted indexes of which every node has been seen without remains since the deletion was known.

    A node that cannot be seen keeps the record: it may come back with the index on its disk. A sight that is older than
    the topology proves nothing: the index may have been made on the strength of it.
    """
    without = (NodeState.JOINING, NodeState.REMOVED)
    holders = [node.id for node in topology.nodes.values() if node.state not in without]
    seen = [sights[node] for node in holders if node in sights and sights[node].epoch >= topology.epoch]
    if len(seen) < len(holders):
        return ()
    return tuple(retired for retired in topology.retired() if all(_gone(retired, sight) for sight in seen))


def topics_to_delete(topology: Topology) -> tuple[RetiredRecord, ...]:
    """Return the deleted indexes whose topic is ours and no present index's."""
    used = {index.topic for index in topology.indexes.values()}
    return tuple(retired for retired in topology.retired() if retired.topic_owned and retired.topic not in used)


def _fault(node: NodeRecord, sight: NodeSight, cluster: str) -> str:
    if fault := version_fault(sight.version):
        return fault
    ours = any(key.uid == node.worker_key for key in sight.keys)
    return "" if ours else foreign_fault(sight.keys, cluster)


def _adopt_reason(node: NodeRecord, sight: NodeSight) -> AdoptReason | None:
    if node.state is NodeState.JOINING:
        return AdoptReason.JOINING
    if all(key.uid != node.worker_key for key in sight.keys):
        # The worker key is made once a life of the disk, and nobody but us deletes it.
        return AdoptReason.LOST_DISK
    return None


def _plan_keys(node: NodeRecord, sight: NodeSight, cluster: str) -> Iterator[Step]:
    named = {node.worker_key, node.search_key, node.fence_key}
    for key in sight.keys:
        if key.cluster == cluster and key.uid not in named:
            yield DeleteKey(key.uid)
    there = {key.uid for key in sight.keys}
    for uid in (node.search_key, node.fence_key):
        if uid and uid not in there:
            yield CreateKey(uid, KeyRole.SEARCH)


def _plan_indexes(topology: Topology, node: NodeRecord, sight: NodeSight) -> Iterator[Step]:
    for uid, index in indexes_on(topology, node.id).items():
        settings = topology.settings(index.uid)
        if settings is None or sight.waiting.get(uid) == settings.version:
            continue
        if uid not in sight.indexes:
            yield CreateNodeIndex(uid, index.primary_key)
        elif index.primary_key is not None and sight.indexes[uid] != index.primary_key:
            # The version lets documents in: not before the key is there.
            yield SetNodePrimaryKey(uid, index.primary_key, settings.version)
            continue
        elif sight.versions.get(uid) == settings.version:
            continue
        yield ApplySettings(uid, index.uid, settings.version)


def _plan_retired(topology: Topology, sight: NodeSight) -> Iterator[Step]:
    for retired in topology.retired():
        uid = node_index_uid(retired.uid, retired.incarnation)
        if uid in sight.indexes and uid not in sight.deleting:
            yield DeleteNodeIndex(uid)


def _gone(retired: RetiredRecord, sight: NodeSight) -> bool:
    """Tell whether nothing of it is on the node or on its way there: its settings were sent after its creation."""
    uid = node_index_uid(retired.uid, retired.incarnation)
    return uid not in sight.indexes and uid not in sight.waiting
