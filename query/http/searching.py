"""One search, from the parsed request to the merged answer.

What always holds: an answer without some shards says so, or is an error. Who calls it: the search routes. It must not
know: how a request was written, or how nodes are asked.
"""

import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

from aiohttp import web

from query.explanation import build_explanation
from query.facet_search import (
    FacetHits,
    FacetSearch,
    FacetSearchCase,
    check_facet_search,
    decide_facet_search,
    facet_search_body,
)
from query.filter_quotes import quote_users
from query.http.asking import Read, node_path, read_index
from query.http.bodies import json_response
from query.http.clock import new_uuid7
from query.http.demands import Demands
from query.http.errors import not_supported, to_fault
from query.http.middleware import REQUEST_ID
from query.http.service import Service
from query.http.slow_searches import note_slow
from query.hybrid import decide_hybrid, hybrid_body, hybrid_case
from query.merge import MergedAnswer
from query.nodes.rounds import Reading
from query.query_hash import hash_query
from query.rounds import SearchCase, decide_round, make_bodies
from query.rules import IndexRules
from query.search import SearchKind, SearchRequest
from query.validate import validate
from schemas.errors import MiroirError
from schemas.events import IndexRecord
from schemas.ids import IndexUid, NodeId, ShardId

_FAILED = 500
"""Status from which on it is not the client's doing."""

_log = logging.getLogger(__name__)


class Lacking(Protocol):
    """An answer that may lack something."""

    @property
    def missing(self) -> Sequence[object]:
        """What is not in it."""
        ...


A = TypeVar("A", bound=Lacking)


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """An answer's body, and the shards that are not in it."""

    body: dict[str, Any]
    missing: tuple[ShardId, ...] = ()


async def run_search(service: Service, uid: IndexUid, search: SearchRequest, demands: Demands) -> SearchAnswer:
    """Return the answer to a search.

    Raises:
        NotFoundError: there is no such index.
        InvalidRequestError: a parameter that is not supported yet.
        InvalidSearchError: the user's settings, or the nodes, refuse it.
        NoReplicaError: some shard cannot be asked, and no partial answer is wanted.
        ReplicaBehindError: no copy is as fresh as is asked.
        NodeBusyError: too many searches are under way.
    """
    return await observed(service, _search(service, uid, search, demands))


async def run_explain(service: Service, uid: IndexUid, search: SearchRequest, demands: Demands) -> SearchAnswer:
    """Return how a search is carried out instead of its answer, whatever shards that answer would lack.

    Raises:
        as ``run_search``, but for ``NoReplicaError``.
    """
    read, case = await _read(service, uid, search, replace(demands, partial=True))
    unread = service.unread(service.views.searched.index(uid))
    return SearchAnswer(_explanation(service, case, read, unread), read.missing)


async def run_facet_search(service: Service, uid: IndexUid, wanted: FacetSearch, demands: Demands) -> SearchAnswer:
    """Return the answer to a facet search; see ``run_search``."""
    return await observed(service, _facet_search(service, uid, wanted, demands))


async def observed(service: Service, answering: Awaitable[A]) -> A:
    """Return the answer, counted and timed."""
    begun_s = time.perf_counter()
    try:
        answer = await answering
    except MiroirError as error:
        refused = to_fault(error).status < _FAILED
        service.metrics.observe_search("refused" if refused else "failed", time.perf_counter() - begun_s)
        raise
    service.metrics.observe_search("partial" if answer.missing else "ok", time.perf_counter() - begun_s)
    return answer


async def _search(service: Service, uid: IndexUid, search: SearchRequest, demands: Demands) -> SearchAnswer:
    read, case = await _read(service, uid, search, demands)
    body = read.outcome.body
    body["processingTimeMs"] = int(read.took_s * 1000)
    body["requestUid"] = new_uuid7()
    slow_ms = service.settings.search_slow_ms
    if slow_ms and read.took_s * 1000 >= slow_ms:
        extra = {"request": REQUEST_ID.get(), "search": search.q, "explain": _explanation(service, case, read)}
        _log.warning("a search was slow", extra=extra)
    body = told(body, service, uid, read.missing, read.outcome.inexact_facets)
    if read.outcome.inexact_total:
        body["_miroir"] = {**body.get("_miroir", {}), "inexactTotal": True}
    return SearchAnswer(body, read.missing)


async def _read(
    service: Service, uid: IndexUid, search: SearchRequest, demands: Demands
) -> tuple[Read[MergedAnswer], SearchCase]:
    cases: list[SearchCase] = []

    def prepare(index: IndexRecord, rules: IndexRules) -> Reading[MergedAnswer]:
        validate(search, rules)
        _check_supported(search)
        case = SearchCase(search, rules, index.shards)
        cases.append(case)
        path, choice = node_path(index, "search"), hash_query(uid, search)
        if search.kind is SearchKind.BOTH:
            both = hybrid_case(case)
            return Reading(path, choice, partial(decide_hybrid, both), partial(hybrid_body, both))
        return Reading(path, choice, partial(decide_round, case), make_bodies(case))

    read = await read_index(service, uid, demands, prepare, search=search.q)
    return read, cases[-1]


def _explanation(
    service: Service, case: SearchCase, read: Read[MergedAnswer], unread: Sequence[Mapping[NodeId, str]] = ()
) -> dict[str, Any]:
    away = {node: service.health.reason(node) for node in service.health.away}
    return build_explanation(case, read.outcome, read.trace._replace(away=away, unread=unread))


async def _facet_search(service: Service, uid: IndexUid, wanted: FacetSearch, demands: Demands) -> SearchAnswer:
    def prepare(index: IndexRecord, rules: IndexRules) -> Reading[FacetHits]:
        _check_supported(wanted.search)
        check_facet_search(wanted, rules)
        case = FacetSearchCase(wanted, rules, index.shards)
        choice = hash_query(uid, wanted.search)
        return Reading(
            node_path(index, "facet-search"),
            choice,
            partial(decide_facet_search, case),
            partial(facet_search_body, case),
        )

    reword = partial(quote_users, condition=wanted.search.filter)
    read = await read_index(service, uid, demands, prepare, search=wanted.query, reword=reword)
    note_slow(service, read.took_s, [(uid, read.trace)], wanted.query)
    body: dict[str, Any] = {
        "facetHits": list(read.outcome.hits),
        "facetQuery": wanted.query,
        "processingTimeMs": int(read.took_s * 1000),
    }
    inexact = () if read.outcome.exact else (wanted.name,)
    return SearchAnswer(told(body, service, uid, read.missing, inexact), read.missing)


def _check_supported(search: SearchRequest) -> None:
    if search.unsupported:
        raise not_supported(f"The search parameter `{search.unsupported[0]}`")


def answer_response(answer: SearchAnswer) -> web.Response:
    """Return the answer as it is sent; the shards that are not in it stand in a header too."""
    if not answer.missing:
        return json_response(answer.body)
    shards = ",".join(map(str, answer.missing))
    return json_response(answer.body, headers={"X-Miroir-Degraded": f"shards={shards}"})


def told(
    body: dict[str, Any], service: Service, uid: IndexUid, missing: tuple[ShardId, ...], inexact: Sequence[str]
) -> dict[str, Any]:
    """Return the answer with what it lacks, where it lacks something."""
    told: dict[str, Any] = {}
    behind = service.behind(uid)
    if missing or behind:
        told["coverage"] = coverage(service.views.topology.index(uid).shards, missing, behind)
    if inexact:
        told["inexactFacets"] = list(inexact)
    return {**body, "_miroir": told} if told else body


def coverage(shards: int, missing: Sequence[ShardId], behind: Sequence[ShardId] = ()) -> dict[str, Any]:
    """Return what an answer that lacks something says of its coverage.

    Args:
        shards: how many the index has.
        missing: those that are not in the answer.
        behind: those that are in it as copies have them that lack something: there were no better ones.
    """
    found = {"shards": shards, "answered": shards - len(missing), "missing": list(missing)}
    return {**found, "behind": list(behind)} if behind else found
