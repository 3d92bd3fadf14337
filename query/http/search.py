"""The search routes of one index: search by POST and GET, facet search, explain.

Who calls it: the application. It must not know: how a search is carried out.
"""

from aiohttp import web

from query.facet_search import parse_facet_search
from query.http.bodies import read_json
from query.http.demands import read_demands
from query.http.searching import answer_response, run_explain, run_facet_search, run_search
from query.http.service import service_of, uid_of
from query.parameters import parse_search_parameters
from query.search import parse_search


async def search_post(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/search``."""
    uid = uid_of(request)
    options = read_demands(request)
    service = service_of(request)
    service.views.topology.index(uid)
    search = parse_search(await read_json(request))
    return answer_response(await run_search(service, uid, search, options))


async def search_get(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/search``."""
    uid = uid_of(request)
    options = read_demands(request)
    service = service_of(request)
    service.views.topology.index(uid)
    return answer_response(await run_search(service, uid, parse_search_parameters(request.query), options))


async def explain(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/explain``: how a search is carried out."""
    uid = uid_of(request)
    demands = read_demands(request)
    service = service_of(request)
    service.views.topology.index(uid)
    return answer_response(await run_explain(service, uid, parse_search(await read_json(request)), demands))


async def facet_search(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/facet-search``."""
    uid = uid_of(request)
    demands = read_demands(request)
    service = service_of(request)
    service.views.topology.index(uid)
    return answer_response(await run_facet_search(service, uid, parse_facet_search(await read_json(request)), demands))


ROUTES = (
    web.post("/indexes/{uid}/search", search_post),
    web.get("/indexes/{uid}/search", search_get, allow_head=False),
    web.post("/indexes/{uid}/facet-search", facet_search),
    web.post("/indexes/{uid}/explain", explain),
)
