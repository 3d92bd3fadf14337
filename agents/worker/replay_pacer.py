"""The pace at which one node is sent what copies that are being made need.

What always holds: one such post is under way at a time; at a share of 1 nothing is limited. Who calls it: the feeder of
a node. It must not know: how fast is right (``agents/replay_pace.py``), or HTTP.
"""

from collections.abc import Callable, Mapping, Sequence

from agents.batching import PostLimits
from agents.operations import OperationBatch
from agents.posts import ShardSlice
from agents.replay_pace import UNLIMITED, ReplayPace, Rest, decide_replay, fold_finished, fold_sent, take_limited
from agents.tail import NodeTail
from agents.worker.feed import Assignment
from schemas.events import ReplicaRecord
from schemas.ids import Incarnation, Position, ShardId

Sources = Mapping[ShardId, tuple[Position, Sequence[OperationBatch]]]
"""Of each shard its cursor, and the batches that hold what comes from there on."""


class ReplayPacer:
    """One node's.

    Args:
        share: of the node's time that copies being made may take.
        limits: of any post.
        is_limited: whether a copy is being made that others can wait for.
        now: monotonic seconds.
    """

    def __init__(
        self, share: float, limits: PostLimits, *, is_limited: Callable[[ReplicaRecord], bool], now: Callable[[], float]
    ) -> None:
        self._pace = ReplayPace(share)
        self._limits = limits
        self._is_limited = is_limited
        self._now = now

    @property
    def last(self) -> Incarnation:
        """The index whose copies had the last turn."""
        return self._pace.incarnation

    def look(self, tail: NodeTail) -> None:
        """Take in what the node's task list says of the post under way."""
        pace = self._pace
        if pace.post and not tail.index(pace.incarnation).is_waiting_for(pace.post):
            self._pace = fold_finished(pace, records_max=self._limits.records_max, now_s=self._now())

    def split(self, placed: Mapping[ShardId, Assignment], sources: Sources) -> tuple[Sources, Sources]:
        """Return what is sent as it comes, and what is limited."""
        if self._pace.share >= UNLIMITED:
            return sources, {}
        limited = {shard: at for shard, at in sources.items() if self._is_limited(placed[shard].replica)}
        return {shard: at for shard, at in sources.items() if shard not in limited}, limited

    def take(self, sources: Sources) -> Mapping[ShardId, ShardSlice] | Rest:
        """Return what of it may be sent now, or how long nothing may."""
        decision = decide_replay(self._pace, now_s=self._now())
        return decision if isinstance(decision, Rest) else take_limited(sources, self._limits, decision.records)

    def note_sent(
        self, incarnation: Incarnation, post: str, slices: Mapping[ShardId, ShardSlice], *, sent_s: float
    ) -> None:
        """Take in that a post of what ``take`` gave was begun at that time, and answered."""
        records = sum(len(part.operations) for part in slices.values())
        self._pace = fold_sent(self._pace, incarnation, post, records=records, now_s=sent_s)
