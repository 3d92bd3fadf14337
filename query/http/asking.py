"""A read that asks nodes in rounds: whom, how long, again with a newer view, and what to do without some shards.

What always holds: one deadline over everything, waits and second tries included; an answer without some shards is only
given where one was asked for. Who calls it: searches, facet searches, federated searches. It must not know: what is
asked, or what to make of answers; that is decided by the reading's own plain functions.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import orjson

from query.explanation import RoundTrace, SearchTrace
from query.http.demands import Demands, fresh_enough
from query.http.errors import to_fault
from query.http.service import EMPTY, Build, Service
from query.http.slow_searches import note_slow
from query.nodes.gather import Gathered
from query.ports import NodeQuestion
from query.rounds import Ask, Purpose, Round
from query.routing import Part, Readable
from query.rules import IndexRules
from query.strip import strip_message
from schemas.errors import InvalidSearchError, MiroirError, NodeBusyError, NodeRejectedError, NoReplicaError
from schemas.events import IndexRecord
from schemas.ids import IndexUid, ShardId, node_index_uid

T = TypeVar("T")

_log = logging.getLogger(__name__)


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
class Read(Generic[T]):
    """What came of a reading.

    Attributes:
        outcome: what was decided of the answers.
        missing: shards that are not in it.
        trace: how it was asked, but for who is away.
    """

    outcome: T
    missing: tuple[ShardId, ...]
    trace: SearchTrace

    @property
    def took_s(self) -> float:
        """How long it took in all."""
        return self.trace.took_s


@dataclass(frozen=True, slots=True)
class _Tried(Generic[T]):
    """What one view of the cluster led to."""

    index: IndexRecord
    outcome: T
    gathered: Gathered
    trace: SearchTrace

    @property
    def forgotten(self) -> bool:
        return self.gathered.forgotten


async def read_index(
    service: Service,
    uid: IndexUid,
    demands: Demands,
    prepare: Callable[[IndexRecord, IndexRules], Reading[T]],
    *,
    search: object,
    begun_s: float | None = None,
) -> Read[T]:
    """Return what the nodes that hold an index make of a reading.

    Args:
        service: whose view and nodes.
        uid: which index.
        demands: what is asked of the copies.
        prepare: makes the reading out of the index as it is now; checks it, too. Called again with a newer view.
        search: what is searched for, in a few words, for the log of slow searches: one that fails is written there.
        begun_s: when what this is a part of began, in the event loop's time: its deadline counts; None is now.

    Raises:
        NotFoundError: there is no such index.
        InvalidSearchError: the nodes refuse the question.
        NoReplicaError: some shard cannot be asked, and no partial answer is wanted.
        ReplicaBehindError: no copy is as fresh as is asked.
        NodeBusyError: too many questions are under way.
    """
    since_s = asyncio.get_running_loop().time() if begun_s is None else begun_s
    deadline_s = since_s + service.settings.search_timeout_s

    async def ask() -> _Tried[T]:
        index = service.views.searched.index(uid)
        reading = prepare(index, service.views.rules(index))
        if index.primary_key is None:
            # Nothing is applied before it is known: no node has to be asked.
            trace = SearchTrace(service.views.topology.epoch, (), {}, (), 0.0, 0.0)
            return _Tried(index, _empty(reading), EMPTY, trace)
        readable = await fresh_enough(service, index, demands, deadline_s)
        return _Tried(index, *await _ask_rounds(service, index, reading, readable, since_s))

    tried = await service.gather_known(ask, deadline_s=deadline_s)
    missing = tried.gathered.missing
    if missing:
        try:
            _judge(service, tried.index, tried.gathered, demands)
        except MiroirError as error:
            # No route sees how it was asked then, and there is no search that it matters more of.
            note_slow(service, tried.trace.took_s, [(uid, tried.trace)], search, error=to_fault(error).message)
            raise
    return Read(tried.outcome, missing, tried.trace)


def _empty(reading: Reading[T]) -> T:
    outcome = reading.decide((), [Round(Ask(Purpose.HEADS), ())])
    assert not isinstance(outcome, Ask), "there is nobody to ask"
    return outcome


async def _ask_rounds(
    service: Service, index: IndexRecord, reading: Reading[T], readable: Readable, begun_s: float
) -> tuple[T, Gathered, SearchTrace]:
    """Return the outcome, what the last round gathered (what any round misses, the outcome misses), and the trace."""
    loop = asyncio.get_running_loop()
    deadline_s = begun_s + service.settings.search_timeout_s
    routed_s = loop.time()
    route, nodes = service.route(index, readable, reading.choice), service.views.topology.nodes
    gathered = EMPTY
    rounds: list[Round] = []
    traces: list[RoundTrace] = []
    while isinstance(step := reading.decide(route.parts, rounds), Ask):
        # Also later rounds may ask who is away, where everybody else has failed.
        asked = route if step.parts is None else replace(route, parts=step.parts, missing=())
        asked_s = loop.time()
        if asked.parts or asked.missing:
            build = _builder(reading, step)
            found = await service.gather(asked, readable, build, timeout_s=deadline_s - asked_s, nodes=nodes)
            gathered = _with_lost(found, gathered)
        rounds.append(Round(step, gathered.answers))
        took_s = loop.time() - asked_s
        traces.append(RoundTrace(step.purpose.value, gathered.questions, gathered.answers, gathered.missing, took_s))
    ended_s = loop.time()
    decided_s = ended_s - routed_s - sum([each.took_s for each in traces])
    epoch = service.views.topology.epoch
    return step, gathered, SearchTrace(epoch, readable, {}, tuple(traces), decided_s, ended_s - begun_s)


def _with_lost(found: Gathered, before: Gathered) -> Gathered:
    """Return what was gathered, with what rounds before it have lost: later ones may ask only those that answered."""
    if not before.missing:
        return found
    missing = tuple(sorted({*before.missing, *found.missing}))
    return replace(found, missing=missing, errors=(*before.errors, *found.errors))


def _builder(reading: Reading[Any], ask: Ask) -> Build:
    return lambda part: NodeQuestion("POST", reading.path, orjson.dumps(reading.body(ask, part)))


def _judge(service: Service, index: IndexRecord, gathered: Gathered, demands: Demands) -> None:
    """Raise unless an answer without the missing shards is what was asked for."""
    if (verdict := gathered.verdict) is not None:
        raise to_search_error(verdict, index)
    extra = {"index": index.uid, "shards": gathered.missing, "errors": [str(error) for error in gathered.errors[:5]]}
    _log.warning("shards could not be asked", extra=extra)
    if service.is_partial(index.uid, asked=demands.partial):
        return
    busy = [error for error in gathered.errors if isinstance(error, NodeBusyError)]
    if busy and len(busy) == len(gathered.errors):
        raise busy[0]
    raise NoReplicaError(index.uid, gathered.missing, epoch=service.views.topology.epoch)


def node_path(index: IndexRecord, action: str) -> str:
    """Return a route of the index as nodes name it."""
    return f"/indexes/{node_index_uid(index.uid, index.incarnation)}/{action}"


def to_search_error(error: NodeRejectedError, index: IndexRecord) -> InvalidSearchError:
    """Return a node's refusal as it may be shown."""
    node_index = node_index_uid(index.uid, index.incarnation)
    message = strip_message(error.message, node_index=node_index, index=index.uid)
    return InvalidSearchError(error.code or "bad_request", message)
