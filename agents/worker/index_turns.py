"""The turns of the indexes at one node: one of which the node takes nothing keeps no other waiting.

A node may refuse whatever is asked of one of its indexes and take all of the others': it cannot open that one, or takes
no body as large as its posts. What always holds: an index that was refused rests, longer each time; a node that refuses
one index after the other is asked of few more, for it is the node then. Who calls it: the feeder of a node. It must not
know: what is done in a turn.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

from agents.worker.tail_follower import backoff_s
from schemas.errors import NodeRejectedError
from schemas.ids import Incarnation, NodeId

REFUSED_IN_A_ROW_MAX = 3
"""So many indexes refused one after the other say that the node takes nothing at all: its task list is full."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Rest(NamedTuple):
    """An index that was refused so often in a row, and until when it rests."""

    times: int
    until_s: float


class IndexTurns:
    """One node's.

    Args:
        node: its id, for the log.
        now: monotonic seconds.
    """

    def __init__(self, node: NodeId, *, now: Callable[[], float]) -> None:
        self._node = node
        self._now = now
        self._rests: dict[Incarnation, _Rest] = {}

    async def take(
        self, turns: Iterable[tuple[Incarnation, T]], step: Callable[[Incarnation, T], Awaitable[float | None]]
    ) -> float | None:
        """Let each index have its turn, in this order, but for those that rest; return the shortest wait.

        Args:
            turns: all indexes there are, each with what its turn is about.
            step: takes a turn; returns how long to wait for the next one, 0 for not at all, None until woken.

        Raises:
            NodeError: the node does not answer, or refuses whatever it is asked.
        """
        turns = list(turns)
        self._rests = {each: self._rests[each] for each, _ in turns if each in self._rests}
        waits: list[float | None] = []
        refused = 0
        for incarnation, about in turns:
            rest_s = self._left_s(incarnation)
            if rest_s > 0:
                waits.append(rest_s)
                continue
            try:
                wait_s = await step(incarnation, about)
            except NodeRejectedError as error:
                waits.append(self._begin(incarnation, error))
                refused += 1
                if refused >= REFUSED_IN_A_ROW_MAX:
                    raise
            else:
                waits.append(wait_s)
                refused = 0
                if wait_s == 0:
                    self._rests.pop(incarnation, None)
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def _left_s(self, incarnation: Incarnation) -> float:
        found = self._rests.get(incarnation)
        return 0.0 if found is None else found.until_s - self._now()

    def _begin(self, incarnation: Incarnation, error: NodeRejectedError) -> float:
        """Let an index rest; return for how long."""
        found = self._rests.get(incarnation)
        times = 1 if found is None else found.times + 1
        if times == 1:
            extra = {"node": self._node, "incarnation": incarnation, "reason": str(error)}
            _log.warning("a node takes nothing of an index", extra=extra)
        rest_s = backoff_s(times)
        self._rests[incarnation] = _Rest(times, self._now() + rest_s)
        return rest_s
