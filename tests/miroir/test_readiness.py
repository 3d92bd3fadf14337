"""Waiting for processes: with success, with a bound, or with a process's end."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from miroir import readiness
from miroir.processes import Child, Command
from miroir.readiness import all_of, until_ready, watched
from schemas.errors import MiroirError

SLEEP = "import time; time.sleep(60)"
FAIL = "import sys; sys.exit('the disk is on fire')"
NOBODY = "http://127.0.0.1:9/"
"""The discard port: nothing listens there."""


@asynccontextmanager
async def child(directory: Path, code: str) -> AsyncIterator[Child]:
    """Run a Python process with this code until the end of the block."""
    command = Command("thing", [sys.executable, "-c", code], dict(os.environ), directory, directory / "thing.log")
    started = Child(command)
    await started.start()
    try:
        yield started
    finally:
        await started.kill()


async def test_process_that_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    """Nobody waits out the bound for it."""
    async with child(tmp_path, FAIL) as failing:
        with pytest.raises(MiroirError, match="the disk is on fire"):
            await until_ready(failing, NOBODY)


async def test_process_that_never_answers_is_told_after_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names its log."""
    monkeypatch.setattr(readiness, "READY_S", 0.2)
    async with child(tmp_path, SLEEP) as silent:
        with pytest.raises(MiroirError, match=r"not ready.*thing\.log"):
            await until_ready(silent, NOBODY)


async def test_waiting_ends_with_what_was_waited_for(tmp_path: Path) -> None:
    """While all processes live."""
    done = asyncio.Event()
    done.set()
    async with child(tmp_path, SLEEP) as living:
        await watched(done.wait(), [living])


async def test_waiting_is_given_up_when_a_process_ends(tmp_path: Path) -> None:
    """What it would have to do will never be done."""
    never = asyncio.Event()
    async with child(tmp_path, FAIL) as failing:
        with pytest.raises(MiroirError, match="the disk is on fire"):
            await watched(never.wait(), [failing])


async def test_one_failure_among_many_gives_up_the_others() -> None:
    """Its error is raised, and nothing is left running."""
    never = asyncio.Event()
    cancelled = asyncio.Event()

    async def wait_for_ever() -> None:
        try:
            await never.wait()
        finally:
            cancelled.set()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise MiroirError("no room")

    with pytest.raises(MiroirError, match="no room"):
        await all_of([wait_for_ever(), fail()])

    assert cancelled.is_set()
