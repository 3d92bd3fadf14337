"""Lets copies move: plans what may be done now, writes it, and plans again.

What always holds: nothing is remembered between two looks; what is written was planned for the topology that it is
written over. Who calls it: the controller's shell, as long as it leads. It must not know: what is wanted
(``streams/moves.py``), or how a copy is made (``agents/worker/feeder.py``).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from agents.move_commit import build_moves
from agents.reconcile import NodeSight
from agents.worker.cluster_writer import ClusterWriter
from schemas.ids import NodeId
from streams.moves import MovePlan, plan_moves
from streams.readable import ProgressView

LOOK_S = 0.25
"""Between two looks: a copy that is whole is used within about this; progress is published ten times a second."""

LOAD_MAX = 0.1
"""Largest part of the time that planning may take: a large cluster is looked at less often."""

_log = logging.getLogger(__name__)


class Mover:
    """The controller's mover.

    Args:
        writer: the cluster topic.
        sights: of nodes that can be asked now, as their keepers saw them.
        progress: what workers have published, up to now.
        draw_uid: a fresh random UUID.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        writer: ClusterWriter,
        sights: Mapping[NodeId, NodeSight],
        progress: Callable[[], ProgressView],
        draw_uid: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._sights = sights
        self._progress = progress
        self._draw_uid = draw_uid
        self._clock = clock

    async def run(self) -> None:
        """Look again and again, until cancelled.

        Raises:
            LogError: what was planned could not be written; lead again.
        """
        while True:
            begun_s = self._clock()
            plan = self._plan()
            took_s = self._clock() - begun_s
            if plan.begin or plan.leave or plan.forget:
                await self._write()
            await asyncio.sleep(max(LOOK_S, took_s / LOAD_MAX))

    def _plan(self) -> MovePlan:
        return plan_moves(self._writer.topology, self._progress(), reachable=self._reachable())

    def _reachable(self) -> frozenset[NodeId]:
        """Return the nodes that are there, with the key that will be their next search key."""
        nodes = self._writer.topology.nodes
        return frozenset(
            node
            for node, sight in self._sights.items()
            if node in nodes and nodes[node].fence_key in {"", *(key.uid for key in sight.keys)}
        )

    async def _write(self) -> None:
        async with self._writer as writer:
            plan = self._plan()
            await writer.commit(build_moves(writer.topology, plan, self._draw_uid))
        _log.info(
            "copies move",
            extra={
                "begin": len(plan.begin),
                "leave": len(plan.leave),
                "forget": len(plan.forget),
                "building": len(plan.building),
                "waiting": len(plan.waiting),
            },
        )
