"""When a node is left alone because of how it behaves, and when it may be asked again.

A refused connection speaks for itself. A node that answers wrongly, or late, is left alone only when it does so several
times running: anything does it once. How long it is left alone grows while it relapses, so that a node whose probes
look well and whose searches do not costs ever fewer searches. What always holds: pure folds over one node's conduct,
time passed in; an answer in time makes good for what was before it. Who calls it: the health of nodes. It must not
know: the other nodes, or how anything is asked.
"""

from dataclasses import dataclass, replace

FAULTS_MAX = 3
"""Wrong answers running: one may be the end of a restart, two a coincidence."""

LATE_MAX = 5
"""Late answers running: a slow node answers in time now and then."""

LATE_FOR_S = 0.1
"""For at least so long it must have been late: a stall of our own process makes every node late at one moment."""

PAUSE_S = 1.0
"""How long a node is left alone at first: about a probe's interval."""

PAUSE_MAX_S = 30.0
"""At most so long: a node that is well again is missed by its peers."""

FORGIVEN_S = 60.0
"""Without a relapse for so long, the next pause is the first again."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How one node has behaved.

    Attributes:
        faults: wrong answers since the last one in time.
        late: late answers since the last one in time.
        late_since_s: when the first of them was noticed.
        pauses: how often running it was left alone.
        back_at_s: when its latest pause ends.
    """

    faults: int = 0
    late: int = 0
    late_since_s: float = 0.0
    pauses: int = 0
    back_at_s: float = 0.0


def fold_good(conduct: Conduct) -> Conduct:
    """Return the conduct after an answer in time."""
    return replace(conduct, faults=0, late=0) if conduct.faults or conduct.late else conduct


def fold_late(conduct: Conduct, now_s: float) -> Conduct:
    """Return the conduct after an answer did not come in time."""
    return replace(conduct, late=conduct.late + 1, late_since_s=conduct.late_since_s if conduct.late else now_s)


def fold_fault(conduct: Conduct) -> Conduct:
    """Return the conduct after a wrong answer."""
    return replace(conduct, faults=conduct.faults + 1)


def fold_pause(conduct: Conduct, now_s: float) -> Conduct:
    """Return the conduct when the node begins to be left alone."""
    pauses = conduct.pauses + 1 if now_s - conduct.back_at_s < FORGIVEN_S else 1
    pause_s = min(PAUSE_MAX_S, PAUSE_S * 2.0 ** (pauses - 1))
    return Conduct(pauses=pauses, back_at_s=now_s + pause_s)


def is_late(conduct: Conduct, now_s: float) -> bool:
    """Return whether the node is late so often, and for so long, that it is slow or frozen."""
    return conduct.late >= LATE_MAX and now_s - conduct.late_since_s >= LATE_FOR_S


def is_faulty(conduct: Conduct) -> bool:
    """Return whether the node answers wrongly so often that it is broken."""
    return conduct.faults >= FAULTS_MAX


def may_return(conduct: Conduct, now_s: float) -> bool:
    """Return whether the node's pause is over."""
    return now_s >= conduct.back_at_s
