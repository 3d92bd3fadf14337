"""Why a copy is not read, in words for people.

What always holds: of every placed copy either ``streams/readable.py`` says that it is read, or this says why not. Who
calls it: ``explain``. It must not know: whether a node answers searches.
"""

from collections.abc import Mapping

from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import NodeId, ShardId
from schemas.progress import Progress
from streams.readable import ProgressView, readable_replicas
from streams.topology import Topology


def unread_copies(
    topology: Topology, progress: ProgressView, index: IndexRecord, shard: ShardId, *, lag_records_max: int
) -> Mapping[NodeId, str]:
    """Return the nodes whose placed copy of the shard is not read, with the reason."""
    read = readable_replicas(topology, progress, index, shard, lag_records_max=lag_records_max)
    placed = {replica.node: replica for replica in topology.replicas_of(index.uid, shard)}
    best = max((seen.cursor for node in read if (seen := progress.of(placed[node])) is not None), default=0)
    return {
        node: _reason(progress, replica, progress.of(replica), best)
        for node, replica in placed.items()
        if node not in read
    }


def _reason(progress: ProgressView, replica: ReplicaRecord, seen: Progress | None, best: int) -> str:
    if seen is None:
        unbegun = progress.unbegun(replica)
        return "no worker has told of it yet" if unbegun is None else "its node has not begun it yet"
    at = f"it stands at {seen.cursor} of {seen.end}"
    if not seen.at_end_ms:
        return f"it has not caught up yet: {at}"
    if seen.away:
        return f"its worker does not reach the node: {at}"
    return f"it is {best - seen.cursor} records behind the best copy: {at}"
