"""``miroir rebalance``: what moves between nodes."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from miroir.commands.terminal import DIRECTORY, Directory, JsonLooks, Url, connect, out, print_json, print_json_line
from miroir.moves_table import moves_table
from miroir.rebalance import LOOK_S, fetch_moves

app = typer.Typer(help="See what moves between nodes.", no_args_is_help=True)


@app.callback()
def rebalance() -> None:
    """See what moves between nodes."""


@app.command("status")
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until interrupted.")] = False,
    as_json: JsonLooks = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Show which copies are made, wait or leave; copies move by themselves after every change of nodes or indexes."""
    try:
        if not watch:
            asyncio.run(_once(directory, url, as_json=as_json))
        elif as_json:
            asyncio.run(_watch_json(directory, url))
        else:
            asyncio.run(_watch(directory, url))
    except KeyboardInterrupt:
        return


async def _once(directory: Path, url: str | None, *, as_json: bool) -> None:
    async with connect(directory, url) as client:
        moves = await fetch_moves(client)
    if as_json:
        print_json(moves)
    else:
        out.print(moves_table(moves))


async def _watch_json(directory: Path, url: str | None) -> None:
    async with connect(directory, url) as client:
        while True:
            print_json_line(await fetch_moves(client))
            await asyncio.sleep(LOOK_S)


async def _watch(directory: Path, url: str | None) -> None:
    async with connect(directory, url) as client:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                moves = await fetch_moves(client)
                live.update(moves_table(moves), refresh=True)
                await asyncio.sleep(LOOK_S)
