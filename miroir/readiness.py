"""Waiting for processes that start, and not waiting for what one that has ended would have to do.

What always holds: every wait ends: with success, with its bound, or with a process's end. Who calls it: the local
stack. It must not know: which processes there are.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence

import httpx

from miroir.processes import Child
from schemas.errors import MiroirError

READY_S = 60.0
"""A process is ready within 2 s; twelve at once on a machine of two busy cores get this long."""

POLL_S = 0.05
"""How often a starting process is asked."""


async def until_ready(child: Child, url: str) -> None:
    """Return once the URL answers 200.

    Raises:
        MiroirError: the process has ended, or is not ready in time; the text has the tail of its log, or names it.
    """
    deadline_s = time.monotonic() + READY_S
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            child.require_running()
            try:
                if (await http.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline_s:
                raise MiroirError(f"{child.name} is not ready after {READY_S:.0f} s; see {child.command.log}")
            await asyncio.sleep(POLL_S)


async def watched(waiting: Awaitable[object], children: Sequence[Child]) -> None:
    """Wait, but not for what a process that has ended meanwhile would have to do.

    Raises:
        MiroirError: a process has ended; the text has the tail of its log.
    """
    main = asyncio.ensure_future(waiting)
    ends = [asyncio.ensure_future(child.wait()) for child in children]
    try:
        await asyncio.wait([main, *ends], return_when=asyncio.FIRST_COMPLETED)
        for child in children:
            child.require_running()
        await main
    finally:
        await _give_up(main, *ends)


async def all_of(starts: Sequence[Awaitable[None]]) -> None:
    """Wait for all; where one fails, give up the others and raise its error."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _give_up(*tasks)


async def _give_up(*tasks: "asyncio.Future[object] | asyncio.Future[int] | asyncio.Future[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
