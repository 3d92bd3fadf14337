"""Holds what a copy shows against the position that was published of it, and counts how often that was excused.

What always holds: an excuse is counted. Who calls it: the searcher, of what it is answered, and the audit, of what lies
on the nodes. It must not know: why a copy is looked at.
"""

from collections.abc import Mapping

from schemas.events import ReplicaRecord
from schemas.posts import Drop, parse_metadata
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.truth import BrokenInvariantError, Truth, Value


class Judge:
    """The judge of a run.

    Args:
        cluster: knows where a post may have come late.
        truth: what copies must hold.

    Attributes:
        judged: how many copies were looked at.
        stale: how many of them showed older documents while a late post may just have come.
    """

    def __init__(self, cluster: SimulatedCluster, truth: Truth) -> None:
        self.judged = 0
        self.stale = 0
        self._cluster = cluster
        self._truth = truth

    def judge(
        self, held: Mapping[str, Value], replica: ReplicaRecord, *, cursor: int, what: str, checker: str = "copies"
    ) -> None:
        """Raise where a copy does not hold what its cursor claims, and nothing excuses it; see ``Truth``.

        A post that came late excuses older documents; nothing excuses that a copy is read which was dropped.
        """
        self.judged += 1
        try:
            self._truth.require_as_new(
                held, replica.incarnation, replica.shard, cursor=cursor, what=what, checker=checker
            )
        except BrokenInvariantError:
            if self._is_dropped(replica) or not self._cluster.may_be_late(replica.node):
                raise
            self.stale += 1

    def _is_dropped(self, replica: ReplicaRecord) -> bool:
        """Return whether its node has dropped it for a later attempt."""
        done = (task for task in self._cluster.nodes[replica.node].disk.tasks if task.status == "succeeded")
        drops = (told for task in done if isinstance(told := parse_metadata(task.metadata), Drop))
        return any(
            drop.incarnation == replica.incarnation and drop.attempts.get(replica.shard, 0) > replica.attempt
            for drop in drops
        )
