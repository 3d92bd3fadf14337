"""``miroir status``: nodes, indexes, lag, and what is wrong."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.live import Live

from miroir.client import QueryClient
from miroir.commands.terminal import (
    DIRECTORY,
    FAILED,
    Directory,
    JsonLooks,
    Url,
    connect,
    out,
    print_json,
    print_json_line,
)
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
    as_json: JsonLooks = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Show nodes, indexes, lag and faults; exit code 1 where something is wrong."""
    if watch:
        try:
            asyncio.run(_watch_json(directory, url) if as_json else _watch(directory, url, shards=shards))
        except KeyboardInterrupt:
            return
    local = _local(directory, url)
    client = connect(directory, url)
    try:
        found = asyncio.run(_once(client))
    except MiroirError as error:
        raise MiroirError(_why_away(local, error)) from error
    answer = _to_wire(found, local)
    if as_json:
        print_json(answer)
    else:
        out.print(_tables(found, local, shards=shards))
    if answer["faults"]:
        raise typer.Exit(FAILED)


async def _once(client: QueryClient) -> dict[str, Any]:  # as the query service has it
    async with client:
        return await client.call("GET", "/_miroir/status")


async def _watch(directory: Path, url: str | None, *, shards: bool) -> None:
    async with connect(directory, url) as client:
        with Live(console=out, auto_refresh=False) as live:
            while True:
                local = _local(directory, url)
                live.update(await _shown(client, local, shards=shards), refresh=True)
                await asyncio.sleep(WATCH_S)


async def _watch_json(directory: Path, url: str | None) -> None:
    async with connect(directory, url) as client:
        while True:
            print_json_line(await _told(client, _local(directory, url)))
            await asyncio.sleep(WATCH_S)


async def _told(client: QueryClient, local: StackState | None) -> dict[str, Any]:  # JSON
    try:
        found = await client.call("GET", "/_miroir/status")
    except MiroirError as error:
        return {"faults": [str(error)]}
    return _to_wire(found, local)


async def _shown(client: QueryClient, local: StackState | None, *, shards: bool) -> Any:  # what rich can print
    try:
        found = await client.call("GET", "/_miroir/status")
    except MiroirError as error:
        return str(error)
    return _tables(found, local, shards=shards)


def _to_wire(found: dict[str, Any], local: StackState | None) -> dict[str, Any]:  # JSON
    return found | {"faults": [*_troubles(local), *faults(found)]}


def _tables(found: dict[str, Any], local: StackState | None, *, shards: bool) -> RenderableType:
    return status_tables(found, _alive(local), shards=shards, kafka=_kafka(local), troubles=_troubles(local))


def _troubles(local: StackState | None) -> Sequence[str]:
    """Return the troubles of local processes, as long as somebody looks after them."""
    return local.troubles if local is not None and local.is_kept else ()


def _local(directory: Path, url: str | None) -> StackState | None:
    """Return the local stack where its own service is asked: it has no part in what another one answers."""
    state = read_state(directory.resolve())
    if state is None or not state.url:
        return None
    return state if url is None or url.rstrip("/") == state.url else None


def _alive(local: StackState | None) -> list[ProcessId]:
    return [each for each in local.processes if is_alive(each)] if local is not None else []


def _kafka(local: StackState | None) -> str:
    return f"{local.kafka} ({local.kafka_kind})" if local is not None and local.kafka else ""


def _why_away(local: StackState | None, error: MiroirError) -> str:
    return str(error) if local is None or local.supervisor is None else f"{error}; the local stack is {local.told}"
