"""Health and version."""

from aiohttp.test_utils import TestClient, TestServer

from query.http.app import LogParts, make_app
from schemas.config import parse_settings
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogWriter
from tests.query.http.stand import Stand


async def test_health_is_503_until_the_log_was_read() -> None:
    """Nobody is sent to a service that has not folded the cluster topic."""
    log = FakeLog()
    log.away = True
    app = make_app(parse_settings({}), lambda: LogParts(lambda: FakeLogReader(log), FakeLogWriter(log)))
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        response = await client.get("/health")
        body = await response.json()

    assert response.status == 503
    assert body["code"] == "miroir_unavailable"


async def test_health_and_version_of_a_ready_service(stand: Stand) -> None:
    """SDKs look at both."""
    assert (await stand.call("GET", "/health")).body == {"status": "available"}
    assert (await stand.call("GET", "/version")).body["pkgVersion"] == "1.50.0"
