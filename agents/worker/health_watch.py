"""Watches over the nodes: declares one failed that nobody reaches, and takes it back when it is there again.

What always holds: only times are remembered, from when this controller began to lead: a new one is patient anew. Who
calls it: the controller's shell, as long as it leads. It must not know: how long is too long (``agents/health.py``).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from agents.decision import build_puts
from agents.health import HealthLimits, is_seen, judge_return, judge_silence
from agents.reconcile import NodeSight
from agents.worker.cluster_writer import ClusterWriter
from schemas.events import NodeRecord
from schemas.ids import NodeId
from streams.readable import ProgressView

LOOK_S = 0.5
"""Between two looks: small against any patience worth having."""

_log = logging.getLogger(__name__)


class HealthWatch:
    """The controller's watch.

    Args:
        writer: the cluster topic.
        sights: of nodes that their keepers reach now.
        progress: what workers have published, up to now.
        limits: how patient to be.
        clock: monotonic seconds.
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        writer: ClusterWriter,
        sights: Mapping[NodeId, NodeSight],
        progress: Callable[[], ProgressView],
        limits: HealthLimits,
        *,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._sights = sights
        self._progress = progress
        self._limits = limits
        self._clock = clock
        self._now_ms = now_ms
        self._seen_s: dict[NodeId, float] = {}
        self._absent_s: dict[NodeId, float] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled.

        Raises:
            LogError: a verdict could not be written; lead again.
        """
        while True:
            seen = self._look()
            for node in tuple(self._writer.topology.nodes.values()):
                if self._judge(node, seen) is not None:
                    await self._write(node.id, seen)
            await asyncio.sleep(LOOK_S)

    def _look(self) -> frozenset[NodeId]:
        """Remember who is seen and who is not; return who is."""
        now_s, now_ms = self._clock(), self._now_ms()
        topology, progress = self._writer.topology, self._progress()
        seen = frozenset(
            node for node in topology.nodes if is_seen(topology, progress, node, visited=self._sights, now_ms=now_ms)
        )
        for node in topology.nodes:
            if node in seen:
                self._seen_s[node] = now_s
            self._seen_s.setdefault(node, now_s)
            # To be taken back its keeper must reach it: there may be keys and settings to make.
            if node not in self._sights:
                self._absent_s[node] = now_s
            self._absent_s.setdefault(node, now_s)
        return seen

    def _judge(self, node: NodeRecord, seen: frozenset[NodeId]) -> NodeRecord | None:
        now_s = self._clock()
        silent_s = now_s - self._seen_s.get(node.id, now_s)
        present_s = now_s - self._absent_s.get(node.id, now_s)
        topology, limits = self._writer.topology, self._limits
        failed = judge_silence(topology, node, silent_s, seen=seen, limits=limits, now_ms=self._now_ms())
        return failed or judge_return(node, present_s, limits)

    async def _write(self, node: NodeId, seen: frozenset[NodeId]) -> None:
        async with self._writer as writer:
            record = writer.topology.nodes.get(node)
            changed = None if record is None else self._judge(record, seen)
            if changed is None:
                return
            await writer.commit(build_puts(changed))
        _log.warning(
            "a node has another state", extra={"node": node, "state": changed.state, "times": changed.failures}
        )
