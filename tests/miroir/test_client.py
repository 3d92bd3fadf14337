"""The query service's answers, as the command line takes them."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from miroir.client import QueryClient
from miroir.ports import HOST, free_port
from schemas.errors import ConfigurationError, InvalidRequestError, MiroirError
from schemas.ids import IndexUid, NodeId
from schemas.requests import RebuildNode

REQUEST = RebuildNode(NodeId("n1"))
KEY = "the key of the API, long enough"

Serve = Callable[[str, str, int, object], Awaitable[QueryClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a maker of services that answer one route; all are ended afterwards."""
    runners: list[web.AppRunner] = []

    async def make(method: str, path: str, status: int, body: object) -> QueryClient:
        async def answer(request: web.Request) -> web.Response:
            assert request.headers["Authorization"] == f"Bearer {KEY}"
            return web.json_response(body, status=status)

        app = web.Application()
        app.router.add_route(method, path, answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, HOST, port).start()
        return QueryClient(f"http://{HOST}:{port}/", KEY)

    yield make
    for runner in runners:
        await runner.cleanup()


async def test_request_accepted_gives_its_offset(serve: Serve) -> None:
    """An accepted request gives its offset."""
    answer = {"offset": 7, "accepted": True, "code": "", "message": ""}
    async with await serve("POST", "/_miroir/requests", 200, answer) as client:
        assert await client.request(REQUEST) == 7


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"offset": 7, "accepted": False, "code": "node_not_found", "message": "no such node"}, "node_not_found"),
        ({"offset": 7, "accepted": None, "code": "", "message": ""}, "unanswered"),
    ],
    ids=["refused", "unanswered"],
)
async def test_request_not_accepted_raises_its_code(serve: Serve, answer: dict[str, object], code: str) -> None:
    """A refusal and a silence are errors, and told apart."""
    async with await serve("POST", "/_miroir/requests", 200, answer) as client:
        with pytest.raises(InvalidRequestError) as raised:
            await client.request(REQUEST, timeout_s=0.0)

    assert raised.value.code == code


async def test_request_answered_late_is_waited_for() -> None:
    """The service holds a request open for a while only; its answer is asked for until it is there."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        accepted = True if len(asked) > 3 else None
        return web.json_response({"offset": 7, "accepted": accepted, "code": "", "message": "", "decided": False})

    app = web.Application()
    app.router.add_route("*", "/_miroir/requests{rest:.*}", answer)
    server = TestServer(app, host=HOST)
    await server.start_server()
    async with QueryClient(str(server.make_url(""))) as client:
        assert await client.request(REQUEST) == 7
    await server.close()

    assert asked == ["POST /_miroir/requests", *["GET /_miroir/requests/7"] * 3]


async def test_call_error_has_status_code_and_message(serve: Serve) -> None:
    """Meilisearch's own words come through, and whose they are."""
    body = {"code": "index_not_found", "message": "Index `x` not found."}
    async with await serve("GET", "/indexes/x", 404, body) as client:
        with pytest.raises(MiroirError, match=r"404 index_not_found: Index `x` not found\.") as raised:
            await client.call("GET", "/indexes/x")

    assert f"GET {client.url}/indexes/x" in str(raised.value)


async def test_call_nobody_listens_says_what_to_do() -> None:
    """Without a query service the error names its URL and how to start one."""
    url = f"http://{HOST}:{free_port()}"
    async with QueryClient(url) as client:
        assert not await client.is_healthy()
        with pytest.raises(MiroirError, match=f"{url}.*miroir up"):
            await client.call("GET", "/health")


@pytest.mark.parametrize("url", ["films", "http://", "ftp://films:1", "http://[::1", f"http://{HOST}:99999"])
def test_url_of_another_form_is_refused_with_the_form(url: str) -> None:
    """What nobody could connect to is said before anybody is asked, with what to give instead."""
    with pytest.raises(ConfigurationError, match=r"url: expected http://host:port.*, found"):
        QueryClient(url)


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (200, b"<html>hello</html>", {}, "no JSON object"),
        (200, b"[1]", {}, "no JSON object"),
        (200, b"{}", {}, "without 'epoch'"),
        (200, b"not gzipped", {"Content-Encoding": "gzip"}, "DecodingError"),
        (502, b"<html>bad gateway</html>", {}, "502 : <html>bad gateway</html>"),
    ],
    ids=["a page", "a list", "another service", "not decoded", "a proxy"],
)
async def test_call_of_what_is_no_query_service_says_so(
    status: int, body: bytes, headers: dict[str, str], said: str
) -> None:
    """Whatever answers behind a URL, the error names the request, what is wrong with the answer, and the way on."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/_miroir/status", answer)
    async with TestServer(app, host=HOST) as server, QueryClient(str(server.make_url(""))) as client:
        with pytest.raises(MiroirError, match=re.escape(said)) as raised:
            (await client.call("GET", "/_miroir/status"))["epoch"]

    assert client.url in str(raised.value)
    assert status != 200 or "--url names another" in str(raised.value)


async def test_call_with_a_number_beyond_json_is_refused(serve: Serve) -> None:
    """Integers of more than 64 bits are nobody's."""
    async with await serve("POST", "/x", 200, {}) as client:
        with pytest.raises(MiroirError, match="64-bit"):
            await client.call("POST", "/x", json={"limit": 10**20})


@pytest.mark.parametrize("status", ["failed", "canceled", "enqueued"])
async def test_task_not_succeeded_raises(serve: Serve, status: str) -> None:
    """A task that failed, or does not finish in time, is an error."""
    body = {"status": status, "error": {"message": "why"}}
    async with await serve("GET", "/tasks/3", 200, body) as client:
        with pytest.raises(MiroirError, match="task 3"):
            await client.task(3, timeout_s=0.0)


async def test_task_succeeded_is_returned(serve: Serve) -> None:
    """A task that succeeded is given as it is."""
    async with await serve("GET", "/tasks/3", 200, {"status": "succeeded", "uid": 3}) as client:
        assert (await client.task(3, timeout_s=1.0))["uid"] == 3


@pytest.mark.parametrize("token", [{"X-Miroir-Token": "films:0@1"}, {}], ids=["in the log", "failed at once"])
async def test_posted_documents_are_in_the_log_or_say_why_not(token: dict[str, str]) -> None:
    """A post that has a token was produced, whatever becomes of its task; without one the task's fault is told."""

    async def posted(request: web.Request) -> web.Response:
        assert (await request.read(), request.query["primaryKey"]) == (b'{"id":1}', "id")
        assert request.content_type == "application/x-ndjson"
        return web.json_response({"taskUid": 3, "status": "enqueued"}, status=202, headers=token)

    async def task(_: web.Request) -> web.Response:
        return web.json_response({"uid": 3, "status": "failed", "error": {"message": "an id is missing"}})

    app = web.Application()
    app.router.add_post("/indexes/films/documents", posted)
    app.router.add_get("/tasks/3", task)
    async with TestServer(app, host=HOST) as server, QueryClient(str(server.make_url(""))) as client:
        posting = client.post_documents(IndexUid("films"), b'{"id":1}', id_field="id")
        if token:
            assert await posting == 3
        else:
            with pytest.raises(MiroirError, match="task 3 failed: an id is missing"):
                await posting
