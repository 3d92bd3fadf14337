"""The worker's process: how it ends."""

import os
import subprocess
import sys

import orjson
import pytest

from miroir.ports import free_port


def run_worker(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run a worker that is expected to end by itself."""
    command = [sys.executable, "-m", "agents.worker"]
    return subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False
    )


def test_worker_with_a_wrong_setting_names_it() -> None:
    """One line, before anything is begun."""
    ended = run_worker(MIROIR_KAFKA="nowhere")

    assert (ended.returncode, ended.stderr.startswith("miroir worker: setting kafka")) == (1, True)


@pytest.mark.slow
def test_worker_without_a_broker_ends_with_the_reason() -> None:
    """Its last line says why, in the form of all others: whoever reads logs need not read a stack of calls."""
    address = f"127.0.0.1:{free_port()}"

    ended = run_worker(MIROIR_KAFKA=address, MIROIR_WORKER_HTTP_PORT="0")

    line = orjson.loads(ended.stderr.splitlines()[-1])
    assert ended.returncode == 1
    assert (line["level"], line["message"]) == ("error", "the worker cannot go on")
    assert line["reason"] == f"Kafka {address} does not answer"
    assert "Traceback" not in ended.stderr
