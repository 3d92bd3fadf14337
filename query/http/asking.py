"""A read that asks nodes in rounds: whom, how long, again with a newer view, and what to do without some shards.

What always holds: one deadline over everything, waits and second tries included; an answer without some shards is only
given where one was asked for. Who calls it: searches, facet searches, federated searches. It must not know: what is
asked, or what to make of answers; that is decided by the reading's own plain functions.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from query.explanation import SearchTrace
from query.gathered import EMPTY
from query.http.demands import Demands, fresh_enough
from query.http.errors import to_fault
from query.http.service import Service
from query.http.slow_searches import note_slow
from query.nodes.rounds import Answered, Reading, ask_rounds
from query.rounds import Ask, Purpose, Round
from query.routing import Readable
from query.rules import IndexRules
from query.strip import strip_message
from schemas.errors import InvalidSearchError, MiroirError, NodeBusyError, NodeRejectedError, NoReplicaError
from schemas.events import IndexRecord
from schemas.ids import IndexUid, ShardId, node_index_uid

T = TypeVar("T")

_log = logging.getLogger(__name__)


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
    answered: Answered[T]
    trace: SearchTrace

    @property
    def forgotten(self) -> bool:
        return self.answered.gathered.forgotten


async def read_index(
    service: Service,
    uid: IndexUid,
    demands: Demands,
    prepare: Callable[[IndexRecord, IndexRules], Reading[T]],
    *,
    search: object,
    begun_s: float | None = None,
    reword: Callable[[str], str] = str,
) -> Read[T]:
    """Return what the nodes that hold an index make of a reading.

    Args:
        service: whose view and nodes.
        uid: which index.
        demands: what is asked of the copies.
        prepare: makes the reading out of the index as it is now; checks it, too. Called again with a newer view.
        search: what is searched for, in a few words, for the log of slow searches: one that fails is written there.
        begun_s: when what this is a part of began, in the event loop's time: its deadline counts; None is now.
        reword: puts what nodes say of their question into words about the user's.

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
            return _Tried(index, Answered(_empty(reading), (), EMPTY, ()), trace)
        readable = await fresh_enough(service, index, demands, deadline_s)
        return _Tried(index, *await _ask_rounds(service, index, reading, readable, since_s))

    tried = await service.gather_known(ask, deadline_s=deadline_s)
    answered = tried.answered
    if answered.missing:
        try:
            _judge(service, tried.index, answered, demands, reword)
        except MiroirError as error:
            # No route sees how it was asked then, and there is no search that it matters more of.
            note_slow(service, tried.trace.took_s, [(uid, tried.trace)], search, error=to_fault(error).message)
            raise
    return Read(answered.outcome, answered.missing, tried.trace)


def _empty(reading: Reading[T]) -> T:
    outcome = reading.decide((), [Round(Ask(Purpose.HEADS), ())])
    assert not isinstance(outcome, Ask), "there is nobody to ask"
    return outcome


async def _ask_rounds(
    service: Service, index: IndexRecord, reading: Reading[T], readable: Readable, begun_s: float
) -> tuple[Answered[T], SearchTrace]:
    """Return what came of the rounds, and how it was asked."""
    loop = asyncio.get_running_loop()
    deadline_s = begun_s + service.settings.search_timeout_s
    routed_s = loop.time()
    route, nodes = service.route(index, readable, reading.choice), service.views.topology.nodes
    answered = await ask_rounds(service.gatherer, reading, route, readable, nodes=nodes, deadline_s=deadline_s)
    ended_s = loop.time()
    decided_s = ended_s - routed_s - sum([each.took_s for each in answered.rounds])
    trace = SearchTrace(service.views.topology.epoch, readable, {}, answered.rounds, decided_s, ended_s - begun_s)
    return answered, trace


def _judge(
    service: Service, index: IndexRecord, answered: Answered[Any], demands: Demands, reword: Callable[[str], str]
) -> None:
    """Raise unless an answer without the missing shards is what was asked for."""
    gathered, missing = answered.gathered, answered.missing
    if (verdict := gathered.verdict) is not None:
        raise to_search_error(verdict, index, reword)
    extra = {"index": index.uid, "shards": missing, "errors": [str(error) for error in gathered.errors[:5]]}
    _log.warning("shards could not be asked", extra=extra)
    if service.is_partial(index.uid, asked=demands.partial):
        return
    busy = [error for error in gathered.errors if isinstance(error, NodeBusyError)]
    if busy and len(busy) == len(gathered.errors):
        raise busy[0]
    raise NoReplicaError(index.uid, missing, epoch=service.views.topology.epoch)


def node_path(index: IndexRecord, action: str) -> str:
    """Return a route of the index as nodes name it."""
    return f"/indexes/{node_index_uid(index.uid, index.incarnation)}/{action}"


def to_search_error(
    error: NodeRejectedError, index: IndexRecord, reword: Callable[[str], str] = str
) -> InvalidSearchError:
    """Return a node's refusal as it may be shown."""
    node_index = node_index_uid(index.uid, index.incarnation)
    message = strip_message(error.message, node_index=node_index, index=index.uid)
    return InvalidSearchError(error.code or "bad_request", reword(message))
