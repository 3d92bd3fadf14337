"""Limits and intervals of feeding a node.

What always holds: the same for every node of a worker. Who calls it: the applier makes them of the worker's settings,
feeders keep to them. It must not know: where they come from.
"""

from dataclasses import dataclass

from agents.batching import PostLimits
from agents.replay_pace import UNLIMITED


@dataclass(frozen=True, slots=True)
class FeederSettings:
    """How a node is fed.

    Attributes:
        worker: begins the ids of this worker's posts; no other process ever has the same.
        limits: of a post.
        tail_interval_s: how often the task list of a busy node is read.
        search_deadline_s: the longest that a search may take.
        replay_share: of the node's time that copies being made may take.
    """

    worker: str
    limits: PostLimits
    tail_interval_s: float
    search_deadline_s: float
    replay_share: float = UNLIMITED
