"""A run on a loop of its own."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.simulation.mixes import USUAL, Mix
from tests.simulation.run import STEPS, Result, Run
from tests.simulation.virtual_clock import VirtualClockLoop

T = TypeVar("T")


def simulate(seed: int, *, steps: int = STEPS, mix: Mix = USUAL) -> Result:
    """Run under a seed, and return what was covered.

    Raises:
        BrokenInvariantError: something that must always hold did not.
    """
    return run_at_once(_run(seed, steps, mix))


def run_at_once(running: Coroutine[Any, Any, T]) -> T:
    """Run on a clock that never waits, end whatever it leaves behind, and return its result."""
    loop = VirtualClockLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(running)
    finally:
        loop.run_until_complete(_drain())
        loop.close()


async def _run(seed: int, steps: int, mix: Mix) -> Result:
    return await Run(seed, steps=steps, mix=mix).run()


async def _drain() -> None:
    """Let every cancelled task end."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
