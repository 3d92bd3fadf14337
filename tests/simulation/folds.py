"""The fold of the cluster topic: a fresh one, an old process's and every worker's are to see the same cluster.

What always holds: a look leaves the log as it is.
"""

from schemas.ids import Partition, Position
from streams.log import LogBatch, LogRecord, TopicPartition
from streams.topics import CLUSTER
from streams.topology import Topology, fold_cluster
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.truth import BrokenInvariantError

PARTITION = Partition(0)


class Folds:
    """The folds of a run.

    Args:
        cluster: whose.

    Attributes:
        compared: how many folds were held against a fresh one.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.compared = 0
        self._cluster = cluster
        self._seen: object = None

    def look(self) -> None:
        """Look again if anybody has folded more since the last look; see ``require_equal``."""
        workers = sorted(self._cluster.workers.items())
        seen = self._end, [(name, worker.worker.applier.topology.epoch) for name, worker in workers]
        if seen != self._seen:
            self._seen = seen
            self.require_equal()

    @property
    def _end(self) -> int:
        return self._cluster.log.partition(TopicPartition(CLUSTER, PARTITION)).end

    def require_equal(self) -> None:
        """Hold every fold that has come as far as the log against a fresh one of the compacted topic.

        Raises:
            BrokenInvariantError: one of them sees another cluster.
        """
        old = self._cluster.view().topology
        partition = self._cluster.log.partition(TopicPartition(CLUSTER, PARTITION))
        fresh = _fold(_compacted(partition.records), Position(partition.end))
        workers = [worker.worker.applier.topology for _, worker in sorted(self._cluster.workers.items())]
        for other in (old, *(each for each in workers if each.epoch == old.epoch)):
            self.compared += 1
            if dict(fresh.entities) != dict(other.entities):
                raise BrokenInvariantError(
                    "fold", "a fresh fold of the compacted cluster topic differs from an old one"
                )


def _compacted(records: list[LogRecord]) -> tuple[LogRecord, ...]:
    """Return the records that compaction leaves at the least: the last of each key, and no tombstone."""
    last = {record.key: record for record in records}
    return tuple(record for record in records if last[record.key] is record and record.value is not None)


def _fold(records: tuple[LogRecord, ...], end: Position) -> Topology:
    return fold_cluster(Topology(), [LogBatch(CLUSTER, PARTITION, Position(0), end, records)])
