"""When a node counts as failed, and when it is taken back.

A node is seen if the controller's keeper reaches it, or any worker does: each worker reads the task list of every node
that it feeds, twice a second, and publishes whether it answers. One observer's broken network fails nobody. A node that
fails again and again must be there longer each time before it is taken back.

What always holds: a pure function of what was seen and for how long. Who calls it: the controller's shell. It must not
know: a clock.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from schemas.events import NodeRecord, NodeState
from schemas.ids import NodeId
from schemas.progress import FRESH_MS
from streams.readable import ProgressView
from streams.topology import Topology

QUIET_MS = 3600 * 1000
"""After this long without a failure the next one counts as the first."""

RETURN_S_MAX = 1800.0
"""Longest that a node which flaps must have been there: an operator's `miroir node activate` is quicker."""


class HealthLimits(NamedTuple):
    """How patient the controller is.

    Attributes:
        failed_after_s: nobody has seen the node for this long.
        return_after_s: it has been there for this long, at its first failure; doubled with each one.
    """

    failed_after_s: float = 300.0
    return_after_s: float = 30.0


PATIENCE = HealthLimits()
"""The default: longer than a restart takes, shorter than anybody wants to have one copy less."""


def is_seen(
    topology: Topology, progress: ProgressView, node: NodeId, *, visited: Collection[NodeId], now_ms: int
) -> bool:
    """Return whether anybody reaches the node now.

    Args:
        topology: the cluster.
        progress: what workers publish.
        node: which.
        visited: the nodes that the controller itself reaches.
        now_ms: milliseconds since 1970.
    """
    if node in visited:
        return True
    seen = (progress.of(replica) for replica in topology.replicas_on(node))
    return any(each is not None and not each.away and now_ms - each.seen_ms <= FRESH_MS for each in seen)


def judge_silence(
    topology: Topology,
    node: NodeRecord,
    silent_s: float,
    *,
    seen: Collection[NodeId],
    limits: HealthLimits,
    now_ms: int,
) -> NodeRecord | None:
    """Return an active node as failed, where it is; None where it is not.

    Where no other node of its group is seen either, the fault is more likely the network's, and nothing could be made
    elsewhere.

    Args:
        topology: the cluster.
        node: its record.
        silent_s: for how long nobody has seen it.
        seen: the nodes that somebody reaches.
        limits: how long that may be.
        now_ms: milliseconds since 1970.
    """
    if node.state is not NodeState.ACTIVE or silent_s < limits.failed_after_s:
        return None
    if not any(other.group == node.group for other in topology.nodes.values() if other.id in seen):
        return None
    again = node.failed_ms > 0 and now_ms - node.failed_ms < QUIET_MS
    return replace(node, state=NodeState.FAILED, failed_ms=now_ms, failures=node.failures + 1 if again else 1)


def judge_return(node: NodeRecord, present_s: float, limits: HealthLimits) -> NodeRecord | None:
    """Return a failed node as active, where it has been there for long enough; None where it has not."""
    wanted_s = min(RETURN_S_MAX, limits.return_after_s * 2 ** min(max(node.failures, 1) - 1, 16))
    if node.state is not NodeState.FAILED or present_s < wanted_s:
        return None
    return replace(node, state=NodeState.ACTIVE)
