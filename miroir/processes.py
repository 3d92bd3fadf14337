"""Processes on this machine: started with their output in a file, told apart for sure, ended for sure.

What always holds: a process is known by its id *and* its start time, so that a number that the system has given to
somebody else is never signalled. Who calls it: the local stack and its supervisor. It must not know: what a process is
for.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from schemas.errors import MiroirError
from schemas.wire import STRICT

STOP_S = 10.0
"""How long a process may take to end on SIGTERM before it is killed: a worker finishes its posts within a few."""

POLL_S = 0.05
"""How often a process that is not our child is looked at."""

TAIL_LINES = 15
"""Of a log, shown where its process died: enough for a traceback's end."""

TAIL_BYTES = 8192
"""How much of a log's end is read for it."""


PR_SET_PDEATHSIG = 1
"""Of Linux's ``prctl``: the signal that a process gets when its parent ends."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """Which process it is: ``started`` is the system's own word for its start time."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True)
class Command:
    """What to start.

    Attributes:
        name: how people call it; also its log's name.
        argv: program and arguments; no secret is among them, since everybody on the machine can read them.
        environment: all of it.
        directory: where it runs.
        log: where its output goes; appended to.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path


class Child:
    """A process that this one has started and owns."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        """As people call it."""
        return self.command.name

    @property
    def pid(self) -> int | None:
        """The process's id, or None before it was started."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, in a session of its own: an interrupt typed at the terminal is for its owner only.

        Where its owner is killed, it ends too, on Linux; elsewhere ``miroir down`` ends it.

        Raises:
            MiroirError: there is no such program.
        """
        command = self.command
        command.directory.mkdir(parents=True, exist_ok=True)
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command.argv,
                    env=dict(command.environment),
                    cwd=command.directory,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=end_with_parent(),
                )
            except OSError as error:
                raise MiroirError(f"{command.name}: cannot start {command.argv[0]}: {error}") from error

    async def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self.wait()

    async def stop(self) -> None:
        """End it with SIGTERM, or with SIGKILL where that takes too long. Safe to call twice."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def wait(self) -> int:
        """Return its exit code once it has ended; 0 where it was never started."""
        return await self._process.wait() if self._process else 0

    def require_running(self) -> None:
        """Return where it lives.

        Raises:
            MiroirError: it has ended; the text has its code and the tail of its log.
        """
        if not self.running:
            code = self._process.returncode if self._process else None
            raise MiroirError(f"{self.name} ended with code {code}\n{describe_tail(self.command.log)}")


def end_with_parent() -> Callable[[], None] | None:
    """Return what a new process does before it becomes the program: ask to be killed when this one ends.

    Strictly, when the *thread* that started it ends: start it from the main one. None where the system offers nothing.
    """
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have ended before it was asked.
        if os.getppid() != parent:
            os._exit(1)

    return ask


def identify(name: str, pid: int) -> ProcessId | None:
    """Return which process has this id now, or None where there is none."""
    started = _start_time(pid)
    return None if started is None else ProcessId(name, pid, started)


def is_alive(process: ProcessId) -> bool:
    """Return whether this very process still runs."""
    return _start_time(process.pid) == process.started


def end_process(process: ProcessId, *, timeout_s: float) -> None:
    """End a process that is not our child: SIGTERM, then SIGKILL after ``timeout_s`` seconds."""
    if not is_alive(process):
        return
    # It may end by itself in any moment.
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
        deadline_s = time.monotonic() + timeout_s
        while is_alive(process) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        if is_alive(process):
            os.kill(process.pid, signal.SIGKILL)


def describe_tail(log: Path) -> str:
    """Return the last lines of a log, under its name."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        lines = []
    return "\n".join([f"last lines of {log}:", *(f"  {line}" for line in lines or ["(nothing)"])])


def _start_time(pid: int) -> str | None:
    """Return the system's word for when the process started; None where it does not run (a zombie does not)."""
    try:
        # The command's name stands in parentheses and may hold anything: fields are counted after the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_time_by_ps(pid)
    state, ticks = fields[0], fields[19]
    return None if state == "Z" else ticks


def _start_time_by_ps(pid: int) -> str | None:
    """The same where there is no ``/proc`` (macOS)."""
    asked = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
