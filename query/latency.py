"""When a node is late, and whether it may be asked about elsewhere too.

A second question to another replica hides a slow node, and doubles the load when all are slow. So: only once a node has
taken longer than nearly all of its own recent answers, and only for a few questions in a hundred ("The Tail at Scale",
Dean and Barroso, 2013). What always holds: time is a number the caller measured. Who calls it: the gathering of parts.
It must not know: which node is asked instead.
"""

from collections import deque
from collections.abc import Sequence
from statistics import median

QUANTILE = 0.95
"""Above this part of its recent answers a node is late."""

RECENT_MAX = 200
"""Answers remembered a node: a second or two under load, and enough to tell a quantile."""

RECENT_MIN = 20
"""Below this nothing is known of a node, and ``UNKNOWN_S`` is waited."""

UNKNOWN_S = 0.25
"""How long a node that is little known may take."""

WAIT_MIN_S = 0.02
"""Nothing faster is called late: a pause of the garbage collector would be."""

SLOWER_FACTOR = 4.0
"""So many times slower than its peers is slow: nodes that hold alike shards differ by less, also under uneven load."""

SLOW_MIN_S = 0.05
"""Below this nothing is slow in comparison: peers that answer within a millisecond differ by a large factor."""

BUDGET = 0.05
"""Second questions a first one: they add at most this much to the nodes' load."""

BUDGET_KEPT_MAX = 10.0
"""Second questions saved up for the moment when a node freezes and every search meets it."""


class Latencies:
    """Recent answer times of one node, in seconds."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT_MAX)
        self._late_s = UNKNOWN_S
        self._until_sorted = RECENT_MIN

    def add(self, seconds: float) -> bool:
        """Take in one answer's time; return whether ``late_s`` was computed anew."""
        self._recent.append(seconds)
        self._until_sorted -= 1
        if self._until_sorted > 0:
            return False
        # Sorting once in so many answers costs each of them next to nothing.
        self._until_sorted = RECENT_MIN
        ordered = sorted(self._recent)
        self._late_s = max(WAIT_MIN_S, ordered[int(len(ordered) * QUANTILE)])
        return True

    @property
    def is_known(self) -> bool:
        """Whether enough answers were seen to tell anything."""
        return len(self._recent) >= RECENT_MIN

    @property
    def late_s(self) -> float:
        """After how many seconds an answer is late."""
        return self._late_s


def slow_above_s(peers_s: Sequence[float]) -> float:
    """Return above how many seconds a node is slow, given what its peers take; infinite where it has none."""
    return max(SLOW_MIN_S, SLOWER_FACTOR * median(peers_s)) if peers_s else float("inf")


class HedgeBudget:
    """How many second questions may still be asked."""

    def __init__(self) -> None:
        self._left = BUDGET_KEPT_MAX

    def earn(self) -> None:
        """Count a first question."""
        self._left = min(BUDGET_KEPT_MAX, self._left + BUDGET)

    def spend(self) -> bool:
        """Return whether a second question may be asked, and count it."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
