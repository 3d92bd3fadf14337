"""When documents have become visible, and how far a node is: read from the progress topic.

What always holds: a placement's earlier attempts count for nothing. Who calls it: ``produce --wait``, ``node rebuild``,
the demonstration. It must not know: who publishes progress.
"""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from miroir.cluster_view import ClusterView
from schemas.errors import MiroirError
from schemas.events import IndexState
from schemas.ids import IndexUid, NodeId, Partition, Position, ShardId
from streams.readable import ProgressView
from streams.topology import Topology


class Standing(NamedTuple):
    """How far replicas are, in positions: ``reached`` of ``wanted``; ``replicas`` of them have yet to be seen."""

    reached: int
    wanted: int
    unseen: int

    @property
    def complete(self) -> bool:
        """Whether every replica was seen at its end."""
        return self.unseen == 0 and self.reached >= self.wanted


Report = Callable[[Standing], None]


def index_standing(
    topology: Topology, progress: ProgressView, uid: IndexUid, ends: Mapping[Partition, Position]
) -> Standing:
    """Return how far all replicas of the index are towards these ends of its partitions."""
    reached = wanted = unseen = 0
    for partition, end in ends.items():
        replicas = topology.replicas_of(uid, ShardId(partition))
        unseen += not replicas
        for replica in replicas:
            seen = progress.of(replica)
            unseen += seen is None
            reached += min(end, seen.cursor) if seen is not None else 0
            wanted += end
    return Standing(reached, wanted, unseen)


def node_standing(topology: Topology, progress: ProgressView, node: NodeId) -> Standing:
    """Return how far the node's replicas are towards the ends of their logs, as progress last told them.

    The end of a replica that was not seen yet is taken from the other copies of its shard. Nothing is applied to an
    index before its primary key is known, and none of its replicas is waited for.
    """
    reached = wanted = unseen = 0
    for replica in topology.replicas_on(node):
        if topology.index(replica.uid).primary_key is None:
            continue
        seen = progress.of(replica)
        others = [progress.of(each) for each in topology.replicas_of(replica.uid, replica.shard)]
        end = max((other.end for other in others if other is not None), default=Position(0))
        unseen += seen is None
        reached += min(end, seen.cursor) if seen is not None else 0
        wanted += end
    return Standing(reached, wanted, unseen)


def require_applied(uid: IndexUid, state: str, reason: str) -> None:
    """Raise where nothing of the index becomes visible until somebody resumes it.

    Raises:
        MiroirError: it is paused; says why, and how that ends.
    """
    if state == IndexState.PAUSED:
        kept = "what its log holds is kept, and applied after"
        raise MiroirError(f"index {uid!r} is paused: {reason}; {kept} `miroir index resume {uid}`")


async def until_visible(
    view: ClusterView,
    uid: IndexUid,
    ends: Mapping[Partition, Position],
    *,
    timeout_s: float,
    report: Report = lambda _: None,
) -> None:
    """Return once every replica of the index has reached these ends.

    Raises:
        MiroirError: not in time, or the index is paused.
        NotFoundError: it is not there, or any more.
    """
    deadline_s = time.monotonic() + timeout_s
    await view.refresh()
    while True:
        index = view.topology.index(uid)
        standing = index_standing(view.topology, view.progress, uid, ends)
        report(standing)
        if standing.complete:
            return
        require_applied(uid, index.state, index.reason)
        if time.monotonic() > deadline_s:
            text = f"{standing.reached} of {standing.wanted} positions are visible after {timeout_s:.0f} s"
            raise MiroirError(f"index {uid!r}: {text}; `miroir status` shows why")
        await view.follow()


async def until_rebuilt(
    view: ClusterView,
    node: NodeId,
    attempts: Mapping[tuple[IndexUid, ShardId], int],
    *,
    timeout_s: float,
    report: Report = lambda _: None,
) -> None:
    """Return once every replica that was on the node has been placed anew and stands at the end of its log.

    Args:
        view: brought up to date here.
        node: the node.
        attempts: of its replicas before the rebuild: only larger ones count.
        timeout_s: how long that may take.
        report: told how far it is.

    Raises:
        MiroirError: not in time.
    """
    deadline_s = time.monotonic() + timeout_s
    await view.refresh()
    while True:
        now = {(each.uid, each.shard): each.attempt for each in view.topology.replicas_on(node)}
        old = sum(now.get(key, attempt + 1) <= attempt for key, attempt in attempts.items())
        standing = node_standing(view.topology, view.progress, node)
        if not old:
            report(standing)
            if standing.complete:
                return
        if time.monotonic() > deadline_s:
            text = f"{old} replicas are not begun, {standing.reached} of {standing.wanted} positions are visible"
            raise MiroirError(f"{node}: {text} after {timeout_s:.0f} s; `miroir status` shows why")
        await view.follow()


def attempts_on(view: ClusterView, node: NodeId) -> dict[tuple[IndexUid, ShardId], int]:
    """Return the attempt of every replica placed on the node."""
    return {(each.uid, each.shard): int(each.attempt) for each in view.topology.replicas_on(node)}
