"""What a run is made of: how often each thing happens in it, and what breaks when something breaks.

The usual mix has some of everything, most of all writes: whatever a copy has missed is soon written anew. What a lost
disk or a lost log has taken shows longer where these are frequent and most documents are written once; that is the
second mix. In the third, copies move most of the time while nodes freeze, so that searches meet what is just being
left. In the fourth, nodes that hold copies are given other weights, zones and groups. In the fifth, nodes stay away
until they count as failed, others are gone before they have joined, indexes stop for trimmed logs; and whatever there
is to ask of nodes and indexes is asked of those.

What always holds: a seed of the usual mix does what it did before there was another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Mix:
    """One mix.

    Attributes:
        weights: of every kind of step, relative to each other; their order is part of a seed's course.
        node_faults: one of them is chosen where a node breaks.
        disks: one of them is chosen where a node that was killed is started again.
        ids: of the documents of an index.
    """

    weights: Mapping[str, float]
    node_faults: tuple[str, ...]
    disks: tuple[str, ...]
    ids: int


USUAL = Mix(
    weights={
        "produce": 60,
        "ask": 8,
        "break node": 4,
        "mend node": 8,
        "break worker": 2,
        "mend worker": 3,
        "break log": 1,
        "compact": 2,
        "trim": 0.1,
        "be absent": 0.2,
    },
    node_faults=("killed", "frozen", "answers lost", "full", "disk copied"),
    disks=("as it was", "as it was", "empty", "older"),
    ids=40,
)

LOSSES = Mix(
    weights={
        "produce": 40,
        "ask": 6,
        "break node": 8,
        "mend node": 10,
        "break worker": 1,
        "mend worker": 6,
        "break log": 0.5,
        "compact": 2,
        "trim": 0.5,
        "be absent": 0.6,
    },
    node_faults=("killed", "killed", "killed", "frozen", "full", "disk copied", "disk copied", "disk copied"),
    disks=("as it was", "empty", "older", "older", "older"),
    ids=400,
)

MOVES = Mix(
    weights={
        "produce": 40,
        "ask": 24,
        "break node": 6,
        "mend node": 12,
        "break worker": 0.5,
        "mend worker": 6,
        "break log": 0.2,
        "compact": 1,
        "trim": 0,
        "be absent": 0,
    },
    node_faults=("frozen", "frozen", "frozen", "killed", "answers lost"),
    disks=("as it was",),
    ids=400,
)

SHARES = replace(USUAL, weights={**USUAL.weights, "change share": 6})

STATES = replace(
    USUAL,
    weights={
        **USUAL.weights,
        "ask": 6,
        "break node": 8,
        "mend node": 5,
        "break worker": 1,
        "mend worker": 6,
        "trim": 0.6,
        "be absent": 0,
        "ask rarely": 10,
    },
    node_faults=("killed", "killed", "killed", "frozen"),
    disks=("as it was", "as it was", "empty"),
)

MIXES: Mapping[str, Mix] = {"usual": USUAL, "losses": LOSSES, "moves": MOVES, "shares": SHARES, "states": STATES}
