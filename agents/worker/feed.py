"""The partitions this worker owns, and the window on each from which replicas are fed.

What always holds: a feed belongs to one incarnation of an index; its window begins where the live stream began. Who
calls it: the shells of the worker. It must not know: Faust, nodes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agents.tombstones import EndMarks
from agents.window import Window
from schemas.events import IndexRecord, IndexState, ReplicaRecord, ReplicaState
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, ShardId
from schemas.keys import derive_key
from streams.log import TopicPartition
from streams.topology import Topology


class LiveStream(Protocol):
    """What the applier asks of Faust."""

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver no more of these."""

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on with these, where they stood."""

    async def seek(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read on from there, and resume."""


@dataclass(slots=True)
class Feed:
    """One owned partition.

    Attributes:
        window: the last batches of the live stream.
        is_paused: whether the live stream was told to pause.
        must_seek: whether batches were dropped and the stream must come back to the window's end.
        ends: where its log was seen to end.
    """

    partition: TopicPartition
    uid: IndexUid
    incarnation: Incarnation
    shard: ShardId
    window: Window
    is_paused: bool = False
    must_seek: bool = False
    ends: EndMarks = field(default_factory=EndMarks)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One replica that this worker feeds, or drops because it leaves its node."""

    feed: Feed
    index: IndexRecord
    replica: ReplicaRecord

    @property
    def is_applied(self) -> bool:
        """Whether the index's log is applied now."""
        return self.index.state is IndexState.ACTIVE and self.index.primary_key is not None

    @property
    def is_fed(self) -> bool:
        """Whether it is given documents once it has begun anew."""
        return self.replica.state is ReplicaState.PLACED


def assignments_on(topology: Topology, node: NodeId, feeds: Iterable[Feed]) -> Sequence[Assignment]:
    """Return the replicas of these partitions that the node is fed, or drops because they leave it."""
    leaving = {(replica.uid, replica.shard): replica for replica in topology.leaving_on(node)}
    found = []
    for feed in feeds:
        index = topology.indexes.get(feed.uid)
        if index is None or index.incarnation != feed.incarnation:
            continue
        found += [
            Assignment(feed, index, replica)
            for replica in topology.replicas_of(feed.uid, feed.shard)
            if replica.node == node
        ]
        if (gone := leaving.get((feed.uid, feed.shard))) is not None:
            found.append(Assignment(feed, index, gone))
    return found


def attempts_on(topology: Topology, node: NodeId, incarnation: Incarnation) -> Mapping[ShardId, Attempt]:
    """Return the attempt of every shard of the index that has a placement on the node, whatever its state."""
    return {
        record.shard: record.attempt
        for record in topology.entities.values()
        if isinstance(record, ReplicaRecord) and (record.node, record.incarnation) == (node, incarnation)
    }


def fence_key(topology: Topology, node: NodeId, master_key: str) -> str:
    """Return the key that works on the node once every former search key is dead; of a node that is gone, none."""
    known = topology.nodes.get(node)
    return "" if known is None else derive_key(master_key, known.fence_key or known.search_key)
