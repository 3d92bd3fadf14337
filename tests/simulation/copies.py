"""What is known of every copy from outside: since when it is whole, what it must show, and that the last one stays.

Progress is only believed where it lowers what is asked of a copy; what a copy must show follows from the log.
"""

import asyncio

from schemas.events import ReplicaRecord, build_key
from schemas.ids import Attempt, Incarnation, NodeId, Partition, ShardId, node_index_uid
from schemas.progress import parse_progress
from streams.log import TopicPartition
from streams.topics import CLUSTER, PROGRESS
from streams.topology import Topology
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.truth import BrokenInvariantError

LATE_S = 1.0
"""A copy that is made while another is whole need not be read; whoever reads it has seen that the other was gone."""


class Copies:
    """The copies of a run.

    Args:
        cluster: where they are.

    Attributes:
        whole_since_s: since when each copy is known to be whole, on a node that is well.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.whole_since_s: dict[ReplicaRecord, float] = {}
        self._cluster = cluster
        self._ends: dict[tuple[Incarnation, ShardId], int] = {}
        self._placed: dict[ReplicaRecord, int] = {}
        self._first_whole_ms: dict[tuple[bytes, Attempt], int] = {}
        self._progress_read = 0
        self._left: set[str] = set()
        self._keys: dict[NodeId, str] = {}

    def look(self) -> None:
        """Take in how things stand.

        Raises:
            BrokenInvariantError: the last whole copy of a shard is being given up.
        """
        now_s, topology = asyncio.get_running_loop().time(), self._cluster.view().topology
        replicas = [
            replica
            for index in topology.indexes.values()
            for shard in range(index.shards)
            for replica in topology.replicas_of(index.uid, ShardId(shard))
        ]
        whole = [replica for replica in replicas if self._is_whole(replica)]
        self._forget_rekeyed()
        self.whole_since_s = {
            # A node may have been away and come back between two looks.
            replica: max(self.whole_since_s.get(replica, now_s), self._cluster.nodes[replica.node].there_since_s)
            for replica in whole
        }
        # As it was at the look before: the owner may have seen the placement a moment before us.
        self._placed = {r: self._placed.get(r, self._ends.get((r.incarnation, r.shard), 0)) for r in replicas}
        self._note_ends()
        self._note_published()
        self._require_kept()

    def must_show(self, replica: ReplicaRecord, topology: Topology) -> int:
        """Return the position before which a copy must have everything to be read; 0 where it is the best there is.

        That is what the log held when it was begun, as long as another copy has it.

        Args:
            replica: the copy.
            topology: what whoever reads it knows of the others: one may have been begun anew since the last look.
        """
        now_s = asyncio.get_running_loop().time()
        others = [
            self.whole_since_s[other]
            for other in topology.replicas_of(replica.uid, replica.shard)
            if other in self.whole_since_s and other.node != replica.node
        ]
        is_best = not others or min(others) > now_s - LATE_S
        return 0 if is_best else self._placed.get(replica, 0)

    def _forget_rekeyed(self) -> None:
        """Begin anew with the copies of nodes whose search key was replaced: an old view may cost a search its time."""
        nodes = self._cluster.view().topology.nodes
        keys = {node.id: node.search_key for node in nodes.values()}
        for replica in [each for each in self.whole_since_s if keys.get(each.node) != self._keys.get(each.node)]:
            del self.whole_since_s[replica]
        self._keys = keys

    def _note_ends(self) -> None:
        for index in self._cluster.view().topology.indexes.values():
            if index.topic not in self._cluster.log.topics():
                continue
            for number in range(index.shards):
                end = self._cluster.log.partition(TopicPartition(index.topic, Partition(number))).end
                self._ends[index.incarnation, ShardId(number)] = end

    def _is_whole(self, replica: ReplicaRecord) -> bool:
        view = self._cluster.view()
        node, progress = self._cluster.nodes[replica.node], view.progress.of(replica)
        record = view.topology.nodes.get(replica.node)
        is_well = not node.is_down and not node.is_frozen and record is not None and node.knows(record.search_key)
        # A disk from before the index may have come back while no worker lives who would publish so.
        has_index = node.has_index(node_index_uid(replica.uid, replica.incarnation))
        return is_well and has_index and progress is not None and progress.at_end_ms > 0 and not progress.away

    def _note_published(self) -> None:
        """Take in every progress since the last look, also what was overwritten since, or is of a node now away."""
        published = self._cluster.log.partition(TopicPartition(PROGRESS, Partition(0)))
        for record in published.records_from(self._progress_read):
            if record.value is not None and (seen := parse_progress(record.value)).at_end_ms > 0 and not seen.away:
                self._first_whole_ms.setdefault((record.key or b"", seen.attempt), record.timestamp_ms)
        self._progress_read = published.end

    def _require_kept(self) -> None:
        """Raise where a copy leaves and none of those that stay had been published to be whole by then."""
        topology = self._cluster.view().topology
        # One that is to be dropped anew, on a disk that has changed, has left before.
        left, self._left = self._left, {build_key(leaving) for leaving in topology.leaving}
        for leaving in topology.leaving:
            if build_key(leaving) in left:
                continue
            index = topology.indexes[leaving.uid]
            # One that has left since then, before anybody looked, was there when this one left.
            place = (leaving.incarnation, leaving.shard)
            since = [
                replica
                for replica in topology.leaving
                if (replica.incarnation, replica.shard) == place and replica.attempt > leaving.attempt
            ]
            others = (*topology.replicas_of(leaving.uid, leaving.shard), *since)
            was_whole = any(self._was_whole(other, leaving) for other in others)
            if self._ends.get((index.incarnation, leaving.shard), 0) and not was_whole:
                raise BrokenInvariantError("kept", f"{leaving} leaves, and none of {others} was ever whole")

    def _was_whole(self, other: ReplicaRecord, leaving: ReplicaRecord) -> bool:
        """Return whether a copy had been published to be whole when the other one left.

        One that was begun anew since then was placed before with an earlier attempt.
        """
        left_key = build_key(leaving).encode()
        left_ms = next(r.timestamp_ms for r in reversed(self._cluster.log.records(CLUSTER)) if r.key == left_key)
        key = f"{other.uid}/{other.incarnation}/{other.shard}/{other.node}".encode()
        return any(
            found == key and first_ms <= left_ms and (attempt == other.attempt or other.attempt > leaving.attempt)
            for (found, attempt), first_ms in self._first_whole_ms.items()
        )
