"""What surrounds every route: keys, CORS, request ids, unknown routes."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.query.http.stand import Stand

KEY = "the key of the whole api"


@pytest_asyncio.fixture
async def locked() -> AsyncIterator[Stand]:
    """A service with a master key."""
    async with Stand(nodes="a", settings={"MIROIR_MASTER_KEY": KEY}) as ready:
        yield ready


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


async def test_fault_of_our_own_shows_nothing_of_itself(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """A bug is a 500 that says nothing; the log has it, with the request's id."""
    stand.service.views.topology = None  # type: ignore[assignment]  # a bug, for the test
    reply = await stand.call("GET", "/indexes", headers={"X-Request-Id": "find-me"})

    assert reply.error == (500, "internal")
    assert "NoneType" not in reply.body["message"]
    assert any(getattr(record, "request", "") == "find-me" for record in caplog.records)
