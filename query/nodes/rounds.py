"""A reading carried out: nodes are asked round after round, as far as their answers ask for more.

What always holds: one deadline over all rounds; what any round misses, the outcome misses, or says to be not exact. Who
calls it: the reads of the query service. It must not know: what is asked, or what to make of answers; that is decided
by the reading's own plain functions.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import orjson

from query.explanation import RoundTrace
from query.gathered import EMPTY, Gathered
from query.nodes.gather import Build, Gatherer
from query.ports import NodeQuestion
from query.rounds import Ask, Purpose, Round
from query.routing import Part, Readable, Route
from schemas.events import NodeRecord
from schemas.ids import NodeId, ShardId

T = TypeVar("T")

FOLLOWED_SHARE = 0.8
"""How much of the time left a round may take that another one follows: whoever waits to the end for a frozen node that
alone has a shard would have nothing to show of all others. Two tries fit in."""

_REFINING = frozenset((Purpose.COUNTS, Purpose.VALUES))
"""Rounds without whose answers the outcome says that it is not exact, and lacks nothing."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What one index is asked.

    Attributes:
        path: the nodes' route.
        choice: the hash by which a cover is chosen.
        decide: the next question or the outcome, from whom the route names and the rounds so far.
        body: the JSON body that a part's node is sent.
    """

    path: str
    choice: int
    decide: Callable[[Sequence[Part], Sequence[Round]], Ask | T]
    body: Callable[[Ask, Part], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """What came of a reading's rounds.

    Attributes:
        outcome: what was decided of the answers.
        missing: shards that are not in it, in order.
        gathered: by the last round, with what any round misses.
        rounds: how each was asked.
    """

    outcome: T
    missing: tuple[ShardId, ...]
    gathered: Gathered
    rounds: tuple[RoundTrace, ...]


async def ask_rounds(
    gatherer: Gatherer,
    reading: Reading[T],
    route: Route,
    readable: Readable,
    *,
    nodes: Mapping[NodeId, NodeRecord],
    deadline_s: float,
) -> Answered[T]:
    """Return what the reading makes of what the nodes answer; see ``Gatherer.gather``.

    Args:
        gatherer: asks.
        reading: what.
        route: whom the first round asks; later ones ask whom the reading names.
        readable: who else may be asked.
        nodes: as they were when the route was made: a copy that has left since refuses the key known then, and might
            answer a newer one without its documents.
        deadline_s: in the event loop's time.
    """
    loop = asyncio.get_running_loop()
    gathered, missing = EMPTY, EMPTY.missing
    rounds: list[Round] = []
    traces: list[RoundTrace] = []
    while isinstance(step := reading.decide(route.parts, rounds), Ask):
        # Also later rounds may ask who is away, where everybody else has failed.
        asked = route if step.parts is None else replace(route, parts=step.parts, missing=())
        asked_s = loop.time()
        if asked.parts or asked.missing:
            build, share = _builder(reading, step), FOLLOWED_SHARE if step.is_followed else 1.0
            found = await gatherer.gather(
                asked, readable, nodes=nodes, build=build, timeout_s=deadline_s - asked_s, share=share
            )
            is_anew = bool(rounds) and step.is_instead_of(rounds[-1].ask)
            gathered = _with_lost(found, gathered, asked=asked.parts if is_anew else ())
            if step.purpose not in _REFINING:
                missing = gathered.missing
        rounds.append(Round(step, gathered.answers))
        took_s = loop.time() - asked_s
        traces.append(RoundTrace(step.purpose.value, gathered.questions, gathered.answers, missing, took_s))
    return Answered(step, missing, gathered, tuple(traces))


def _with_lost(found: Gathered, before: Gathered, *, asked: Sequence[Part]) -> Gathered:
    """Return what was gathered, with what rounds before it have lost: later ones may ask only those that answered.

    Args:
        found: by this round.
        before: by those before it.
        asked: parts whose shards this round has asked anew: what was lost of them counts no more.
    """
    again = {shard for part in asked for shard in part.shards}
    lost = [shard for shard in before.missing if shard not in again]
    if not lost:
        return found
    missing = tuple(sorted({*lost, *found.missing}))
    return replace(found, missing=missing, errors=(*before.errors, *found.errors))


def _builder(reading: Reading[Any], ask: Ask) -> Build:
    return lambda part: NodeQuestion("POST", reading.path, orjson.dumps(reading.body(ask, part)))
