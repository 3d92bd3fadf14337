"""What must hold at last, once nothing goes wrong: every copy equals the log, and every request is answered."""

from collections import Counter

from schemas.dead_letters import parse_dead_letter
from schemas.events import IndexRecord, IndexState, NodeState
from schemas.ids import Partition, ShardId, node_index_uid
from streams.log import TopicPartition
from streams.readable import LAG_RECORDS_MAX, readable_replicas
from streams.topics import DEAD, REQUESTS
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.truth import BrokenInvariantError, Truth


def find_unsettled(cluster: SimulatedCluster, truth: Truth) -> str | None:
    """Return what is not as it should be at last; None where all is."""
    topology = cluster.view().topology
    asked = cluster.log.partition(TopicPartition(REQUESTS, Partition(0))).end
    if topology.requests_cursor < asked:
        return f"requests are answered up to {topology.requests_cursor} of {asked}"
    for record in topology.nodes.values():
        if record.state in (NodeState.JOINING, NodeState.FAILED):
            return f"{record.id} is {record.state}"
        if record.state is not NodeState.REMOVED and not cluster.nodes[record.id].knows(record.search_key):
            return f"{record.id} does not know its search key"
    for index in topology.indexes.values():
        if index.state is IndexState.PAUSED and index.incarnation in truth.trimmed and "trimmed" in index.reason:
            # The loud stop, and what it is for: nothing is skipped in silence.
            continue
        if index.state is not IndexState.ACTIVE:
            return f"{index.uid} is {index.state}: {index.reason}"
        for number in range(index.shards):
            if (found := _unsettled_shard(cluster, truth, index, ShardId(number))) is not None:
                return found
    return None


def _unsettled_shard(cluster: SimulatedCluster, truth: Truth, index: IndexRecord, shard: ShardId) -> str | None:
    view = cluster.view()
    replicas = view.topology.replicas_of(index.uid, shard)
    where = TopicPartition(index.topic, Partition(shard))
    wanted = truth.at(index.incarnation, shard, cluster.log.partition(where).end)
    readable = readable_replicas(view.topology, view.progress, index, shard, lag_records_max=LAG_RECORDS_MAX)
    for replica in replicas:
        node = cluster.nodes[replica.node]
        uid = node_index_uid(index.uid, index.incarnation)
        if (node.held(uid, shard) if node.has_index(uid) else None) != wanted:
            progress = view.progress.of(replica)
            return f"{index.uid} shard {shard} on {replica.node} differs from the log: {progress} {replica}"
        seen = view.progress.of(replica)
        if seen is None or seen.cursor < cluster.log.partition(where).end:
            return f"{index.uid} shard {shard} on {replica.node} is not at the end: {seen}"
        if replica.node not in readable:
            return f"{index.uid} shard {shard} on {replica.node} is not readable"
    nodes = view.topology.nodes.values()
    active = Counter(node.group for node in nodes if node.state is NodeState.ACTIVE)
    # It keeps its share, and what is new of it waits for its end.
    resting = Counter(node.group for node in nodes if node.state is NodeState.MAINTENANCE)
    there = Counter(view.topology.nodes[replica.node].group for replica in replicas)
    for group in index.groups:
        if there[group] < min(index.replication, active[group]) - resting[group]:
            return f"{index.uid} shard {shard} has {there[group]} copies in group {group}, of {index.replication}"
    return None if replicas else f"{index.uid} shard {shard} has no replica"


def count_settled(cluster: SimulatedCluster, truth: Truth) -> int:
    """Return how many documents of the log stand, each once a copy, in copies that were held against it."""
    topology = cluster.view().topology
    count = 0
    for index in topology.indexes.values():
        if index.state is not IndexState.ACTIVE:
            continue
        for shard in map(ShardId, range(index.shards)):
            end = cluster.log.partition(TopicPartition(index.topic, Partition(shard))).end
            count += len(truth.at(index.incarnation, shard, end)) * len(topology.replicas_of(index.uid, shard))
    return count


def require_dead_letters(cluster: SimulatedCluster, truth: Truth) -> int:
    """Raise where a record was set aside that is good, or one was not that no node can hold; return how many were."""
    letters = [parse_dead_letter(record.value) for record in cluster.log.records(DEAD) if record.value is not None]
    found = {(letter.incarnation, ShardId(letter.partition), int(letter.offset)) for letter in letters}
    if innocent := sorted(found - truth.refused.keys()):
        raise BrokenInvariantError("dead letters", f"good records were set aside: {innocent}")
    for index in cluster.view().topology.indexes.values():
        if index.state is not IndexState.ACTIVE or index.incarnation in truth.trimmed:
            continue
        for number in range(index.shards):
            for offset in sorted(truth.last_refused(index.incarnation, ShardId(number))):
                if (index.incarnation, ShardId(number), offset) not in found:
                    raise BrokenInvariantError("dead letters", f"{index.uid} shard {number}: none of {offset}")
    return len(found)
