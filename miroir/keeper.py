"""Keeping one process alive: started again whenever it ends, after pauses that grow where it ends again and again.

What always holds: the process is watched for as long as its keeper runs, whatever fails meanwhile; no pause is longer
than ``Pace.longest_s``. Who calls it: the supervisor, once a process. It must not know: what the process is for, or
where what happens is told.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from miroir.processes import Child
from schemas.errors import MiroirError


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon a process that has ended is started again.

    Attributes:
        first_s: before it is started again for the first time.
        longest_s: each pause is twice as long as the one before, but no longer than this.
        steady_s: a process that has run for so long is well: the next pause is the first one again.
        troubling_ends: so many ends in a row, none of them after ``steady_s``, are trouble.
    """

    first_s: float
    longest_s: float
    steady_s: float
    troubling_ends: int


PACE = Pace(first_s=1.0, longest_s=15.0, steady_s=60.0, troubling_ends=5)
"""The first pause is long enough to see on ``status`` that the process was away; the longest is how long a worker may
stay away once Kafka is back, without which it ends at once; five ends take some 20 s then."""

Tell = Callable[[str, str], None]
"""Takes what has happened, and the trouble that the process is in, empty for none; both for people."""


def pause_s(ends: int, pace: Pace) -> float:
    """Return how long to wait after so many ends in a row, at least one."""
    pause: float = pace.first_s
    for _ in range(ends - 1):
        if pause >= pace.longest_s:
            break
        pause *= 2
    return min(pause, pace.longest_s)


async def keep(child: Child, tell: Tell, pace: Pace = PACE) -> None:
    """Start a process again whenever it ends, until cancelled; the process itself is left as it is then."""
    ends = 0
    fault = trouble = ""
    while True:
        fault = fault or await _end_of(child, within_s=pace.steady_s if ends else None)
        if not fault:
            if trouble:
                tell(f"{child.name} runs again", "")
            ends, trouble = 0, ""
            continue
        ends += 1
        wait_s = pause_s(ends, pace)
        if ends >= pace.troubling_ends:
            trouble = f"{fault}, {ends} times in a row: tried again after {wait_s:g} s; see {child.command.log}"
        tell(fault, trouble)
        await asyncio.sleep(wait_s)
        fault = await _start(child)
        if not fault:
            tell(f"{child.name} was started again", trouble)


async def _end_of(child: Child, *, within_s: float | None) -> str:
    """Return how the process has ended; nothing where it has not within this time."""
    try:
        async with asyncio.timeout(within_s):
            return f"{child.name} ended with code {await child.wait()}"
    except TimeoutError:
        return ""


async def _start(child: Child) -> str:
    """Start the process; return why it could not be."""
    try:
        await child.start()
    except MiroirError as error:
        return str(error)
    except OSError as error:
        return f"{child.name} cannot be started: {error}"
    return ""
