"""How much of a node's time the making of copies may take, so that searches and live writes keep the rest.

A worker cannot see searches; what it sees is how long a node takes for the posts it is sent. So a copy that is being
made is sent one small post at a time, which the node works off in about ``POST_S``, and after each the node rests: at a
share of a half as long as it worked. What always holds: a copy without which there is none, and one that was whole and
only lags, is not limited: that is live traffic which comes late. Who calls it: the feeder of a node. It must not know:
the clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agents.batching import PostLimits, begin_slice, cut_slice, take_slices
from agents.operations import OperationBatch
from agents.posts import ShardSlice
from schemas.events import ReplicaRecord
from schemas.ids import Incarnation, Position, ShardId
from streams.readable import ProgressView
from streams.topology import Topology

POST_S = 1.0
"""So long a node should work on one post: a live write waits as long behind it. Much shorter, and what every task costs
besides its documents (0.1 to 0.2 s on a quiet machine) would be most of it: at 0.3 s a real node was filled at a fifth
of its full speed with a share of a half."""

REST_MAX_S = 10.0
"""Longest rest: a post that waited minutes for a change of settings did not use the node all that time."""

RECORDS_FIRST = 2000
"""Records of the first post, while nothing is known of the node's speed."""

RECORDS_MIN = 2000
"""A post takes a slow or busy node a second however little it holds: smaller ones would only make copies slower (100
records a post made 30 records a second on a busy machine, hardly more than clients wrote)."""

NO_INDEX = Incarnation(0)
"""Where no post of this kind was sent yet: its place is passed to no index that would have to wait for it."""

UNLIMITED = 1.0
"""The share at which nothing is limited."""


@dataclass(frozen=True, slots=True)
class ReplayPace:
    """How the making of copies goes on one node.

    Attributes:
        share: of the node's time that it may take; above 0, at most 1.
        records: how many the next post may hold.
        incarnation: of the index that was last sent such a post.
        post: the post that has not finished; empty where none is under way.
        sent_records: how many it holds.
        sent_s: when it was sent.
        rest_until_s: before it nothing is sent.
    """

    share: float
    records: int = RECORDS_FIRST
    incarnation: Incarnation = NO_INDEX
    post: str = ""
    sent_records: int = 0
    sent_s: float = 0.0
    rest_until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """A post of so many records may be sent now."""

    records: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing for so many seconds; None: until the post under way has finished."""

    wait_s: float | None


def is_limited(topology: Topology, progress: ProgressView, replica: ReplicaRecord) -> bool:
    """Return whether the replica is being made while another copy of its shard serves."""
    if _was_whole(progress, replica):
        return False
    return any(_was_whole(progress, other) for other in topology.replicas_of(replica.uid, replica.shard))


def decide_replay(pace: ReplayPace, *, now_s: float) -> Allowed | Rest:
    """Return whether a copy that is limited may be sent something now."""
    if pace.post:
        return Rest(None)
    if now_s < pace.rest_until_s:
        return Rest(pace.rest_until_s - now_s)
    return Allowed(pace.records)


def fold_sent(pace: ReplayPace, incarnation: Incarnation, post: str, *, records: int, now_s: float) -> ReplayPace:
    """Return the pace once such a post was sent."""
    return replace(pace, incarnation=incarnation, post=post, sent_records=records, sent_s=now_s)


def fold_finished(pace: ReplayPace, *, records_max: int, now_s: float) -> ReplayPace:
    """Return the pace once the post under way has finished, well or not.

    The next post is as large as the node works off in ``POST_S``, but changes by a factor of two at most: one look is
    no measurement.
    """
    took_s = max(0.0, now_s - pace.sent_s)
    rest_s = min(took_s * (1 - pace.share) / pace.share, REST_MAX_S)
    fitting = int(pace.sent_records * POST_S / took_s) if took_s > 0 else pace.records * 2
    records = min(max(fitting, pace.records // 2, RECORDS_MIN), pace.records * 2, max(records_max, RECORDS_MIN))
    return replace(pace, records=records, post="", rest_until_s=now_s + rest_s)


def take_limited(
    sources: Mapping[ShardId, tuple[Position, Sequence[OperationBatch]]], limits: PostLimits, records: int
) -> Mapping[ShardId, ShardSlice]:
    """Return what a post of about so many records may hold; of a larger batch its beginning.

    Args:
        sources: of each shard its cursor, and the batches that hold what comes from there on.
        limits: of any post.
        records: of this one.
    """
    slices, _ = take_slices(sources, replace(limits, records_max=min(records, limits.records_max)))
    return {shard: _first(part, sources[shard][0], records) for shard, part in slices.items()}


def _first(part: ShardSlice, cursor: Position, records: int) -> ShardSlice:
    # From the cursor on: else what lies before it in its batch would be sent again and again.
    rest = begin_slice(part, cursor)
    return rest if len(rest.operations) <= records else cut_slice(rest, Position(rest.operations[records].offset))


def _was_whole(progress: ProgressView, replica: ReplicaRecord) -> bool:
    seen = progress.of(replica)
    return seen is not None and seen.at_end_ms > 0
