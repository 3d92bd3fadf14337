"""Waiting for something with a deadline, and signals to a process with all it has started."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from miroir.processes import Child, describe_tail

T = TypeVar("T")

POLL_S = 0.03
DEADLINE_S = 150.0
"""For anything that takes a few seconds on an idle machine: a busy one may take far longer."""


async def until(
    condition: Callable[[], Awaitable[T | None]],
    what: str,
    *,
    timeout_s: float = DEADLINE_S,
    logs: Iterable[Path] = (),
    seen: Callable[[], object] = lambda: "",
) -> T:
    """Wait until the condition gives something true, and return it.

    Args:
        condition: asked again and again.
        what: is waited for, in the text of the failure.
        timeout_s: after which the test has failed.
        logs: whose tails stand in the text of the failure.
        seen: told last, in the text of the failure.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (found := await condition()):
        if time.monotonic() > deadline_s:
            tails = "\n".join(describe_tail(log) for log in logs)
            raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}: {seen()}\n{tails}")
        await asyncio.sleep(POLL_S)
    return found


def freeze(pid: int) -> None:
    """Stop a child of this process with SIGSTOP, and return when all its threads stand still.

    ``kill`` returns before: on a busy machine a broker acknowledged one append in twenty after it.
    """
    os.kill(pid, signal.SIGSTOP)
    _wait_stopped(pid)


def signal_group(process: Child, number: signal.Signals) -> None:
    """Signal a process and all it has started; nothing where it has ended. After SIGSTOP the process stands still."""
    if process.pid is not None and process.running:
        with suppress(ProcessLookupError, ChildProcessError):
            os.killpg(process.pid, number)
            if number == signal.SIGSTOP:
                _wait_stopped(process.pid)


def _wait_stopped(pid: int) -> None:
    """Wait until a child's last thread has stopped, or the child has ended; who waits for its end still gets it."""
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
