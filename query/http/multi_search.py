"""The multi-search route: several searches in one request, each on its own or as one federated list.

What always holds: one bad query fails the whole request and is named. Who calls it: the application. It must not know:
how a search is carried out, or how lists become one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

from query.federated_facets import check_facet_orders
from query.federated_rules import check_federated_rules
from query.federation import (
    FederatedCase,
    IndexAnswers,
    Reach,
    check_window,
    decide_federated,
    federated_body,
    further_reach,
    merge_federated,
)
from query.http.asking import Read, read_index
from query.http.bodies import json_response, read_json
from query.http.clock import new_uuid7
from query.http.demands import Demands, read_demands
from query.http.errors import Fault, FaultError, not_supported, to_fault
from query.http.searching import SearchAnswer, coverage, observed, run_search
from query.http.service import Service, checked_uid, service_of
from query.http.slow_searches import note_slow
from query.multi_search import Federation, Query, parse_multi_search, place_queries
from query.nodes.rounds import Reading
from query.query_hash import hash_query
from query.rules import IndexRules
from query.search import SearchRequest
from query.validate import validate
from schemas.errors import InvalidSearchError, MiroirError, NotFoundError
from schemas.events import IndexRecord
from schemas.ids import IndexUid, node_index_uid

QUERIES_AT_ONCE = 8
"""Searches of one request under way together, so that it does not take a node's whole room."""

MULTI_SEARCH = "/multi-search"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FederatedAnswer:
    """A federated answer's body, and the shards that are not in it, each behind its index and a colon."""

    body: dict[str, Any]
    missing: tuple[str, ...]


async def multi_search(request: web.Request) -> web.Response:
    """Answer ``POST /multi-search``."""
    demands = read_demands(request)
    multi = parse_multi_search(await read_json(request))
    service = service_of(request)
    for query in multi.queries:
        _check_query(service, query)
    if multi.federation is not None:
        merged = await observed(service, _federated(service, multi.queries, multi.federation, demands))
        return json_response(merged.body, headers=_degraded(merged.missing))
    answers = await _at_once([partial(_own_list, service, query, demands) for query in multi.queries])
    results = [{"indexUid": query.index, **answer.body} for query, answer in zip(multi.queries, answers, strict=True)]
    lacking = {
        f"{query.index}:{shard}"
        for query, answer in zip(multi.queries, answers, strict=True)
        for shard in answer.missing
    }
    return json_response({"results": results}, headers=_degraded(lacking))


async def _own_list(service: Service, query: Query, demands: Demands) -> SearchAnswer:
    try:
        return await run_search(service, IndexUid(query.index), query.search, demands)
    except MiroirError as error:
        raise _inside(error, query.position) from error


async def _federated(
    service: Service, queries: Sequence[Query], federation: Federation, demands: Demands
) -> FederatedAnswer:
    if federation.unsupported:
        raise not_supported(f"The option `federation.{federation.unsupported[0]}`")
    remote = next((query.remote for query in queries if query.remote is not None), None)
    if remote is not None:
        raise not_supported(f"The option `federationOptions.{remote}`")
    begun_s = asyncio.get_running_loop().time()
    _check_unused_facets(service, queries, federation)
    _check_orders(service, queries, federation)
    uids = list(dict.fromkeys(query.index for query in queries))
    _check_rules(service, queries)
    check_window(federation, [service.views.rules(service.views.searched.index(IndexUid(uid))) for uid in uids])
    groups = [tuple(query for query in queries if query.index == uid) for uid in uids]
    reach: Reach | None = None
    while True:
        reads = await _at_once(
            [partial(_read_index, service, group, federation, demands, reach, begun_s) for group in groups]
        )
        reach = further_reach(federation, [read.outcome for read in reads])
        if reach is None:
            break
    body = merge_federated(federation, [read.outcome for read in reads])
    took_s = asyncio.get_running_loop().time() - begun_s
    note_slow(
        service,
        took_s,
        [(uid, read.trace) for uid, read in zip(uids, reads, strict=True)],
        [query.search.q for query in queries],
    )
    body["processingTimeMs"] = int(took_s * 1000)
    body["requestUid"] = new_uuid7()
    missing = {uid: read.missing for uid, read in zip(uids, reads, strict=True) if read.missing}
    behind = {uid: found for uid in uids if (found := service.behind(IndexUid(uid)))}
    if lacking := missing.keys() | behind.keys():
        shards = {uid: service.views.topology.index(IndexUid(uid)).shards for uid in lacking}
        covered = {uid: coverage(shards[uid], missing.get(uid, ()), behind.get(uid, ())) for uid in sorted(lacking)}
        body["_miroir"] = {"coverage": covered, **body.get("_miroir", {})}
    return FederatedAnswer(body, tuple(sorted({f"{uid}:{shard}" for uid in missing for shard in missing[uid]})))


async def _read_index(
    service: Service,
    queries: tuple[Query, ...],
    federation: Federation,
    demands: Demands,
    reach: Reach | None,
    begun_s: float,
) -> Read[IndexAnswers]:
    uid = IndexUid(queries[0].index)

    def prepare(index: IndexRecord, rules: IndexRules) -> Reading[IndexAnswers]:
        for query in queries:
            _check_search(query, rules)
        _check_facets(federation, rules, f"Inside `.queries[{queries[0].position}]`: ")
        node_index = node_index_uid(index.uid, index.incarnation)
        case = FederatedCase(federation, queries, rules, index.shards, node_index, reach)
        choice = hash_query(uid, queries[0].search)
        return Reading(MULTI_SEARCH, choice, partial(decide_federated, case), partial(federated_body, case))

    words = [query.search.q for query in queries]
    # Nodes are asked the queries of one index only, and number these.
    reword = partial(place_queries, positions=[query.position for query in queries])
    return await read_index(service, uid, demands, prepare, search=words, begun_s=begun_s, reword=reword)


def _check_query(service: Service, query: Query) -> None:
    uid = checked_uid(query.index, f"Invalid value at `.queries[{query.position}].indexUid`: ")
    try:
        service.views.topology.index(uid)
        if query.search.unsupported:
            raise not_supported(f"The search parameter `{query.search.unsupported[0]}`")
    except MiroirError as error:
        raise _inside(error, query.position) from error


def _check_search(query: Query, rules: IndexRules) -> None:
    try:
        validate(query.search, rules)
    except MiroirError as error:
        raise _inside(error, query.position) from error


def _check_facets(federation: Federation, rules: IndexRules, prefix: str, suffix: str = "") -> None:
    try:
        validate(SearchRequest(facets=federation.facets.get(rules.index)), rules)
    except InvalidSearchError as error:
        place = f"Inside `.federation.facetsByIndex.{rules.index}`: "
        raise InvalidSearchError(error.code, f"{prefix}{place}{error}{suffix}") from error


def _check_unused_facets(service: Service, queries: Sequence[Query], federation: Federation) -> None:
    used = {query.index for query in queries}
    for uid in federation.facets:
        if uid in used:
            continue
        note = f"\n - Note: index `{uid}` is not used in queries"
        try:
            index = service.views.searched.index(IndexUid(uid))
        except NotFoundError as error:
            fault = to_fault(error)
            message = f"Inside `.federation.facetsByIndex.{uid}`: {fault.message}{note}"
            raise FaultError(Fault(400, fault.code, message)) from error
        _check_facets(federation, replace(service.views.rules(index), index=uid), "", note)


def _check_orders(service: Service, queries: Sequence[Query], federation: Federation) -> None:
    firsts = {query.index: query.position for query in reversed(queries)}
    uids = [*sorted(firsts), *(uid for uid in federation.facets if uid not in firsts)]
    rules = [service.views.rules(service.views.searched.index(IndexUid(uid))) for uid in uids]
    check_facet_orders(
        federation, [(replace(own, index=uid), firsts.get(uid)) for own, uid in zip(rules, uids, strict=True)]
    )


def _check_rules(service: Service, queries: Sequence[Query]) -> None:
    """Refuse queries that cannot stand in one list; one that cannot stand at all is told as that."""
    checked = []
    for query in sorted(queries, key=lambda each: each.index):
        rules = service.views.rules(service.views.searched.index(IndexUid(query.index)))
        _check_search(query, rules)
        checked.append((query, rules))
    check_federated_rules(checked)


async def _at_once(asked: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Return all outcomes in order, few under way together; the first error ends the others."""
    turn = asyncio.Semaphore(QUERIES_AT_ONCE)

    async def one(ask: Callable[[], Awaitable[T]]) -> T:
        async with turn:
            return await ask()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(ask)) for ask in asked]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]


def _inside(error: MiroirError, position: int) -> MiroirError:
    """Return the error with the query's place in front, where it is the caller's."""
    fault = to_fault(error)
    if fault.status not in range(400, 500):
        return error
    # Also an index that is not there: Meilisearch calls the whole request bad.
    return FaultError(Fault(400, fault.code, f"Inside `.queries[{position}]`: {fault.message}"))


def _degraded(lacking: Collection[str]) -> dict[str, str] | None:
    return {"X-Miroir-Degraded": f"shards={','.join(sorted(lacking))}"} if lacking else None


ROUTES = (web.post(MULTI_SEARCH, multi_search),)
