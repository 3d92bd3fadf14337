"""The cluster as a fold of its topic: the last write of a key wins, nothing is ever refused.

A fold that ignores records ("illegal transition", "old term") gives two truths once compaction has run; legality is
decided before producing, by the only writer. What always holds: every process that has read to the same position has an
equal topology, and a fresh fold of the compacted topic equals an old process's state. Who calls it: everybody. It must
not know: which change is legal, or how a record is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from schemas.errors import InvalidInputError, NotFoundError
from schemas.events import (
    AnswerRecord,
    ClusterValue,
    ControllerRecord,
    FormerRecord,
    IndexRecord,
    NodeRecord,
    NodeState,
    ReplicaRecord,
    ReplicaState,
    RetiredRecord,
    SettingsRecord,
    parse_value,
)
from schemas.ids import Epoch, IndexUid, NodeId, Offset, Position, ShardId
from streams.log import LogBatch


@dataclass(frozen=True, slots=True)
class Topology:
    """The cluster at an epoch.

    Attributes:
        epoch: every record of the cluster topic before this position is folded in.
        entities: what stands under each key.
    """

    epoch: Epoch = Epoch(0)
    entities: Mapping[str, ClusterValue] = field(default_factory=dict)
    nodes: Mapping[NodeId, NodeRecord] = field(default_factory=dict)
    indexes: Mapping[IndexUid, IndexRecord] = field(default_factory=dict)
    replicas: Mapping[IndexUid, Mapping[ShardId, tuple[ReplicaRecord, ...]]] = field(default_factory=dict)
    """Of each index's present incarnation: the replicas of every shard that has one, by node id."""
    leaving: tuple[ReplicaRecord, ...] = ()
    """Of every index's present incarnation: copies that nobody may read any more, by index, shard and node."""

    def index(self, uid: IndexUid) -> IndexRecord:
        """Return the index.

        Raises:
            NotFoundError: there is none of this name.
        """
        try:
            return self.indexes[uid]
        except KeyError:
            raise NotFoundError("index", uid) from None

    def node(self, node: NodeId) -> NodeRecord:
        """Return the node.

        Raises:
            NotFoundError: there is none of this name.
        """
        try:
            return self.nodes[node]
        except KeyError:
            raise NotFoundError("node", node) from None

    def settings(self, uid: IndexUid) -> SettingsRecord | None:
        """Return the index's settings; None only before its first settings record is folded."""
        found = self.entities.get(f"settings/{uid}")
        return found if isinstance(found, SettingsRecord) else None

    def former(self, uid: IndexUid) -> FormerRecord | None:
        """Return what the index was before it got another log; None where that has gone."""
        found = self.entities.get(f"former/{uid}")
        return found if isinstance(found, FormerRecord) else None

    def answer(self, request: Offset) -> AnswerRecord | None:
        """Return what became of a request; None while it waits, or long after it was answered."""
        found = self.entities.get(f"answer/{request}")
        return found if isinstance(found, AnswerRecord) else None

    def answers(self) -> Iterator[AnswerRecord]:
        """Yield the answers that are still kept."""
        return (value for value in self.entities.values() if isinstance(value, AnswerRecord))

    def retired(self) -> Iterator[RetiredRecord]:
        """Yield the deleted indexes whose remains are still to be removed."""
        return (value for value in self.entities.values() if isinstance(value, RetiredRecord))

    @property
    def requests_cursor(self) -> Position:
        """Every request before this position has been answered."""
        found = self.entities.get("controller")
        return found.requests_cursor if isinstance(found, ControllerRecord) else Position(0)

    def replicas_of(self, uid: IndexUid, shard: ShardId) -> tuple[ReplicaRecord, ...]:
        """Return the placements of a shard, by node id; empty where it has none."""
        return self.replicas.get(uid, {}).get(shard, ())

    def present(self, node: NodeId) -> NodeRecord | None:
        """Return the node; None where there is none of this name, or it is being removed: the name may be taken."""
        found = self.nodes.get(node)
        return None if found is None or found.state is NodeState.REMOVED else found

    def replicas_on(self, node: NodeId) -> tuple[ReplicaRecord, ...]:
        """Return every placement on a node, by index and shard."""
        return tuple(
            replica
            for _, shards in sorted(self.replicas.items())
            for _, replicas in sorted(shards.items())
            for replica in replicas
            if replica.node == node
        )

    def leaving_on(self, node: NodeId) -> tuple[ReplicaRecord, ...]:
        """Return every copy that is about to be dropped from a node, by index and shard."""
        return tuple(replica for replica in self.leaving if replica.node == node)


def fold_cluster(topology: Topology, batches: Iterable[LogBatch]) -> Topology:
    """Return the topology after these batches of the cluster topic, in their order.

    Raises:
        InvalidInputError: a value is not of its kind's form: stop, a newer writer or a foreign one was here.
    """
    entities = dict(topology.entities)
    epoch = topology.epoch
    for batch in batches:
        for record in batch.records:
            # A key that is no text is of a kind that nobody knows.
            key = (record.key or b"").decode(errors="replace")
            # Taken out first: entities stand in the order of their last records, as they do after compaction.
            entities.pop(key, None)
            try:
                value = None if record.value is None else parse_value(key, record.value)
            except InvalidInputError as error:
                place = f"{batch.topic}/{batch.partition}/{record.offset}"
                raise InvalidInputError(f"record {place}: {error}") from error
            if value is not None:
                entities[key] = value
        epoch = Epoch(batch.end)
    return replace(build_topology(entities), epoch=epoch)


def build_topology(entities: Mapping[str, ClusterValue]) -> Topology:
    """Return the topology, at epoch 0, in which these entities stand under these keys."""
    nodes = {value.id: value for value in entities.values() if isinstance(value, NodeRecord)}
    indexes = {value.uid: value for value in entities.values() if isinstance(value, IndexRecord)}
    replicas: dict[IndexUid, dict[ShardId, tuple[ReplicaRecord, ...]]] = {uid: {} for uid in indexes}
    leaving = []
    for value in entities.values():
        if not isinstance(value, ReplicaRecord):
            continue
        index = indexes.get(value.uid)
        if index is None or index.incarnation != value.incarnation:
            continue
        if value.state is ReplicaState.LEAVING:
            leaving.append(value)
            continue
        shards = replicas[value.uid]
        others = shards.get(value.shard, ())
        shards[value.shard] = tuple(sorted((*others, value), key=lambda replica: replica.node))
    by_place = sorted(leaving, key=lambda replica: (replica.uid, replica.shard, replica.node))
    return Topology(Epoch(0), entities, nodes, indexes, replicas, tuple(by_place))
