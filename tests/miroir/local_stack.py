"""A local stack for tests, and the command line as people use it: in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miroir.stack_state import StackState, read_state

TIMEOUT_S = 200.0
"""Of one command; a busy machine of two cores starts a stack in half a minute."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def run_miroir(*arguments: str, directory: Path | None = None) -> Ran:
    """Run ``miroir`` with these arguments; nothing of this process's settings reaches it."""
    ran = subprocess.run(
        _command(arguments, directory),
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def watch_miroir(*arguments: str, directory: Path, looks: int = 2) -> list[Any]:
    """Run ``miroir`` with arguments that let it go on until it is ended; return what it prints first, each a line."""
    command = _command(arguments, directory)
    with subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            return [json.loads(watching.stdout.readline()) for _ in range(looks)]
        finally:
            watching.kill()


def interrupt_miroir(*arguments: str, directory: Path) -> Ran:
    """Run ``miroir`` and interrupt it, as Ctrl-C does, once it has said the first thing."""
    command = _command(arguments, directory)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=_environment(), stdout=pipe, stderr=pipe, text=True, preexec_fn=_heed_interrupts
    ) as running:
        assert running.stderr is not None
        try:
            said = running.stderr.readline()
            running.send_signal(signal.SIGINT)
            printed, more = running.communicate(timeout=TIMEOUT_S)
        finally:
            running.kill()
    return Ran(running.returncode, printed, said + more)


def _heed_interrupts() -> None:
    # Whoever runs the tests in the background may have had interrupts ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _command(arguments: Sequence[str], directory: Path | None) -> list[str]:
    where = [] if directory is None else ["--dir", str(directory)]
    return [sys.executable, "-m", "miroir.cli", *arguments, *where]


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("MIROIR_", "MEILI"))}


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A stack that runs, in its state directory."""

    directory: Path

    @property
    def state(self) -> StackState:
        """As its supervisor last wrote it."""
        state = read_state(self.directory)
        assert state is not None
        return state

    def run(self, *arguments: str, code: int = 0) -> Ran:
        """Run a command beside the stack; it must end with this code."""
        ran = run_miroir(*arguments, directory=self.directory)
        assert ran.code == code, f"{arguments}: {ran}"
        return ran

    def status(self) -> Any:  # JSON
        """Return what ``miroir status`` shows; it ends with 1 while another test's copies are on their way."""
        return run_miroir("status", "--json", directory=self.directory).json

    def pid(self, name: str) -> int:
        """Return the id of one of its processes."""
        return next(each.pid for each in self.state.processes if each.name == name)
