"""What is readable: it follows from published progress, not from a claim.

A replica is readable when the attempt in its progress is the attempt of its placement, it has caught up with the log
since that attempt began, its node answers its owner, and its visible cursor is within a bound of the best such replica.
The bound is relative, so that a stopped owner or an absent Kafka takes nothing away; where no replica is as good, the
best that there is will do. What always holds: of replicas with the right attempt one is readable. Who calls it: the
query service's routing, task status, and ``status``. It must not know: whether a node answers searches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Epoch, NodeId, ShardId
from schemas.progress import Progress, parse_progress
from streams.cursor import NO_ATTEMPT
from streams.log import LogBatch
from streams.topology import Topology

LAG_RECORDS_MAX = 10_000
"""How far behind the best copy a readable one may be: about one post of a bulk load; a rebuild begins far beyond."""


@dataclass(frozen=True, slots=True)
class ProgressView:
    """The progress topic, folded: the last record of each replica, under its key."""

    position: Epoch = Epoch(0)
    replicas: Mapping[str, Progress] = field(default_factory=dict)

    def of(self, replica: ReplicaRecord) -> Progress | None:
        """Return the progress of this very placement; None where an earlier one, or none, was seen."""
        found = self.replicas.get(f"{replica.uid}/{replica.incarnation}/{replica.shard}/{replica.node}")
        return found if found is not None and found.attempt == replica.attempt else None

    def unbegun(self, replica: ReplicaRecord) -> Progress | None:
        """Return what says that the node has not begun the placement, and by how much it lags; None where nothing does.

        Nobody reads such a replica; a node that has not answered since it was given the shard is one.
        """
        found = self.replicas.get(f"{replica.uid}/{replica.incarnation}/{replica.shard}/{replica.node}")
        return found if found is not None and found.attempt == NO_ATTEMPT else None


def fold_progress(view: ProgressView, batches: Iterable[LogBatch]) -> ProgressView:
    """Return the view after these batches of the progress topic.

    Raises:
        InvalidInputError: a value is not of its form.
    """
    replicas = dict(view.replicas)
    position = view.position
    for batch in batches:
        for record in batch.records:
            key = (record.key or b"").decode(errors="replace")
            if record.value is None:
                replicas.pop(key, None)
            else:
                replicas[key] = parse_progress(record.value)
        position = Epoch(batch.end)
    return ProgressView(position, replicas)


def readable_replicas(
    topology: Topology, progress: ProgressView, index: IndexRecord, shard: ShardId, *, lag_records_max: int
) -> tuple[NodeId, ...]:
    """Return the nodes whose copy of the shard may be read, by node id; empty where none may."""
    seen = [(r.node, p) for r in topology.replicas_of(index.uid, shard) if (p := progress.of(r)) is not None]
    caught_up = [(node, p) for node, p in seen if p.at_end_ms > 0]
    present = [(node, p) for node, p in caught_up if not p.away]
    for pool, bound in ((present, lag_records_max), (caught_up, lag_records_max), (seen, 0)):
        if pool:
            best = max(p.cursor for _, p in pool)
            return tuple(node for node, p in pool if p.cursor >= best - bound)
    return ()


def read_beyond_bound(
    topology: Topology, progress: ProgressView, index: IndexRecord, shard: ShardId, *, lag_records_max: int
) -> tuple[NodeId, ...]:
    """Return the nodes whose copy of the shard is read although it lacks what another has, or never had all.

    There is no better one then: the others are away, or are being made. Searches may lack documents.
    """
    nodes = readable_replicas(topology, progress, index, shard, lag_records_max=lag_records_max)
    seen = {r.node: p for r in topology.replicas_of(index.uid, shard) if (p := progress.of(r)) is not None}
    best = max((found.cursor for found in seen.values()), default=0)
    # A copy of an empty shard lacks nothing, also before anybody has seen it at the end.
    return tuple(
        node
        for node in nodes
        if (seen[node].at_end_ms == 0 and seen[node].end > 0) or seen[node].cursor < best - lag_records_max
    )


def readable_shards(
    topology: Topology, progress: ProgressView, index: IndexRecord, *, lag_records_max: int = LAG_RECORDS_MAX
) -> Sequence[tuple[NodeId, ...]]:
    """Return, for every shard of the index in order, the nodes whose copy may be read."""
    return [
        readable_replicas(topology, progress, index, ShardId(shard), lag_records_max=lag_records_max)
        for shard in range(index.shards)
    ]
