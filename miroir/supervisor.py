"""The process that owns a detached local stack: starts it, starts again what ends, and ends it all on SIGTERM.

``python -m miroir.supervisor`` with the plan as JSON on standard input. What always holds: the state directory tells at
each moment what runs, or as soon as it can be written again; whatever cannot be written, every process is ended. Who
calls it: ``miroir up``. It must not know: terminals.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson

from miroir.keeper import keep
from miroir.stack import Stack
from miroir.stack_plan import StackPlan
from miroir.stack_state import Phase, StackState, write_state
from schemas.errors import MiroirError

WRITE_RETRY_S = 1.0
"""A state that could not be written, on a full disk for instance, is tried again after this."""


async def supervise(plan: StackPlan) -> int:
    """Run a stack until SIGTERM or SIGINT; return the exit code."""
    stack = Stack(plan, lambda step: write_state(plan.directory, stack.state(Phase.STARTING, step=step)))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    plan.directory.mkdir(parents=True, exist_ok=True)
    error = ""
    try:
        await _run(stack, stopped)
    except (MiroirError, OSError) as failed:
        error = str(failed)
    _try_write(plan.directory, stack.state(Phase.STOPPING, step="stopping", error=error))
    await stack.stop()
    _try_write(plan.directory, stack.state(Phase.FAILED if error else Phase.STOPPED, error=error))
    return 1 if error else 0


async def _run(stack: Stack, stopped: asyncio.Event) -> None:
    """Start the stack and keep it until ``stopped``.

    Raises:
        MiroirError: it does not start, or its log is gone.
    """
    stopping = asyncio.create_task(stopped.wait())
    starting = asyncio.create_task(stack.start())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return
        await starting
        await _keep(stack, stopping)
    finally:
        await _give_up(starting, stopping)


async def _keep(stack: Stack, stopping: "asyncio.Task[bool]") -> None:
    broker = asyncio.create_task(stack.wait_broker())
    board = Board(lambda step, troubles: stack.state(Phase.READY, step=step, troubles=troubles), stack.plan.directory)
    keepers = [asyncio.create_task(keep(child, partial(board.note, child.name))) for child in stack.children()]
    writing = asyncio.create_task(board.run())
    try:
        await asyncio.wait([stopping, broker], return_when=asyncio.FIRST_COMPLETED)
        if broker.done():
            raise MiroirError(f"the embedded broker ended, and its log with it: see {stack.plan.logs / 'broker.log'}")
    finally:
        await _give_up(broker, writing, *keepers)


class Board:
    """What has happened to the processes of a stack that is ready, written to its state directory.

    Args:
        state: makes the state of what happened last and of every trouble there is.
        directory: where it is written.
    """

    def __init__(self, state: Callable[[str, tuple[str, ...]], StackState], directory: Path) -> None:
        self._state = state
        self._directory = directory
        self._step = ""
        self._troubles: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._changed.set()

    def note(self, process: str, step: str, trouble: str) -> None:
        """Take what has happened to a process, and the trouble it is in; empty for none."""
        self._step = step
        self._troubles.pop(process, None)
        if trouble:
            self._troubles[process] = trouble
        self._changed.set()

    async def run(self) -> None:
        """Write the state at once and after every change, until cancelled; what cannot be written is tried again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not _try_write(self._directory, self._state(self._step, tuple(self._troubles.values()))):
                await asyncio.sleep(WRITE_RETRY_S)
                self._changed.set()


def _try_write(directory: Path, state: StackState) -> bool:
    """Write the state; return whether it could be. Why it could not is told on standard error, the supervisor's log."""
    try:
        write_state(directory, state)
    except OSError as error:
        # The log may be on the same full disk.
        with contextlib.suppress(OSError):
            sys.stderr.write(f"the state cannot be written: {error}\n")
        return False
    return True


async def _give_up(*tasks: "asyncio.Task[None] | asyncio.Task[bool]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, MiroirError, OSError):
            await task


def build_plan(plan: StackPlan) -> bytes:
    """Return the plan as it stands on the supervisor's standard input."""
    return orjson.dumps(plan, default=str)


def parse_plan(data: bytes) -> StackPlan:
    """Return what ``build_plan`` was given."""
    wire = orjson.loads(data)
    binary = wire.pop("node_binary")
    return StackPlan(**{**wire, "directory": Path(wire["directory"]), "node_binary": Path(binary) if binary else None})


if __name__ == "__main__":
    sys.exit(asyncio.run(supervise(parse_plan(sys.stdin.buffer.read()))))
