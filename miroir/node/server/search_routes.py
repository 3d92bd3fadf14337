"""Routes of searches: one, many, facets."""

import time
import uuid
from dataclasses import replace
from typing import Any

from aiohttp import web

from miroir.node.engine.federation import Query, federate, parse_multi_search
from miroir.node.engine.search import search, search_facet
from miroir.node.engine.search_request import (
    SearchRequest,
    parse_search,
    parse_search_parameters,
)
from miroir.node.protocol.errors import ApiError, index_not_found
from miroir.node.protocol.index_uids import check_index_uid
from miroir.node.protocol.keys import Permit
from miroir.node.server.http import answer, node_of, read_json
from miroir.node.sqlite.index_reader import CatalogReader, SqliteIndexReader
from schemas.meilisearch_requests import FACET_SEARCH_FIELDS
from schemas.meilisearch_values import read_boolean, read_object, read_string


def add_search_routes(app: web.Application) -> None:
    """Register the routes."""
    app.router.add_post("/indexes/{uid}/search", search_by_body)
    app.router.add_get("/indexes/{uid}/search", search_by_parameters, allow_head=False)
    app.router.add_post("/indexes/{uid}/facet-search", facet_search)
    app.router.add_post("/multi-search", multi_search)
    app.router.add_post("/indexes/{uid}/similar", similar)
    app.router.add_get("/indexes/{uid}/similar", similar, allow_head=False)


def _open(catalog: CatalogReader, uid: str) -> SqliteIndexReader:
    record = catalog.find(uid)
    if record is None:
        raise index_not_found(uid)
    return catalog.open(record)


def _permitted_uid(request: web.Request) -> tuple[str, Permit]:
    uid = request.match_info["uid"]
    permit = node_of(request).authorise(request.headers.get("Authorization"), "search", uid)
    return check_index_uid(uid), permit


def _milliseconds(started_s: float) -> int:
    return int((time.perf_counter() - started_s) * 1000)


async def search_by_body(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/search."""
    uid, permit = _permitted_uid(request)
    return await _search(request, uid, permit, parse_search(await read_json(request)))


async def search_by_parameters(request: web.Request) -> web.Response:
    """GET /indexes/{uid}/search."""
    uid, permit = _permitted_uid(request)
    return await _search(request, uid, permit, parse_search_parameters(request.query))


async def _search(request: web.Request, uid: str, permit: Permit, asked: SearchRequest) -> web.Response:
    started_s = time.perf_counter()
    asked = replace(asked, filter=permit.restrict(uid, asked.filter))
    found = await node_of(request).in_search(lambda catalog: search(_open(catalog, uid), asked))
    return answer(_complete(found, asked, started_s, str(uuid.uuid4())))


def _complete(found: dict[str, Any], asked: SearchRequest, started_s: float, request_uid: str) -> dict[str, Any]:
    hits = found.pop("hits")
    head = {"hits": hits, "query": asked.q or "", "processingTimeMs": _milliseconds(started_s)}
    return {**head, **found, "requestUid": request_uid}


async def facet_search(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/facet-search."""
    started_s = time.perf_counter()
    uid, permit = _permitted_uid(request)
    body = read_object(await read_json(request))
    # A facet search leaves alone what it does not know.
    body = {name: value for name, value in body.items() if name in FACET_SEARCH_FIELDS}
    if body.get("facetName") is None:
        raise ApiError("missing_facet_search_facet_name", "Missing field `facetName`")
    name = read_string(body["facetName"], "invalid_facet_search_facet_name", ".facetName")
    query = body.get("facetQuery")
    if query is not None:
        read_string(query, "invalid_facet_search_query", ".facetQuery")
    if body.get("exhaustiveFacetCount") is not None:
        read_boolean(
            body["exhaustiveFacetCount"], "invalid_facet_search_exhaustive_facet_count", ".exhaustiveFacetCount"
        )
    rest = {key: value for key, value in body.items() if key not in {"facetName", "facetQuery", "exhaustiveFacetCount"}}
    asked = parse_search(rest)
    asked = replace(asked, filter=permit.restrict(uid, asked.filter))

    def job(catalog: CatalogReader) -> list[dict[str, Any]]:
        reader = _open(catalog, uid)
        if not reader.settings.facet_search:
            raise ApiError("facet_search_disabled", "The facet search is disabled for this index")
        return _facet_job(reader, name, query, asked)

    hits = await node_of(request).in_search(job)
    return answer({"facetHits": hits, "facetQuery": query, "processingTimeMs": _milliseconds(started_s)})


def _facet_job(reader: SqliteIndexReader, name: str, query: str | None, asked: SearchRequest) -> list[dict[str, Any]]:
    pattern = reader.settings.filter_pattern(name)
    if asked.filter is not None or (pattern is not None and pattern.facet_search):
        hits = search_facet(reader, name, query, asked)
        if pattern is not None and pattern.facet_search:
            return hits
    if pattern is not None:
        place = reader.settings.filterable.index(pattern)
        note = (
            f"Note: this attribute matches rule #{place} in filterableAttributes, but this rule does not enable"
            f' facetSearch.\nHint: enable facetSearch in rule #{place} by adding `"facetSearch": true` to the rule.\n'
            f"Hint: prepend another rule matching {name} with facetSearch: true before rule #{place}"
        )
        text = f"Attribute `{name}` is not facet-searchable. {note}"
        raise ApiError("invalid_facet_search_facet_name", text)
    listed = reader.settings.list_displayed(
        p for entry in reader.settings.filterable if entry.facet_search for p in entry.patterns
    )
    if listed:
        tail = f"Available facet-searchable attributes patterns are: `{listed}`."
    else:
        tail = "This index does not have configured facet-searchable attributes."
    hint = "To make it facet-searchable add it to the `filterableAttributes` index settings."
    text = f"Attribute `{name}` is not facet-searchable. {tail} {hint}"
    raise ApiError("invalid_facet_search_facet_name", text)


def _restricted(query: Query, permit: Permit) -> Query:
    condition = permit.restrict(query.index_uid, query.request.filter)
    return replace(query, request=replace(query.request, filter=condition))


async def multi_search(request: web.Request) -> web.Response:
    """POST /multi-search."""
    started_s = time.perf_counter()
    permit = node_of(request).authorise(request.headers.get("Authorization"), "search")
    multi = parse_multi_search(await read_json(request))
    for place, query in enumerate(multi.queries):
        if not permit.may_search(query.index_uid):
            raise ApiError("invalid_api_key", f"Inside `.queries[{place}]`: The provided API key is invalid.")
    multi = replace(multi, queries=tuple(_restricted(query, permit) for query in multi.queries))
    request_uid = str(uuid.uuid4())

    def job(catalog: CatalogReader) -> dict[str, Any]:
        if multi.federation is not None:
            return federate(multi, lambda uid: _open(catalog, uid))
        results = []
        for place, query in enumerate(multi.queries):
            query_started_s = time.perf_counter()
            try:
                found = search(_open(catalog, query.index_uid), query.request)
            except ApiError as error:
                raise ApiError(error.code, f"Inside `.queries[{place}]`: {error.message}", status=400) from None
            complete = _complete(found, query.request, query_started_s, request_uid)
            results.append({"indexUid": query.index_uid, **complete})
        return {"results": results}

    found = await node_of(request).in_search(job)
    if multi.federation is not None:
        hits = found.pop("hits")
        found = {"hits": hits, "processingTimeMs": _milliseconds(started_s), **found, "requestUid": request_uid}
    return answer(found)


async def similar(request: web.Request) -> web.Response:
    """POST and GET /indexes/{uid}/similar: needs an embedder, and an embedded node has none."""
    uid, _ = _permitted_uid(request)
    body = dict(request.query) if request.method == "GET" else read_object(await read_json(request))
    found = await node_of(request).in_search(lambda catalog: catalog.find(uid))
    if found is None:
        raise index_not_found(uid)
    for name in ("id", "embedder"):
        if body.get(name) is None:
            raise ApiError(f"missing_similar_{name}", f"Missing field `{name}`")
    raise ApiError("invalid_similar_embedder", f"Cannot find embedder with name `{body['embedder']}`.")
