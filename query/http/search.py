"""The search routes of one index: search by POST and GET, facet search, explain.

Who calls it: the application. It must not know: how a search is carried out.
"""

from aiohttp import web

from query.facet_search import parse_facet_search
from query.http.bodies import read_json
from query.http.demands import read_asked
from query.http.searching import answer_response, run_explain, run_facet_search, run_search
from query.parameters import parse_search_parameters
from query.search import parse_search


async def search_post(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/search``."""
    search = parse_search(await read_json(request))
    uid, demands, service = read_asked(request)
    return answer_response(await run_search(service, uid, search, demands))


async def search_get(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/search``."""
    search = parse_search_parameters(request.query)
    uid, demands, service = read_asked(request)
    return answer_response(await run_search(service, uid, search, demands))


async def explain(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/explain``: how a search is carried out."""
    search = parse_search(await read_json(request))
    uid, demands, service = read_asked(request)
    return answer_response(await run_explain(service, uid, search, demands))


async def facet_search(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/facet-search``."""
    wanted = parse_facet_search(await read_json(request))
    uid, demands, service = read_asked(request)
    return answer_response(await run_facet_search(service, uid, wanted, demands))


ROUTES = (
    web.post("/indexes/{uid}/search", search_post),
    web.get("/indexes/{uid}/search", search_get, allow_head=False),
    web.post("/indexes/{uid}/facet-search", facet_search),
    web.post("/indexes/{uid}/explain", explain),
)
