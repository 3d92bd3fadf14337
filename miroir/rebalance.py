"""Watching moves until something holds, with a live table.

What always holds: it only looks; what it waits for goes on without it. Who calls it: the commands that move copies. It
must not know: what is wanted.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.live import Live

from miroir.client import QueryClient
from miroir.moves_table import moves_table
from schemas.errors import MiroirError

LOOK_S = 0.5
"""Between two looks."""

MOVED_S = 24 * 3600.0
"""How long moves are watched."""

Moves = Mapping[str, Any]
"""What the query service answers."""


async def fetch_moves(client: QueryClient) -> Moves:
    """Return what moves now.

    Raises:
        MiroirError: no query service answers.
    """
    return await client.call("GET", "/_miroir/moves")


async def watch_moves(
    client: QueryClient, done: Callable[[Moves], bool], console: Console, *, timeout_s: float = MOVED_S
) -> Moves:
    """Show what moves until ``done`` says so, and return what was seen last.

    Raises:
        MiroirError: not in time.
    """
    deadline_s = time.monotonic() + timeout_s
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            moves = await fetch_moves(client)
            if done(moves):
                return moves
            live.update(moves_table(moves), refresh=True)
            if time.monotonic() > deadline_s:
                raise MiroirError(f"copies still move after {timeout_s:.0f} s; `miroir rebalance status` shows what")
            await asyncio.sleep(LOOK_S)


def is_settled(moves: Moves) -> bool:
    """Return whether everything is where it is wanted."""
    return bool(moves["done"])


def is_empty(node: str) -> Callable[[Moves], bool]:
    """Return what tells whether a node holds nothing, or is not there."""

    def tell(moves: Moves) -> bool:
        found = moves["nodes"].get(node)
        return found is None or found["copies"] + found["leaving"] == 0

    return tell


def is_in_state(node: str, state: str) -> Callable[[Moves], bool]:
    """Return what tells whether a node has this state; "" is that it has gone."""

    def tell(moves: Moves) -> bool:
        found = moves["nodes"].get(node)
        return ("" if found is None else found["state"]) == state

    return tell


def has_joined(node: str) -> Callable[[Moves], bool]:
    """Return what tells whether a node is there and not joining any more."""

    def tell(moves: Moves) -> bool:
        found = moves["nodes"].get(node)
        return found is not None and found["state"] != "joining"

    return tell
