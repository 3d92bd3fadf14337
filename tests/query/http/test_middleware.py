"""What surrounds every route: keys, CORS, request ids, unknown routes."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from query.http.app import LogParts, make_app
from query.http.middleware import UNREAD_PATHS
from query.http.service import SERVICE
from schemas.config import parse_settings
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogWriter
from tests.query.http.stand import Stand

KEY = "the key of the whole api"


@pytest_asyncio.fixture
async def locked() -> AsyncIterator[Stand]:
    """A service with a master key."""
    async with Stand(nodes="a", settings={"MIROIR_MASTER_KEY": KEY}) as ready:
        yield ready


@pytest_asyncio.fixture
async def unread() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """A client of a service with a master key that was started while no broker answered."""
    log = FakeLog()
    log.away = True
    parts = LogParts(lambda: FakeLogReader(log), FakeLogWriter(log))
    async with TestClient(TestServer(make_app(parse_settings({"MIROIR_MASTER_KEY": KEY}), lambda: parts))) as client:
        yield client


@pytest.mark.parametrize(
    ("header", "error", "message"),
    [
        (None, (401, "missing_authorization_header"), "The Authorization header is missing. It must use the bearer"),
        ("Basic abc", (401, "missing_authorization_header"), "The Authorization header is missing."),
        ("Bearer wrong", (403, "invalid_api_key"), "The provided API key is invalid."),
        ("Bearer schlüssel", (403, "invalid_api_key"), "The provided API key is invalid."),
    ],
)
async def test_request_without_the_key_is_refused(
    locked: Stand, header: str | None, error: tuple[int, str], message: str
) -> None:
    """Codes and words are Meilisearch's."""
    reply = await locked.call("GET", "/version", headers={} if header is None else {"Authorization": header})

    assert reply.error == error
    assert reply.body["message"].startswith(message)
    assert reply.body["type"] == "auth"


async def test_request_with_the_key_is_answered(locked: Stand) -> None:
    """The master key opens every route, and health needs none."""
    assert (await locked.call("GET", "/version", headers={"Authorization": f"Bearer {KEY}"})).status == 200
    assert (await locked.call("GET", "/health")).status == 200
    assert (await locked.call("GET", "/_miroir/status")).status == 401


async def test_request_id_comes_back_or_is_made(stand: Stand) -> None:
    """A given id is kept, a missing or impossible one replaced."""
    given = await stand.call("GET", "/health", headers={"X-Request-Id": "abc-1"})
    made = await stand.call("GET", "/health")
    replaced = await stand.call("GET", "/health", headers={"X-Request-Id": "x" * 200})

    assert given.headers["X-Request-Id"] == "abc-1"
    assert len(made.headers["X-Request-Id"]) == len(replaced.headers["X-Request-Id"]) == 36


async def test_preflight_allows_any_origin_without_a_key(locked: Stand) -> None:
    """A browser may ask for anything, from anywhere, as with Meilisearch."""
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-meilisearch-client",
    }
    reply = await locked.call("OPTIONS", "/indexes/films/search", headers=headers)

    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]
    assert reply.headers["Access-Control-Allow-Headers"] == headers["Access-Control-Request-Headers"]
    assert reply.headers["Access-Control-Max-Age"] == "86400"


async def test_answers_to_browsers_carry_cors_headers(locked: Stand) -> None:
    """Refusals too, or a page could not read them; who is no browser gets none."""
    refused = await locked.call("GET", "/version", headers={"Origin": "https://shop.example"})
    plain = await locked.call("GET", "/health")

    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    exposed = refused.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Request-Id", "X-Miroir-Token", "X-Miroir-Degraded", "Retry-After"} <= set(exposed)
    assert "Access-Control-Allow-Origin" not in plain.headers


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("PUT", "/health", 405)])
async def test_unknown_route_is_answered_without_body(stand: Stand, method: str, path: str, status: int) -> None:
    """As Meilisearch answers."""
    reply = await stand.call(method, path)

    assert (reply.status, reply.body) == (status, None)


async def test_no_route_tells_of_a_log_that_was_not_read(unread: TestClient[web.Request, web.Application]) -> None:
    """Nothing is known of any index: 404 would be a lie, and so would an empty list or a task for a deletion."""
    authorized = {"Authorization": f"Bearer {KEY}"}
    routes = {
        (route.method.replace("*", "GET"), re.sub(r"\{\w+\}", "1", route.resource.canonical))
        for route in unread.server.app.router.routes()  # type: ignore[attr-defined]  # a TestServer's
        if route.resource is not None
    }
    answered = set()
    for method, path in sorted(routes):
        async with unread.request(method, path, headers=authorized) as response:
            if response.status != 503:
                answered.add(path)
                continue
            retry_after, text = response.headers["Retry-After"], await response.text()
            assert (retry_after, "miroir_unavailable" in text or method == "HEAD") == ("1", True), (method, path)

    assert answered == set(UNREAD_PATHS) - {"/health"}
    assert len(routes) > len(UNREAD_PATHS) + 50


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [("GET", "/indexes", "wrong", 403), ("GET", "/nope", KEY, 404), ("PUT", "/indexes", KEY, 405)],
)
async def test_log_that_was_not_read_hides_no_other_refusal(
    unread: TestClient[web.Request, web.Application], method: str, path: str, key: str, status: int
) -> None:
    """Who has not the key learns nothing, and what is no route never will be one."""
    async with unread.request(method, path, headers={"Authorization": f"Bearer {key}"}) as response:
        assert response.status == status


async def test_log_that_can_never_be_read_is_told_with_its_reason(
    unread: TestClient[web.Request, web.Application],
) -> None:
    """Trying again will not help: somebody must see to it."""
    unread.server.app[SERVICE].views.stopped = "record cluster/0/0 is bad"  # type: ignore[attr-defined]  # a TestServer's
    async with unread.get("/indexes", headers={"Authorization": f"Bearer {KEY}"}) as response:
        body = await response.json()

    assert (response.status, body["code"]) == (503, "miroir_unavailable")
    assert body["message"].endswith("stopped reading the log: record cluster/0/0 is bad")


async def test_fault_of_our_own_shows_nothing_of_itself(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """A bug is a 500 that says nothing; the log has it, with the request's id."""
    stand.service.views.topology = None  # type: ignore[assignment]  # a bug, for the test
    reply = await stand.call("GET", "/indexes", headers={"X-Request-Id": "find-me"})

    assert reply.error == (500, "internal")
    assert "NoneType" not in reply.body["message"]
    assert any(getattr(record, "request", "") == "find-me" for record in caplog.records)
