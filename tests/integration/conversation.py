"""A conversation with one node, played to a query service over a cluster, and compared step by step.

What always holds: steps are sent in order, each write awaited until its task is final; what differs from run to run is
left out on both sides, and a task is the one of the same step, whatever its number. Who calls it: the test of the query
service. It must not know: why a step differs.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.test_utils import TestClient

from bench.parity_conversation import stable
from tests.miroir.node.process import NodeProcess

FINISHED = frozenset(("succeeded", "failed", "canceled"))
TASK_TIMEOUT_S = 150.0
POLL_S = 0.02
SHOWN = 900
WHOLE = 1000
"""More hits than any recorded search has."""

_OK = web.HTTPOk.status_code

TASK_NUMBERS = ("taskUid", "from", "next")

Client = TestClient[web.Request, web.Application]
Step = Mapping[str, Any]


class Played(NamedTuple):
    """What came of one step.

    Attributes:
        place: number of the step in the recording.
        name: its method and path.
        status: of the answer.
        difference: what differs; empty where nothing does.
    """

    place: int
    name: str
    status: int
    difference: str


def answers_of(node: NodeProcess, steps: Sequence[Step]) -> list[Step]:
    """Return the steps with what this node answers, in place of what was recorded."""
    answered: list[Step] = []
    for step in steps:
        raw, kind = _content(step)
        reply = node.call(
            step["method"],
            step["path"].replace(" ", "%20"),
            raw=raw,
            content_type=kind,
            authorization=step.get("authorization", f"Bearer {node.master_key}"),
        )
        named = isinstance(reply.body, dict) and "taskUid" in reply.body
        task = node.wait(reply.body["taskUid"]) if named else None
        documents = _documents(node, step) if named and "/documents" in step["path"] else None
        found = {"status": reply.status, "response": reply.body, "task": task, "documents": documents}
        answered.append({**step, **found, "places": _places(node, step) if reply.status == _OK else {}})
    return answered


def _places(node: NodeProcess, step: Step) -> dict[str, Any]:
    """Return what decides each hit's place in the whole list of a search, and its documents; by id.

    Hits of the same place stand in a node's own order, so another order of them is as right.
    """
    if step["method"] == "POST" and step["path"].endswith("/search"):
        asked = {name: value for name, value in step["body"].items() if name not in ("page", "hitsPerPage")}
        whole = {**asked, "offset": 0, "limit": WHOLE, "showRankingScoreDetails": True}
        hits = node.call("POST", step["path"], whole).body["hits"]
        return {
            str(hit["id"]): (json.dumps(hit["_rankingScoreDetails"], sort_keys=True), hit)
            for hit in hits
            if "id" in hit
        }
    if step["method"] in ("GET", "POST") and step["path"].partition("?")[0].endswith(("/documents", "/fetch")):
        return {str(document["id"]): ("", document) for document in _documents(node, step) or () if "id" in document}
    return {}


def _documents(node: NodeProcess, step: Step) -> Any:
    """Return all documents of the step's index."""
    found = node.call("GET", f"/indexes/{_index(step)}/documents?limit={WHOLE}")
    return found.body["results"] if found.status == _OK else None


class Player:
    """Plays steps to a service.

    Args:
        client: of the service.
        key: its master key.
    """

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key
        self._tasks: dict[int, int] = {}

    async def play(self, place: int, step: Step) -> Played:
        """Send one step, wait for its task, and compare."""
        status, body = await self._send(step)
        task = None
        if isinstance(body, dict) and "taskUid" in body:
            task = await self._finished(body["taskUid"])
            self._map(step, body["taskUid"])
        elif status == web.HTTPNotImplemented.status_code and step.get("documents") is not None:
            await self._make_good(step)
        return Played(place, f"{step['method']} {step['path']}", status, self._difference(status, body, task, step))

    async def _make_good(self, step: Step) -> None:
        """Bring the documents to where a write that is not built would have: later steps would differ only by it."""
        path = f"/indexes/{_index(step)}/documents"
        _, found = await self._send({"method": "POST", "path": f"{path}/fetch", "body": {"limit": WHOLE}})
        own = {str(document["id"]): document for document in found["results"]}
        wanted = {str(document["id"]): document for document in step["documents"]}
        if step["path"].endswith("/delete"):
            write = {"method": "POST", "path": f"{path}/delete-batch", "body": sorted(own.keys() - wanted.keys())}
        else:
            changed = [document for key, document in wanted.items() if own.get(key) != document]
            write = {"method": "POST", "path": path, "body": changed}
        _, accepted = await self._send(write)
        await self._finished(accepted["taskUid"])
        self._map(step, accepted["taskUid"])

    def _map(self, step: Step, own: int) -> None:
        recorded = step.get("response")
        if isinstance(recorded, dict) and "taskUid" in recorded:
            self._tasks[recorded["taskUid"]] = own

    async def _send(self, step: Step) -> tuple[int, Any]:
        raw, kind = _content(step)
        authorization = step.get("authorization", f"Bearer {self._key}")
        headers = {"Authorization": authorization} if authorization else {}
        if kind:
            headers["Content-Type"] = kind
        skipped = ("Content-Type", "Accept-Encoding")
        path = step["path"].replace(" ", "%20")
        request = self._client.request(step["method"], path, data=raw, headers=headers, skip_auto_headers=skipped)
        async with request as response:
            text = await response.read()
            return response.status, json.loads(text) if text else ""

    async def _finished(self, uid: int) -> Any:
        deadline_s = time.monotonic() + TASK_TIMEOUT_S
        while True:
            status, task = await self._send({"method": "GET", "path": f"/tasks/{uid}"})
            if status != _OK or task["status"] in FINISHED:
                return task
            assert time.monotonic() < deadline_s, f"task {uid} is not final: {task}"
            await asyncio.sleep(POLL_S)

    def _difference(self, status: int, body: Any, task: Any, step: Step) -> str:
        if status != step["status"]:
            return f"status {status}, recorded {step['status']}: {_short(body)}"
        for name, got, recorded in (("body", body, step.get("response", "")), ("task", task, step.get("task"))):
            wanted = self._renumbered(stable(recorded))
            if recorded is not None and stable(got) != wanted and not _is_as_right(stable(got), wanted, step):
                return f"{name}\n  got      {_short(stable(got))}\n  recorded {_short(wanted)}"
        return ""

    def _renumbered(self, value: Any) -> Any:
        """Return the recorded value with our numbers of its tasks: a refused write has none, and shifts the rest."""
        if isinstance(value, list):
            return [self._renumbered(item) for item in value]
        if not isinstance(value, dict):
            return value
        names = (*TASK_NUMBERS, "uid") if "canceledBy" in value else TASK_NUMBERS
        return {
            name: self._tasks.get(item, item) if name in names and isinstance(item, int) else self._renumbered(item)
            for name, item in value.items()
        }


def _is_as_right(got: Any, wanted: Any, step: Step) -> bool:
    """Return whether the hits differ only by which of several with the same place are shown, and the rest is equal."""
    name = next((name for name in ("hits", "results") if isinstance(wanted, dict) and name in wanted), "")
    places = step.get("places")
    if not places or not name or not isinstance(got, dict) or {**got, name: []} != {**wanted, name: []}:
        return False
    own, recorded = got[name], wanted[name]
    known = all(isinstance(hit, dict) and str(hit.get("id")) in places for hit in (*own, *recorded))
    if not known or len({str(hit["id"]) for hit in own}) != len(own):
        return False
    alike = [places[str(hit["id"])][0] for hit in own] == [places[str(hit["id"])][0] for hit in recorded]
    return alike and all(hit.items() <= places[str(hit["id"])][1].items() for hit in own)


def _index(step: Step) -> str:
    return str(step["path"]).split("/")[2]


def _content(step: Step) -> tuple[bytes | None, str | None]:
    raw, kind = step.get("raw"), step.get("content_type")
    if raw is None and step.get("body") is not None:
        return json.dumps(step["body"], ensure_ascii=False).encode(), kind or "application/json"
    return None if raw is None else raw.encode(), kind or (None if raw is None else "application/x-ndjson")


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:SHOWN]
