"""The cluster as searches see it: an index that got another log is answered by its former copies for a while.

What always holds: only indexes differ that have such former copies, and only by which copies those are. Who calls it:
the query service. It must not know: when copies are whole.
"""

from dataclasses import replace

from schemas.events import FormerRecord, ReplicaRecord, ReplicaState
from schemas.ids import IndexUid, ShardId
from streams.topology import Topology


def searched_topology(topology: Topology) -> Topology:
    """Return the topology whose indexes searches are answered by; the same one where no index has former copies."""
    formers = {
        value.index.uid: value.index
        for value in topology.entities.values()
        if isinstance(value, FormerRecord) and value.answers and value.index.uid in topology.indexes
    }
    if not formers:
        return topology
    replicas: dict[IndexUid, dict[ShardId, tuple[ReplicaRecord, ...]]] = {uid: {} for uid in formers}
    for value in topology.entities.values():
        if not isinstance(value, ReplicaRecord) or value.state is not ReplicaState.PLACED:
            continue
        former = formers.get(value.uid)
        if former is not None and former.incarnation == value.incarnation:
            shards = replicas[value.uid]
            others = (*shards.get(value.shard, ()), value)
            shards[value.shard] = tuple(sorted(others, key=lambda replica: replica.node))
    return replace(topology, indexes={**topology.indexes, **formers}, replicas={**topology.replicas, **replicas})
