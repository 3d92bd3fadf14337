"""Processes are told apart, ended, and reported with the tail of their log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from miroir.processes import Child, Command, ProcessId, describe_tail, end_process, identify, is_alive
from schemas.errors import MiroirError

WAIT_S = 30.0
POLL_S = 0.01
SLEEP = "import time; time.sleep(60)"
OWNER = """
import asyncio, os, sys
from pathlib import Path
from miroir.processes import Child, Command

async def own():
    directory = Path(sys.argv[1])
    child = Child(Command("thing", [sys.executable, "-c", sys.argv[2]], dict(os.environ), directory, directory / "log"))
    await child.start()
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(own())
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def make_command(directory: Path, code: str) -> Command:
    """Return a Python process that runs this code."""
    return Command("thing", [sys.executable, "-c", code], dict(os.environ), directory, directory / "logs" / "thing.log")


@pytest.fixture
async def sleeper(tmp_path: Path) -> AsyncIterator[Child]:
    """A process that does nothing for a minute."""
    child = Child(make_command(tmp_path, SLEEP))
    await child.start()
    yield child
    await child.kill()


async def test_child_started_is_known_by_pid_and_start(sleeper: Child) -> None:
    """A child is alive until it is stopped, and then the same id means nobody."""
    assert sleeper.pid is not None
    known = identify("thing", sleeper.pid)
    assert known is not None
    assert is_alive(known)

    await sleeper.stop()

    assert not sleeper.running
    assert not is_alive(known)


async def test_is_alive_other_start_time_is_another_process(sleeper: Child) -> None:
    """A number given to somebody else is not the process that was meant, and is not signalled."""
    assert sleeper.pid is not None
    other = ProcessId("thing", sleeper.pid, "another time")

    end_process(other, timeout_s=0.1)

    assert not is_alive(other)
    assert sleeper.running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_child_of_an_owner_that_is_killed_ends_too(tmp_path: Path) -> None:
    """Nothing is left running that nobody owns."""
    argv = [sys.executable, "-c", OWNER, str(tmp_path), SLEEP]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        known = identify("thing", int(owner.stdout.readline()))
        assert known is not None
        owner.kill()

    deadline_s = time.monotonic() + WAIT_S
    while is_alive(known):
        assert time.monotonic() < deadline_s
        time.sleep(POLL_S)


async def test_child_start_is_in_its_own_session(sleeper: Child) -> None:
    """An interrupt typed at the terminal does not reach it."""
    assert sleeper.pid is not None
    assert os.getsid(sleeper.pid) != os.getsid(0)


async def test_child_ended_raises_with_tail(tmp_path: Path) -> None:
    """A process that ended is reported with its code and its last words."""
    child = Child(make_command(tmp_path, "import sys; print('last words'); sys.exit(3)"))
    await child.start()
    await child.wait()

    with pytest.raises(MiroirError, match=r"thing ended with code 3\n.*thing.log:\n  last words"):
        child.require_running()


async def test_child_unknown_program_raises(tmp_path: Path) -> None:
    """A program that does not exist is an error of ours."""
    command = Command("thing", [str(tmp_path / "none")], {}, tmp_path, tmp_path / "thing.log")

    with pytest.raises(MiroirError, match="thing: cannot start"):
        await Child(command).start()


def test_end_process_deaf_to_sigterm_is_killed() -> None:
    """A process that ignores SIGTERM is ended all the same."""
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"deaf\n"
    known = identify("deaf", process.pid)
    assert known is not None

    end_process(known, timeout_s=0.2)

    assert process.wait() == -signal.SIGKILL


def test_describe_tail_missing_log_says_nothing(tmp_path: Path) -> None:
    """A log that was never written is no error."""
    assert describe_tail(tmp_path / "none.log").endswith("(nothing)")
