"""The search routes of one index: search by POST and GET, facet search, explain.

Who calls it: the application. It must not know: how a search is carried out.
"""

from aiohttp import web

from query.facet_search import parse_facet_search
from query.http.bodies import read_json
from query.http.demands import Demands, read_demands
from query.http.searching import answer_response, run_explain, run_facet_search, run_search
from query.http.service import Service, service_of, uid_of
from query.parameters import parse_search_parameters
from query.search import parse_search
from schemas.ids import IndexUid


async def search_post(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/search``."""
    search = parse_search(await read_json(request))
    uid, demands, service = _asked(request)
    return answer_response(await run_search(service, uid, search, demands))


async def search_get(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/search``."""
    search = parse_search_parameters(request.query)
    uid, demands, service = _asked(request)
    return answer_response(await run_search(service, uid, search, demands))


async def explain(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/explain``: how a search is carried out."""
    search = parse_search(await read_json(request))
    uid, demands, service = _asked(request)
    return answer_response(await run_explain(service, uid, search, demands))


async def facet_search(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/facet-search``."""
    wanted = parse_facet_search(await read_json(request))
    uid, demands, service = _asked(request)
    return answer_response(await run_facet_search(service, uid, wanted, demands))


def _asked(request: web.Request) -> tuple[IndexUid, Demands, Service]:
    """Return which index is asked, and how; as in Meilisearch after the body was read, so that its faults go first.

    Raises:
        NotFoundError: there is no such index.
        InvalidRequestError: the name cannot be one, or a header is wrong.
    """
    uid, service = uid_of(request), service_of(request)
    service.views.topology.index(uid)
    return uid, read_demands(request), service


ROUTES = (
    web.post("/indexes/{uid}/search", search_post),
    web.get("/indexes/{uid}/search", search_get, allow_head=False),
    web.post("/indexes/{uid}/facet-search", facet_search),
    web.post("/indexes/{uid}/explain", explain),
)
