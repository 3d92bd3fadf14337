"""The query service as the command line sees it: miroir's own routes, and Meilisearch's.

What always holds: an answer that is no success becomes an error that says what to do; secrets are in no text. Who calls
it: the commands, the local stack. It must not know: the log or the nodes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from schemas.errors import ConfigurationError, InvalidRequestError, MiroirError
from schemas.ids import IndexUid
from schemas.requests import Request, build_request

TIMEOUT_S = 30.0
"""A request waits for the controller's answer, which a rebalance may hold up for about ten seconds."""

ANSWERED_S = 60.0
"""How long an answer of the controller is waited for altogether: a busy machine, or a worker that has just started,
takes longer than the service holds a request open."""

WRITTEN_HEADER = "X-Miroir-Token"
"""Of an answer to a write: where in the log it stands."""

UNANSWERED = "unanswered"
"""Code of a request that no controller has answered in time: no worker runs, or it is held up."""

POLL_S = 0.1
"""How often something awaited is looked at."""


ANOTHER_URL = "--url names another"
"""What to do where the URL is not a query service's."""

_PORT_MAX = 65535


class Answer(dict[str, Any]):
    """A JSON object that was answered; a field that it lacks is an error of ours, for another service has answered."""

    def __init__(self, fields: Mapping[str, Any], action: str) -> None:
        super().__init__(fields)
        self._action = action

    def __missing__(self, field: str) -> Any:
        text = f"answered without {field!r}; is it a query service of this version? {ANOTHER_URL}"
        raise MiroirError(f"{self._action}: {text}")


class QueryClient:
    """A connection to a query service.

    Args:
        url: ``http://host:port``.
        key: its master key; None where it has none.

    Raises:
        ConfigurationError: the URL is of another form.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.url = _checked(url).rstrip("/")
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        """Nothing is connected before the first question."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        await self._http.aclose()

    async def is_healthy(self) -> bool:
        """Return whether it answers, and has folded the cluster topic."""
        try:
            return (await self._http.get("/health", timeout=TIMEOUT_S)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def request(self, request: Request, *, timeout_s: float = ANSWERED_S) -> int:
        """Ask the controller for a change and return the request's offset once it was accepted.

        Raises:
            InvalidRequestError: the controller refuses, and ``code`` says why; or has not answered in time.
            MiroirError: no query service answers, or it cannot ask.
        """
        deadline_s = time.monotonic() + timeout_s
        answer = await self.call("POST", "/_miroir/requests", content=build_request(request))
        offset = int(answer["offset"])
        while answer["accepted"] is None and not answer.get("decided") and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)
            answer = await self.call("GET", f"/_miroir/requests/{offset}")
        if not answer["accepted"]:
            code = str(answer.get("code") or UNANSWERED)
            waits = (
                f"nobody has answered request {offset} within {timeout_s:.0f} s; it stays asked for: does a worker run?"
            )
            raise InvalidRequestError(code, f"{request.kind}: {answer.get('message') or waits}")
        return offset

    async def call(
        self, method: str, path: str, *, json: object = None, content: bytes | None = None, **options: Any
    ) -> dict[str, Any]:
        """Return the JSON object that the service answers with; empty where it answers with nothing.

        Raises:
            MiroirError: it does not answer, or with no success; the text has its code and message. Or what is to be
                sent is no JSON, or what is answered is not what a query service answers.
        """
        try:
            body = orjson.dumps(json) if json is not None else content
        except orjson.JSONEncodeError as error:
            raise MiroirError(f"{method} {self.url}{path}: {error}") from error
        return self._fields(await self._answer(method, path, body, **options))

    async def post_documents(self, index: IndexUid, lines: bytes, *, id_field: str | None = None) -> int:
        """Post documents as NDJSON; return their task once they are in the log.

        Raises:
            MiroirError: the service does not answer, or refuses; or the task has failed and none of them was produced.
        """
        headers = {"Content-Type": "application/x-ndjson"}
        options = {} if id_field is None else {"primaryKey": id_field}
        answer = await self._answer("POST", f"/indexes/{index}/documents", lines, headers=headers, params=options)
        task = int(self._fields(answer)["taskUid"])
        if WRITTEN_HEADER not in answer.headers:
            # A token names positions in the log. A post that failed at once has none, and its task says why.
            await self.finished_task(task)
        return task

    async def task(
        self, uid: int, *, timeout_s: float, look: Callable[[], Awaitable[None]] | None = None, poll_s: float = POLL_S
    ) -> Mapping[str, Any]:
        """Return a task once it has succeeded.

        Args:
            uid: the task's.
            timeout_s: how long it is waited for.
            look: called at every look at a task that is under way; what it raises ends the wait.
            poll_s: between two looks.

        Raises:
            MiroirError: it has failed, or does not finish in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while (task := await self.finished_task(uid)) is None:
            if look is not None:
                await look()
            if time.monotonic() > deadline_s:
                raise MiroirError(f"task {uid} is not finished after {timeout_s:.0f} s")
            await asyncio.sleep(poll_s)
        return task

    async def finished_task(self, uid: int) -> Mapping[str, Any] | None:
        """Return a task that has succeeded, or None while it is under way.

        Raises:
            MiroirError: it has failed; the text says why.
        """
        task = await self.call("GET", f"/tasks/{uid}")
        if task["status"] in {"failed", "canceled"}:
            raise MiroirError(f"task {uid} {task['status']}: {(task.get('error') or {}).get('message')}")
        return task if task["status"] == "succeeded" else None

    async def _answer(self, method: str, path: str, body: bytes | None, **options: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        try:
            answer = await self._http.request(method, path, content=body, headers=headers, **options)
        except httpx.RequestError as error:
            hint = f"is it running? `miroir up` starts a local one; {ANOTHER_URL}"
            raise MiroirError(f"query service {self.url}: {type(error).__name__}: {error}; {hint}") from error
        if not answer.is_success:
            raise _to_error(answer, f"{method} {self.url}{path}")
        return answer

    def _fields(self, answer: httpx.Response) -> Answer:
        action = f"{answer.request.method} {self.url}{answer.request.url.path}"
        found = _parsed(answer.content) if answer.content else {}
        if not isinstance(found, dict):
            raise MiroirError(f"{action}: answered with no JSON object, as a query service does; {ANOTHER_URL}")
        return Answer(found, action)


def _checked(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL("")
    if parts.scheme in {"http", "https"} and parts.host and (parts.port or 1) <= _PORT_MAX:
        return url
    raise ConfigurationError("url", f"expected http://host:port or https://host:port, found {url!r}")


def _parsed(content: bytes) -> object:
    """Return what the JSON holds; None where it is none."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _to_error(answer: httpx.Response, action: str) -> MiroirError:
    body = _parsed(answer.content)
    code = str(body.get("code", "")) if isinstance(body, dict) else ""
    message = str(body.get("message", "")) if isinstance(body, dict) else answer.text[:200]
    return MiroirError(f"{action}: {answer.status_code} {code}: {message}")
