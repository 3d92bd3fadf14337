"""Keeping one process alive."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from miroir.keeper import Pace, keep, pause_s
from miroir.processes import Child, Command

PACE = Pace(first_s=0.01, longest_s=0.04, steady_s=3.0, troubling_ends=5)
"""Short, but for how long a process must run: a busy machine may take a second until one that fails has failed."""

DEADLINE_S = 30.0

PROGRAM = "import pathlib, sys, time; pathlib.Path('fails').exists() and sys.exit(3); time.sleep(600)"
"""Ends at once while a file says so."""


class Told:
    """What a keeper has told, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def tell(self, what: str, trouble: str) -> None:
        """Take it."""
        self.all.append((what, trouble))

    @property
    def trouble(self) -> str:
        """The trouble of now."""
        return self.all[-1][1] if self.all else ""


@asynccontextmanager
async def kept(directory: Path, told: Told) -> AsyncIterator[Child]:
    """Start a process and keep it alive until the context is left."""
    command = Command("worker-1", [sys.executable, "-c", PROGRAM], {}, directory, directory / "logs" / "worker-1.log")
    child = Child(command)
    await child.start()
    keeper = asyncio.create_task(keep(child, told.tell, PACE))
    try:
        yield child
        assert not keeper.done(), "it watches for as long as it runs"
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await child.kill()


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - a file and a process tell nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("ends", "pause"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 15.0), (1000, 15.0)])
def test_pause_grows_and_is_bounded(ends: int, pause: float) -> None:
    """Twice as long after each end, and never longer than the longest."""
    assert pause_s(ends, Pace(first_s=1.0, longest_s=15.0, steady_s=60.0, troubling_ends=5)) == pause


async def test_process_killed_is_started_again(tmp_path: Path) -> None:
    """One end is no trouble: it is told, and another process runs."""
    told = Told()
    async with kept(tmp_path, told) as child:
        before = child.pid
        await child.kill()
        await until(lambda: child.running and child.pid != before)

        await until(lambda: len(told.all) == 2)
    assert told.all == [("worker-1 ended with code -9", ""), ("worker-1 was started again", "")]


async def test_process_that_ends_again_and_again_is_told_and_still_watched(tmp_path: Path) -> None:
    """After five ends it is in trouble, and tried on; once it stays, the trouble is over, and it is kept as before."""
    told = Told()
    async with kept(tmp_path, told) as child:
        (tmp_path / "fails").touch()
        await child.kill()
        # Far more often than makes trouble.
        await until(lambda: len(told.all) > 16)
        faults = [trouble for what, trouble in told.all if "ended" in what]
        (tmp_path / "fails").unlink()
        await until(lambda: child.running and told.trouble == "")
        before = child.pid
        await child.kill()
        await until(lambda: child.running and child.pid != before)

    assert faults[:4] == [""] * 4
    assert all("worker-1 ended with code 3" in trouble and "worker-1.log" in trouble for trouble in faults[4:])
    assert ("worker-1 runs again", "") in told.all


async def test_process_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """A directory that cannot be made, or a log that cannot be opened, ends no keeper: it is told, and tried on."""
    told = Told()
    logs = tmp_path / "logs"
    async with kept(tmp_path, told) as child:
        logs.rename(tmp_path / "moved")
        logs.write_text("no directory")
        await child.kill()
        await until(lambda: "cannot be started" in told.trouble)
        logs.unlink()
        await until(lambda: child.running and told.trouble == "")

    assert sum("cannot be started" in what for what, _ in told.all) >= PACE.troubling_ends - 1
