"""The process: settings read, parts started and stopped."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import orjson
import pytest

from miroir.broker import EmbeddedBroker, broker_binary
from miroir.ports import HOST, free_port
from miroir.processes import end_with_parent
from miroir.status_table import faults
from schemas.errors import ConfigurationError
from schemas.ids import Partition
from streams.log import Append
from streams.topics import CLUSTER
from tests.integration.waiting import DEADLINE_S
from tests.query.http.stand import Stand

CHECKOUT = Path(__file__).parents[3]


async def _start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIROIR_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "query.http"),
        cwd=CHECKOUT,
        env=kept | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=end_with_parent(),
    )


@pytest.mark.slow
async def test_process_with_a_wrong_setting_says_which() -> None:
    """It ends at once, with the setting's name and no trace."""
    process = await _start({"MIROIR_HTTP_PORT": "many"})
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.startswith(b"miroir query service: setting http_port (MIROIR_HTTP_PORT): ")
    assert b"Traceback" not in errors


@pytest.mark.slow
async def test_process_whose_port_is_taken_says_so() -> None:
    """It ends with a line of the log that names the setting, and no trace."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        process = await _start({"MIROIR_HTTP_PORT": str(port), "MIROIR_KAFKA": f"{HOST}:{free_port()}"})
        _, errors = await process.communicate()

    line = orjson.loads(errors.splitlines()[-1])
    assert process.returncode == 1
    assert "http_port" in line["reason"]
    assert str(port) in line["reason"]
    assert b"Traceback" not in errors


@pytest.mark.slow
async def test_process_gets_ready_and_stops_at_sigterm(tmp_path: Path) -> None:
    """With a broker it makes its topics and gets ready; SIGTERM ends it with 0 and nothing but log lines."""
    try:
        broker_binary()
    except ConfigurationError as error:
        pytest.skip(str(error))
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    port = free_port()
    process = await _start(
        {
            "MIROIR_KAFKA": broker.address,
            "MIROIR_KAFKA_IDEMPOTENCE": "false",
            "MIROIR_KAFKA_REPLICATION_FACTOR": "1",
            "MIROIR_HTTP_PORT": str(port),
        }
    )
    try:
        status = await _ready(port)
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
        await broker.stop()

    assert status == 200
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert b"exception" not in errors


async def _ready(port: int) -> int:
    """Return the status of /health once it is not 503, asking as often as a prober would."""
    status = 0
    async with asyncio.timeout(DEADLINE_S):
        while status in (0, 503):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            status = int(answer.split(b" ")[1])
    return status


async def test_background_failure_is_logged_and_searches_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """A record that cannot be read stops folding loudly; what was folded stays in use, and status says why."""
    async with Stand() as stand:
        await stand.films(5)
        views = stand.service.views
        stand.end_workers()
        stand.log.append(Append(CLUSTER, Partition(0), b"node/z", b"not a node"))
        await views.wait_for(lambda: views.stopped or None, timeout_s=60.0)
        found = await stand.call("POST", "/indexes/films/search", {})
        status = await stand.call("GET", "/_miroir/status")

    assert found.body["estimatedTotalHits"] == 5
    assert "NodeRecord" in status.body["log"]["stopped"]
    assert not status.body["log"]["connected"]
    assert any("NodeRecord" in fault for fault in faults(status.body))
    assert "a background task has ended" in caplog.text
