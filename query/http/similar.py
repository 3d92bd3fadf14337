"""The routes that find documents like one of them, by POST and GET.

What always holds: the document itself is not among the hits. Who calls it: the application. It must not know: how
vectors compare.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from query.http.asking import Read, node_path, read_index
from query.http.bodies import read_json
from query.http.demands import Demands, read_asked
from query.http.errors import not_supported
from query.http.reading import fetch_document
from query.http.searching import SearchAnswer, answer_response, observed, told
from query.http.service import Service
from query.http.slow_searches import note_slow
from query.merge import MergedAnswer
from query.nodes.rounds import Reading
from query.parameters import parse_similar_parameters
from query.query_hash import hash_query
from query.rounds import SearchCase, body_of, decide_round
from query.rules import IndexRules
from query.similar import (
    VECTORS_MAX,
    SimilarRequest,
    build_similar,
    check_similar,
    parse_similar,
    ranks_otherwise,
    similar_search,
    vectors_of,
)
from schemas.errors import InvalidSearchError, NotFoundError
from schemas.events import IndexRecord
from schemas.ids import IndexUid


async def similar_post(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/similar``."""
    wanted = parse_similar(await read_json(request))
    uid, demands, service = read_asked(request)
    return answer_response(await observed(service, _similar(service, uid, wanted, demands)))


async def similar_get(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/similar``."""
    wanted = parse_similar_parameters(request.query)
    uid, demands, service = read_asked(request)
    return answer_response(await observed(service, _similar(service, uid, wanted, demands)))


async def _similar(service: Service, uid: IndexUid, wanted: SimilarRequest, demands: Demands) -> SearchAnswer:
    begun_s = asyncio.get_running_loop().time()
    index = service.views.searched.index(uid)
    rules = service.views.rules(index)
    check_similar(wanted, rules)
    _check_supported(wanted, rules)
    try:
        document = await fetch_document(service, index, wanted.id, fields=("_vectors",), vectors=True, demands=demands)
    except NotFoundError:
        raise InvalidSearchError("not_found_similar_id", f"Document `{wanted.id}` not found.") from None
    vectors = vectors_of(document, wanted.embedder)
    if len(vectors) > VECTORS_MAX:
        raise not_supported(f"What is similar to a document of more than {VECTORS_MAX} vectors")
    reads = [await _read(service, uid, wanted, vector, demands, begun_s) for vector in vectors or (None,)]
    body = build_similar(wanted, [read.outcome for read in reads], rules)
    took_s = asyncio.get_running_loop().time() - begun_s
    note_slow(service, took_s, [(uid, read.trace) for read in reads], wanted.id)
    body["processingTimeMs"] = int(took_s * 1000)
    missing = tuple(sorted({shard for read in reads for shard in read.missing}))
    return SearchAnswer(told(body, service, uid, missing, ()), missing)


async def _read(
    service: Service,
    uid: IndexUid,
    wanted: SimilarRequest,
    vector: Sequence[float] | None,
    demands: Demands,
    begun_s: float,
) -> Read[MergedAnswer]:
    def prepare(index: IndexRecord, rules: IndexRules) -> Reading[MergedAnswer]:
        search = similar_search(wanted, vector, rules)
        case = SearchCase(search, rules.opened(), index.shards)
        path, choice = node_path(index, "search"), hash_query(uid, search)
        return Reading(path, choice, partial(decide_round, case), partial(body_of, case))

    return await read_index(service, uid, demands, prepare, search=wanted.id, begun_s=begun_s)


def _check_supported(wanted: SimilarRequest, rules: IndexRules) -> None:
    if wanted.search.unsupported:
        raise not_supported(f"The parameter `{wanted.search.unsupported[0]}`")
    if ranks_otherwise(rules):
        raise not_supported("`similar` in an index whose ranking rules of its own stand before Meilisearch's")


ROUTES = (
    web.post("/indexes/{uid}/similar", similar_post),
    web.get("/indexes/{uid}/similar", similar_get, allow_head=False),
)
