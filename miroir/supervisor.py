"""The process that owns a detached local stack: starts it, starts again what ends, and ends it all on SIGTERM.

``python -m miroir.supervisor`` with the plan as JSON on standard input. What always holds: the state directory tells at
each moment what runs. Who calls it: ``miroir up``. It must not know: terminals.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections import deque
from pathlib import Path

import orjson

from miroir.processes import Child
from miroir.stack import Stack
from miroir.stack_plan import StackPlan
from miroir.stack_state import Phase, write_state
from schemas.errors import MiroirError

RESTART_AFTER_S = 1.0
"""A process that ended is started again after this: long enough to see on ``status`` that it was away."""

RESTARTS_MAX = 5
"""A process that ends so often within ``RESTARTS_S`` is left alone: starting it once more will not help."""

RESTARTS_S = 60.0


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
    write_state(plan.directory, stack.state(Phase.STOPPING, step="stopping", error=error))
    await stack.stop()
    write_state(plan.directory, stack.state(Phase.FAILED if error else Phase.STOPPED, error=error))
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
    keepers = [asyncio.create_task(_keep_alive(stack, child)) for child in stack.children()]
    write_state(stack.plan.directory, stack.state(Phase.READY))
    try:
        await asyncio.wait([stopping, broker], return_when=asyncio.FIRST_COMPLETED)
        if broker.done():
            raise MiroirError(f"the embedded broker ended, and its log with it: see {stack.plan.logs / 'broker.log'}")
    finally:
        await _give_up(broker, *keepers)


async def _keep_alive(stack: Stack, child: Child) -> None:
    """Start a process again whenever it ends, a bounded number of times a minute."""
    ends: deque[float] = deque(maxlen=RESTARTS_MAX)
    while len(ends) < RESTARTS_MAX or time.monotonic() - ends[0] > RESTARTS_S:
        code = await child.wait()
        ends.append(time.monotonic())
        write_state(stack.plan.directory, stack.state(Phase.READY, step=f"{child.name} ended with code {code}"))
        await asyncio.sleep(RESTART_AFTER_S)
        await child.start()
        write_state(stack.plan.directory, stack.state(Phase.READY, step=f"{child.name} was started again"))
    step = f"{child.name} ends again and again: see {child.command.log}"
    write_state(stack.plan.directory, stack.state(Phase.READY, step=step))


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
