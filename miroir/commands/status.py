"""``miroir status``: nodes, indexes, lag, and what is wrong."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live

from miroir.client import QueryClient
from miroir.commands.terminal import DIRECTORY, FAILED, Directory, Json, Url, connect, out, print_json
from miroir.processes import ProcessId, is_alive
from miroir.stack_state import StackState, read_state
from miroir.status_table import faults, status_tables
from schemas.errors import MiroirError

WATCH_S = 0.5
"""How often ``--watch`` looks."""


def status(
    *,
    shards: Annotated[bool, typer.Option("--shards", help="Show every copy of every shard.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until interrupted.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Show nodes, indexes, lag and faults; exit code 1 where something is wrong."""
    local = read_state(directory.resolve())
    if watch:
        try:
            asyncio.run(_watch(directory, url, local, shards=shards))
        except KeyboardInterrupt:
            return
    try:
        found = asyncio.run(_once(directory, url))
    except MiroirError as error:
        raise MiroirError(_why_away(local, error)) from error
    wrong = faults(found)
    if as_json:
        print_json(found | {"faults": list(wrong)})
    else:
        out.print(status_tables(found, _alive(local), shards=shards, kafka=_kafka(local)))
    if wrong:
        raise typer.Exit(FAILED)


async def _once(directory: Path, url: str | None) -> dict[str, Any]:  # as the query service has it
    async with connect(directory, url) as client:
        return await client.call("GET", "/_miroir/status")


async def _watch(directory: Path, url: str | None, local: StackState | None, *, shards: bool) -> None:
    async with connect(directory, url) as client:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                live.update(await _shown(client, local, shards=shards), refresh=True)
                await asyncio.sleep(WATCH_S)


async def _shown(client: QueryClient, local: StackState | None, *, shards: bool) -> Any:  # what rich can print
    try:
        found = await client.call("GET", "/_miroir/status")
    except MiroirError as error:
        return str(error)
    return status_tables(found, _alive(local), shards=shards, kafka=_kafka(local))


def _alive(local: StackState | None) -> list[ProcessId]:
    return [each for each in local.processes if is_alive(each)] if local is not None else []


def _kafka(local: StackState | None) -> str:
    return f"{local.kafka} ({local.kafka_kind})" if local is not None and local.kafka else ""


def _why_away(local: StackState | None, error: MiroirError) -> str:
    if local is None or local.supervisor is None:
        return str(error)
    if is_alive(local.supervisor):
        return f"{error}; the local stack is {local.phase}: {local.step or local.error}"
    return f"the local stack is {local.phase if local.error else 'stopped'}{': ' * bool(local.error)}{local.error}"
