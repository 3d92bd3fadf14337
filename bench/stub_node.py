"""A node that takes everything and answers at once: what is measured against it is miroir alone.

It speaks as much of Meilisearch's protocol as workers, controller and query services need, keeps tasks and counts
documents, but no document. ``python -m bench.stub_node --http-addr HOST:PORT …`` takes Meilisearch's flags.
"""

import argparse
import time
from typing import Any

import orjson
from aiohttp import web

HITS_MAX = 20
HIT_BYTES = 400


class StubNode:
    """Tasks, keys and counts of one stub."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.indexes: dict[str, dict[str, Any]] = {}
        self.synonyms: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = []
        self.documents = 0
        self.posts = 0
        self.first_s = 0.0
        self.last_s = 0.0
        self._answers = [_answer(limit) for limit in range(HITS_MAX + 1)]

    def task(self, kind: str, index: str | None, metadata: str | None) -> web.Response:
        """Note a task that has succeeded, and answer for it."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
        uid = len(self.tasks)
        self.tasks.append(
            {
                "uid": uid,
                "batchUid": uid,
                "indexUid": index,
                "status": "succeeded",
                "type": kind,
                "error": None,
                "customMetadata": metadata,
                "enqueuedAt": stamp,
                "startedAt": stamp,
                "finishedAt": stamp,
            }
        )
        body = {"taskUid": uid, "indexUid": index, "status": "enqueued", "type": kind, "enqueuedAt": stamp}
        return web.json_response(body, status=202)

    async def post_documents(self, request: web.Request) -> web.Response:
        """Count the lines."""
        body = await request.read()
        self.first_s = self.first_s or time.time()
        self.last_s = time.time()
        self.documents += body.count(b"\n") + 1
        self.posts += 1
        return self.task("documentAdditionOrUpdate", request.match_info["uid"], request.query.get("customMetadata"))

    async def post_deletes(self, request: web.Request) -> web.Response:
        """Take a delete-batch, a delete by filter, or a delete of everything."""
        await request.read()
        return self.task("documentDeletion", request.match_info["uid"], request.query.get("customMetadata"))

    async def list_tasks(self, request: web.Request) -> web.Response:
        """Answer a page, rising with ``reverse``, falling without."""
        limit = int(request.query.get("limit", "20"))
        if request.query.get("reverse") == "true":
            start = int(request.query.get("from", "0"))
            page = self.tasks[start : start + limit]
            following = start + limit if start + limit < len(self.tasks) else None
        else:
            page, following = self.tasks[::-1][:limit], None
        body = {"results": page, "total": len(self.tasks), "limit": limit, "from": 0, "next": following}
        return web.json_response(body)

    async def get_task(self, request: web.Request) -> web.Response:
        """Answer one task."""
        return web.json_response(self.tasks[int(request.match_info["task"])])

    async def make_index(self, request: web.Request) -> web.Response:
        """Note an index."""
        body = await request.json()
        self.indexes[body["uid"]] = {"uid": body["uid"], "primaryKey": body.get("primaryKey")}
        return self.task("indexCreation", body["uid"], None)

    async def list_indexes(self, _: web.Request) -> web.Response:
        """Answer all indexes."""
        results = list(self.indexes.values())
        return web.json_response({"results": results, "offset": 0, "limit": 1000, "total": len(results)})

    async def set_settings(self, request: web.Request) -> web.Response:
        """Keep the synonyms: they carry the version."""
        uid = request.match_info["uid"]
        self.synonyms[uid] = (await request.json()).get("synonyms", {})
        return self.task("settingsUpdate", uid, None)

    async def get_synonyms(self, request: web.Request) -> web.Response:
        """Answer the synonyms."""
        return web.json_response(self.synonyms.get(request.match_info["uid"], {}))

    async def make_key(self, request: web.Request) -> web.Response:
        """Note a key; none is ever checked."""
        key = {**await request.json(), "key": "stub"}
        self.keys.append(key)
        return web.json_response(key, status=201)

    async def list_keys(self, _: web.Request) -> web.Response:
        """Answer all keys."""
        return web.json_response({"results": self.keys, "offset": 0, "limit": 1000, "total": len(self.keys)})

    async def search(self, request: web.Request) -> web.Response:
        """Answer the same hits to everything, as many as are asked for."""
        limit = min(orjson.loads(await request.read()).get("limit", HITS_MAX), HITS_MAX)
        return web.Response(body=self._answers[limit], content_type="application/json")

    async def counts(self, _: web.Request) -> web.Response:
        """Answer what was counted; a benchmark's own route."""
        return web.json_response(
            {"documents": self.documents, "posts": self.posts, "first_s": self.first_s, "last_s": self.last_s}
        )

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=200 * 1024 * 1024)

        async def healthy(_: web.Request) -> web.Response:
            return web.json_response({"status": "available"})

        async def version(_: web.Request) -> web.Response:
            return web.json_response({"pkgVersion": "1.50.0", "commitSha": "stub", "commitDate": "stub"})

        app.add_routes(
            [
                web.get("/health", healthy),
                web.get("/version", version),
                web.get("/bench", self.counts),
                web.get("/keys", self.list_keys),
                web.post("/keys", self.make_key),
                web.get("/indexes", self.list_indexes),
                web.post("/indexes", self.make_index),
                web.patch("/indexes/{uid}/settings", self.set_settings),
                web.get("/indexes/{uid}/settings/synonyms", self.get_synonyms),
                web.post("/indexes/{uid}/documents", self.post_documents),
                web.delete("/indexes/{uid}/documents", self.post_deletes),
                web.post("/indexes/{uid}/documents/delete-batch", self.post_deletes),
                web.post("/indexes/{uid}/documents/delete", self.post_deletes),
                web.post("/indexes/{uid}/search", self.search),
                web.get("/tasks", self.list_tasks),
                web.get("/tasks/{task}", self.get_task),
            ]
        )
        return app


def _answer(limit: int) -> bytes:
    hits = [
        {
            "id": at,
            "text": "x" * HIT_BYTES,
            "_rankingScoreDetails": {"words": {"order": 0, "matchingWords": 1, "score": 1.0 - at / 1000}},
        }
        for at in range(limit)
    ]
    return orjson.dumps(
        {
            "hits": hits,
            "query": "x",
            "processingTimeMs": 0,
            "limit": limit,
            "offset": 0,
            "estimatedTotalHits": 1000,
        }
    )


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--http-addr", required=True)
    arguments, _ = parser.parse_known_args()
    host, _, port = arguments.http_addr.partition(":")
    web.run_app(
        StubNode().app(), host=host, port=int(port), print=None, access_log=None, handler_cancellation=False,
        max_line_size=128 * 1024, max_field_size=128 * 1024,
    )  # fmt: skip


if __name__ == "__main__":
    main()
