"""A node as far as its administration goes: keys, indexes, settings, a task queue that may be held; spoken to in HTTP.

It answers as a real node did (the same tests run against one where there is one); documents are not its matter.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

import httpx
import orjson

from schemas.meilisearch_settings import DEFAULT_SETTINGS

MASTER_KEY = "a-master-key-of-a-node"

_Answer = tuple[int, Any]


class StubMeilisearch:
    """One node's process and disk.

    Attributes:
        down: connections are refused.
        frozen: nothing answers in time.
        held: tasks stay enqueued.
        settings_error: code and message with which settings tasks fail; None for success.
        strange: a word that it does not know: settings are refused at once where it stands in them.
        strange_code: the error's code.
        version: as it reports.
        asked: what was asked, ``METHOD path``, in order.
    """

    def __init__(self) -> None:
        self.down = False
        self.frozen = False
        self.held = False
        self.settings_error: tuple[str, str] | None = None
        self.strange = ""
        self.strange_code = "invalid_settings_ranking_rules"
        self.version = "1.50.0"
        self.asked: list[str] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.indexes: dict[str, dict[str, Any]] = {}
        self.tasks: list[dict[str, Any]] = []
        self._query = httpx.QueryParams()

    def wipe(self) -> None:
        """Lose the disk."""
        self.keys, self.indexes, self.tasks = {}, {}, []

    def copy_disk(self) -> Any:
        """Return a copy of the disk."""
        return copy.deepcopy((self.keys, self.indexes, self.tasks))

    def restore_disk(self, disk: Any) -> None:
        """Come back with a copy of the disk."""
        self.keys, self.indexes, self.tasks = copy.deepcopy(disk)

    def release(self) -> None:
        """Let the held tasks run, and later ones at once."""
        self.held = False
        self._run()

    def settings(self, uid: str) -> dict[str, Any]:
        """Return the settings of an index."""
        found: dict[str, Any] = self.indexes[uid]["settings"]
        return found

    def transport(self) -> httpx.MockTransport:
        """Return the way to it."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(f"{request.method} {path}")
        assert request.headers["Accept-Encoding"] == "identity"
        if self.down:
            raise httpx.ConnectError("connection refused")
        if self.frozen:
            raise httpx.ReadTimeout("no answer")
        if request.headers.get("Authorization") != f"Bearer {MASTER_KEY}":
            return _error(403, "invalid_api_key", "The provided API key is invalid.")
        self._query = request.url.params
        body = orjson.loads(request.content) if request.content else None
        for pattern, answer in self._routes().items():
            method, _, route = pattern.partition(" ")
            if method == request.method and (match := re.fullmatch(route, path)):
                return answer(*match.groups(), body) if body is not None else answer(*match.groups())
        return httpx.Response(404, text="")

    def _routes(self) -> dict[str, Callable[..., httpx.Response]]:
        return {
            "GET /version": lambda: httpx.Response(200, json={"pkgVersion": self.version}),
            "GET /keys": lambda: _page(list(self.keys.values())),
            "POST /keys": self._create_key,
            "DELETE /keys/(.+)": self._delete_key,
            "GET /indexes": lambda: _page([{"uid": u, "primaryKey": i["primaryKey"]} for u, i in self.indexes.items()]),
            "POST /indexes": lambda body: self._enqueue("indexCreation", body["uid"], body),
            "PATCH /indexes/([^/]+)": lambda uid, body: self._enqueue("indexUpdate", uid, body),
            "DELETE /indexes/([^/]+)": lambda uid: self._enqueue("indexDeletion", uid, None),
            "PATCH /indexes/([^/]+)/settings": self._change_settings,
            "GET /indexes/([^/]+)/settings/synonyms": self._synonyms,
            "POST /indexes/([^/]+)/documents/delete-batch": lambda uid, body: self._enqueue("delete", uid, body),
            "GET /tasks": self._list_tasks,
            "DELETE /tasks": self._delete_tasks,
            "GET /tasks/(.+)": self._task,
        }

    def _create_key(self, body: dict[str, Any]) -> httpx.Response:
        uid = body["uid"]
        if uid in self.keys:
            return _error(409, "api_key_already_exists", f"`uid` field value `{uid}` is already an existing API key.")
        self.keys[uid] = body
        return httpx.Response(201, json=body)

    def _delete_key(self, uid: str) -> httpx.Response:
        if self.keys.pop(uid, None) is None:
            return _error(404, "api_key_not_found", f"API key `{uid}` not found.")
        return httpx.Response(204)

    def _synonyms(self, uid: str) -> httpx.Response:
        if uid not in self.indexes:
            return _error(404, "index_not_found", f"Index `{uid}` not found.")
        return httpx.Response(200, json=self.settings(uid)["synonyms"])

    def _change_settings(self, uid: str, body: dict[str, Any]) -> httpx.Response:
        if self.strange and self.strange in str(body):
            return _error(400, self.strange_code, f"`{self.strange}` is not known.")
        return self._enqueue("settingsUpdate", uid, body)

    def _list_tasks(self) -> httpx.Response:
        limit, first = int(self._query["limit"]), int(self._query.get("from", 0))
        rising = [task for task in self.tasks if task["uid"] >= first]
        found = rising if "reverse" in self._query else self.tasks[::-1]
        following = found[limit]["uid"] if len(found) > limit else None
        shown = [_shown(task) for task in found[:limit]]
        return httpx.Response(200, json={"results": shown, "total": len(self.tasks), "next": following})

    def _delete_tasks(self) -> httpx.Response:
        gone = {int(uid) for uid in self._query["uids"].split(",")}
        self.tasks = [task for task in self.tasks if task["uid"] not in gone or task["status"] == "enqueued"]
        return self._enqueue("taskDeletion", None, body=None)

    def _task(self, uid: str) -> httpx.Response:
        for task in self.tasks:
            if task["uid"] == int(uid):
                return httpx.Response(200, json=_shown(task))
        return _error(404, "task_not_found", f"Task `{uid}` not found.")

    def _enqueue(self, kind: str, uid: str | None, body: Any = None) -> httpx.Response:
        task = {
            "uid": self.tasks[-1]["uid"] + 1 if self.tasks else 0,
            "type": kind,
            "indexUid": uid,
            "status": "enqueued",
            "enqueuedAt": "2026-01-01T00:00:00Z",
            "customMetadata": self._query.get("customMetadata"),
            "error": None,
            "body": body,
        }
        self.tasks.append(task)
        if not self.held:
            self._run()
        return httpx.Response(202, json={"taskUid": task["uid"]})

    def _run(self) -> None:
        for task in self.tasks:
            if task["status"] == "enqueued":
                error = self._do(task["type"], task["indexUid"], task["body"])
                task["status"] = "failed" if error else "succeeded"
                task["error"] = {"code": error[0], "message": error[1]} if error else None

    def _do(self, kind: str, uid: Any, body: Any) -> tuple[str, str] | None:
        if kind == "taskDeletion":
            return None
        index = self.indexes.get(uid)
        if kind == "indexCreation":
            if index is not None:
                return "index_already_exists", f"Index `{uid}` already exists."
            self.indexes[uid] = {"primaryKey": body["primaryKey"], "settings": dict(DEFAULT_SETTINGS)}
        elif kind == "settingsUpdate":
            if self.settings_error:
                return self.settings_error
            self.indexes.setdefault(uid, {"primaryKey": None, "settings": dict(DEFAULT_SETTINGS)})
            self.settings(uid).update(body)
        elif index is None:
            return "index_not_found", f"Index `{uid}` not found."
        elif kind == "indexUpdate":
            index["primaryKey"] = body["primaryKey"]
        elif kind == "indexDeletion":
            del self.indexes[uid]
        return None


def _shown(task: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in task.items() if name != "body"}


def _page(results: list[Any]) -> httpx.Response:
    return httpx.Response(200, json={"results": results, "offset": 0, "limit": 1000, "total": len(results)})


def _error(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json={"message": message, "code": code, "type": "invalid_request", "link": ""})
