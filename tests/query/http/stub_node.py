"""A node in memory that speaks as much of Meilisearch's API as the query service uses, and fails when it is told to.

Its search is as plain as can be: every document whose text holds the query, in the order of the ids.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from streams.marker import MARKER_FIELD, PLANE_15_FIRST

_SHARDS = re.compile(rf"{MARKER_FIELD} IN \[(.*)\]")


@dataclass(slots=True)
class StubNode:
    """One node.

    Attributes:
        documents: by index as the node names it, then by id.
        key: the key it accepts; None accepts any.
        fault: status and body to answer everything with but its health, or None.
        held: while set, searches and lists of documents wait for it.
        waiting: how many do.
        overlong: whether hits and documents are more than anybody reads.
        searches: bodies of the searches it was asked, in order.
        fetches: bodies of the lists of documents it was asked, in order.
        program: which Meilisearch it says it is.
        commit: what it says it was built of.
    """

    documents: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    key: str | None = None
    fault: tuple[int, dict[str, Any]] | None = None
    held: asyncio.Event | None = None
    waiting: int = 0
    overlong: bool = False
    searches: list[dict[str, Any]] = field(default_factory=list)
    fetches: list[dict[str, Any]] = field(default_factory=list)
    program: str = "1.50.0"
    commit: str = "unknown"
    _server: TestServer | None = None

    @property
    def url(self) -> str:
        """Where it listens, once it has started."""
        assert self._server is not None
        return str(self._server.make_url("")).rstrip("/")

    async def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/health", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/stats", self._all_stats)
        app.router.add_post("/indexes/{uid}/search", self._search)
        app.router.add_post("/multi-search", self._multi_search)
        app.router.add_post("/indexes/{uid}/facet-search", self._facet_search)
        app.router.add_post("/indexes/{uid}/documents/fetch", self._fetch)
        app.router.add_get("/indexes/{uid}/documents/{id}", self._get)
        app.router.add_get("/indexes/{uid}/stats", self._stats)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server()
        return self

    async def stop(self) -> None:
        """Go away; connections are refused from now on."""
        if self._server is not None:
            await self._server.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.headers.get("Accept-Encoding") == "identity"
        if request.path != "/health":
            if self.fault is not None:
                return web.json_response(self.fault[1], status=self.fault[0])
            if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
                return _error(403, "invalid_api_key", "The provided API key is invalid.")
            uid = request.match_info.get("uid")
            if uid is not None and uid not in self.documents:
                return _error(404, "index_not_found", f"Index `{uid}` not found.")
        response: web.StreamResponse = await handler(request)
        return response

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "available"})

    async def _hold(self) -> None:
        if self.held is not None:
            self.waiting += 1
            await self.held.wait()
            self.waiting -= 1

    async def _send_much(self, request: web.Request) -> web.StreamResponse:
        """Begin to answer with a list of a hundred gigabytes."""
        response = web.StreamResponse(headers={"Content-Length": str(100 * 10**9)})
        await response.prepare(request)
        return response

    async def _search(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.searches.append(body)
        await self._hold()
        if self.overlong:
            return await self._send_much(request)
        uid = request.match_info["uid"]
        if "bad filter" in repr(body.get("filter")):
            words = f"Index `{uid}`: bad filter. Available: `{MARKER_FIELD}`, `year`."
            return _error(400, "invalid_search_filter", words)
        text = "" if "hybrid" in body else body.get("q", "")
        found = [document for document in self._selected(uid, body) if text in repr(document.values())]
        details = {"words": {"order": 0, "matchingWords": 1, "maxMatchingWords": 1, "score": 1.0}}
        hits = [{**document, "_rankingScore": 1.0, "_rankingScoreDetails": details} for document in found]
        if "hybrid" in body:
            hits = sorted((_similar(hit, body) for hit in hits), key=lambda hit: -hit["_rankingScore"])
        offset, limit = body.get("offset", 0), body.get("limit", 20)
        answer = {"hits": [_shown(hit, body) for hit in hits[offset : offset + limit]], "estimatedTotalHits": len(hits)}
        if "facets" in body:
            # As a node counts ``*``: the marker's values, too.
            names = (*body["facets"], MARKER_FIELD)
            counts = {name: Counter(str(hit[name]) for hit in hits if name in hit) for name in names}
            answer |= {"facetDistribution": counts, "facetStats": {}}
        return web.json_response(answer)

    async def _multi_search(self, request: web.Request) -> web.StreamResponse:
        """Answer a federated search: of each document the hit with the greatest weight, by weight, then by id."""
        body = orjson.loads(await request.read())
        await self._hold()
        if self.overlong:
            return await self._send_much(request)
        best: dict[Any, dict[str, Any]] = {}
        for position, query in enumerate(body["queries"]):
            if "bad filter" in repr(query.get("filter")):
                return _error(400, "invalid_search_filter", f"Inside `.queries[{position}]`: bad filter")
            weight = query["federationOptions"]["weight"]
            for document in self._selected(query["indexUid"], query):
                known = best.get(document["id"])
                found = query.get("q", "") in repr(document.values())
                if found and (known is None or known["_federation"]["weightedRankingScore"] < weight):
                    place = {"queriesPosition": position, "weightedRankingScore": weight}
                    details = {"words": {"order": 0, "matchingWords": 1, "maxMatchingWords": 1, "score": 1.0}}
                    scores = {"_rankingScore": 1.0, "_rankingScoreDetails": details}
                    best[document["id"]] = {**document, "_federation": place, **scores}
        hits = sorted(best.values(), key=lambda hit: (-hit["_federation"]["weightedRankingScore"], hit["id"]))
        return web.json_response({"hits": hits[: body["federation"]["limit"]], "estimatedTotalHits": len(hits)})

    async def _facet_search(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        await self._hold()
        if (refused := _refused_point(body)) is not None:
            return refused
        found = Counter(document[body["facetName"]] for document in self._selected(request.match_info["uid"], body))
        hits = [{"value": value, "count": count} for value, count in sorted(found.items())]
        return web.json_response({"facetHits": hits, "facetQuery": body.get("facetQuery")})

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.fetches.append(body)
        await self._hold()
        if self.overlong and body["limit"]:
            return await self._send_much(request)
        if (refused := _refused_point(body)) is not None:
            return refused
        found = self._selected(request.match_info["uid"], body)
        if "ids" in body:
            found = [document for document in found if str(document["id"]) in map(str, body["ids"])]
        for criterion in reversed(body.get("sort", ())):
            name, _, direction = criterion.rpartition(":")
            found = sorted(found, key=lambda document: document[name], reverse=direction == "desc")
        if "fields" in body:
            fields = [*body["fields"], *(["_vectors"] if body.get("retrieveVectors") else ())]
            found = [{name: document[name] for name in fields if name in document} for document in found]
        offset, limit = body.get("offset", 0), body["limit"]
        return web.json_response({"results": found[offset : offset + limit], "total": len(found)})

    async def _get(self, request: web.Request) -> web.Response:
        document = self.documents[request.match_info["uid"]].get(request.match_info["id"])
        if document is None:
            return _error(404, "document_not_found", "Document not found.")
        if (fields := request.query.get("fields")) is not None and fields != "*":
            document = {name: value for name, value in document.items() if name in fields.split(",")}
        return web.json_response(document)

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._counted(request.match_info["uid"]))

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"pkgVersion": self.program, "commitSha": self.commit})

    async def _all_stats(self, _request: web.Request) -> web.Response:
        indexes = {uid: self._counted(uid) for uid in self.documents}
        sizes = {"databaseSize": 100, "usedDatabaseSize": 50, "lastUpdate": "2026-01-01T00:00:00Z"}
        return web.json_response({**sizes, "indexes": indexes})

    def _counted(self, uid: str) -> dict[str, Any]:
        held = self.documents[uid].values()
        names = {name for document in held for name in document}
        return {
            "numberOfDocuments": len(held),
            "rawDocumentDbSize": 10 * len(held),
            "avgDocumentSize": 10,
            "isIndexing": False,
            "fieldDistribution": {name: sum(name in document for document in held) for name in names},
        }

    def _selected(self, uid: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the documents of the shards that the filter names, by id; all where it names none."""
        match = _SHARDS.search(" ".join(map(str, body.get("filter", ()))))
        held = [document for _, document in sorted(self.documents[uid].items())]
        if match is None:
            return held
        return [document for document in held if str(document[MARKER_FIELD]) in match[1]]


def _shown(hit: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return the hit with every attribute in whatever formats were asked for."""
    shown = dict(hit)
    if "attributesToHighlight" in body:
        shown["_formatted"] = {name: str(value) for name, value in hit.items()}
    if body.get("showMatchesPosition"):
        shown["_matchesPosition"] = {name: [{"start": 0, "length": 1}] for name in hit}
    return shown


def _similar(hit: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return the hit with how near its vector is to the one asked for; 0 where it has none."""
    (vector,) = hit["_vectors"][body["hybrid"]["embedder"]]["embeddings"] or (None,)
    similarity = None if vector is None else 1 / (1 + math.dist(vector, body["vector"]))
    details = {"vectorSort": {"order": 0, "similarity": similarity}}
    return {**hit, "_rankingScore": similarity or 0.0, "_rankingScoreDetails": details}


def shards_of(body: dict[str, Any]) -> list[int]:
    """Return the shards that a question's filter names; none where it names none."""
    match = _SHARDS.search(" ".join(map(str, body.get("filter", ()))))
    return [ord(marker) - PLANE_15_FIRST for marker in re.findall(r'"(.)"', match[1])] if match is not None else []


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"message": message, "code": code, "type": "invalid_request", "link": ""}, status=status)


def _refused_point(body: Mapping[str, Any]) -> web.Response | None:
    """Refuse the one point that is none, in a filter printed with that of the shards behind it."""
    given = body.get("filter")
    own, *shards = given if isinstance(given, list) and given else [given]
    if own != "_geoRadius(100,2,3)":
        return None
    printed = f'(_geoRadius(100, 2, 3)) AND ("{MARKER_FIELD}" IN ["x"])' if shards else own
    return _error(400, "invalid_search_filter", f"Bad latitude `100`.\n{'13:16' if shards else '12:15'} {printed}")
