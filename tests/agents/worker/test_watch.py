"""What a worker answers to probes."""

import asyncio
import socket
from collections.abc import Mapping

import aiohttp
import pytest

from agents.worker.metrics import WorkerMetrics
from agents.worker.watch import start_watch
from miroir.ports import HOST, free_port
from schemas.config import parse_settings
from schemas.errors import ConfigurationError
from tests.background import background

NODE_KEY = "a-master-key-of-nodes"
WAIT_S = 30.0


@pytest.mark.parametrize(("status", "code"), [("starting", 503), ("available", 200)])
async def test_health_tells_whether_a_worker_has_its_share(status: str, code: int) -> None:
    """One that its group does not let in never gets beyond 503; metrics are there all the same."""
    port = free_port()
    settings = parse_settings(
        {"MIROIR_NODE_MASTER_KEY": NODE_KEY, "MIROIR_HTTP_HOST": HOST, "MIROIR_WORKER_HTTP_PORT": str(port)}
    )

    def health() -> Mapping[str, object]:
        return {"status": status, "worker": "w1"}

    async with background(start_watch(settings, WorkerMetrics(), health)), aiohttp.ClientSession() as session:
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    async with session.get(f"http://{HOST}:{port}/health") as answer:
                        found = answer.status, await answer.json()
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.01)
        async with session.get(f"http://{HOST}:{port}/metrics") as metrics:
            assert metrics.status == 200

    assert found == (code, {"status": status, "worker": "w1"})


async def test_port_that_is_taken_is_named() -> None:
    """Two workers on one machine need two ports: the error says which setting it is."""
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = parse_settings({"MIROIR_HTTP_HOST": HOST, "MIROIR_WORKER_HTTP_PORT": port})

        with pytest.raises(ConfigurationError, match=f"worker_http_port.*{port}.*in use"):
            await start_watch(settings, WorkerMetrics(), dict)
