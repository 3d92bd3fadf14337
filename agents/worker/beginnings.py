"""Placements that begin anew on one node: what stands there of them goes first.

What always holds: nothing is dropped that somebody may still read with the former search key; before an index is
emptied, the node is looked at once more. Who calls it: the feeder of the node. It must not know: what is posted
afterwards, or HTTP.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from agents.drops import PATIENCE_S, Attempts, find_late, may_be_read, plan_drop
from agents.worker.feed import Assignment
from agents.worker.fence import Fence
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid
from schemas.posts import Drop
from streams.cursor import IndexCursors


@dataclass(frozen=True, slots=True)
class NodeSight:
    """What is known of the node, and how to know more.

    Attributes:
        placements: the attempt of every shard of an index that has a placement on it, whoever feeds it.
        applied: the replicas on it that this worker feeds now, by index.
        accepted: where it stands.
        look_again: returns once its task list was read by a question that was asked after the call.
    """

    placements: Callable[[Incarnation], Attempts]
    applied: Callable[[], Mapping[Incarnation, Sequence[Assignment]]]
    accepted: Callable[[Incarnation], IndexCursors]
    look_again: Callable[[], Awaitable[None]]


class Beginnings:
    """Of one node.

    Args:
        sight: of the node.
        fence: says when copies that somebody may still read can go.
        send: sends a drop.
        search_deadline_s: the longest that a search may take.
        now: monotonic seconds.
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        sight: NodeSight,
        fence: Fence,
        send: Callable[[IndexUid, Drop], Awaitable[None]],
        *,
        search_deadline_s: float,
        now: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._sight = sight
        self._fence = fence
        self._send = send
        self._patience_s = search_deadline_s + PATIENCE_S
        self._now = now
        self._now_ms = now_ms
        self._waits_since: dict[Incarnation, float] = {}

    def keep(self, incarnations: Collection[Incarnation]) -> None:
        """Forget how long other indexes have waited."""
        self._waits_since = {each: since_s for each, since_s in self._waits_since.items() if each in incarnations}

    async def begin(self, index: IndexRecord, group: Sequence[Assignment], accepted: IndexCursors) -> float | None:
        """Let shards begin anew that are to; return how long to wait before the next look.

        0 is not at all, for the node stands elsewhere now; None is that no shard is to begin.

        Raises:
            NodeError: the node cannot be asked.
        """
        incarnation = index.incarnation
        late = _late(group, accepted)
        if not late:
            self._waits_since.pop(incarnation, None)
            return None
        left_s = self._waits_since.get(incarnation, self._now()) + self._patience_s - self._now()
        placed = self._sight.placements(incarnation)
        drop = plan_drop(incarnation, late, placed, accepted, now_ms=self._now_ms(), waits=left_s > 0)
        if drop is None:
            self._waits_since.setdefault(incarnation, self._now())
            return left_s
        fence_s = await self._fence.wait_s(max(drop.attempts.values())) if may_be_read(drop, accepted) else 0.0
        if fence_s > 0:
            return fence_s
        if drop.is_whole and not await self._is_still_whole(drop):
            return 0
        await self._send(index.uid, drop)
        return 0

    async def _is_still_whole(self, drop: Drop) -> bool:
        """Look again: others may have given up waiting while this worker's view of the node was old."""
        await self._sight.look_again()
        accepted = self._sight.accepted(drop.incarnation)
        group = self._sight.applied().get(drop.incarnation, ())
        return bool(_late(group, accepted)) and find_late(drop.attempts, accepted) == drop.attempts


def _late(group: Sequence[Assignment], accepted: IndexCursors) -> Attempts:
    """Return the shards that are to begin anew."""
    return find_late({each.feed.shard: each.replica.attempt for each in group}, accepted)
