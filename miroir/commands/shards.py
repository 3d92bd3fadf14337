"""``miroir shards``: every copy of every shard."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from miroir.commands.terminal import DIRECTORY, Directory, Json, Url, connect, out, print_json


def shards(
    *,
    index: Annotated[str | None, typer.Option("--index", help="Only of this index.")] = None,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Show where every copy of every shard is, how far it is, and where it is wanted."""
    rows = asyncio.run(_fetch(directory, url, index))
    if as_json:
        print_json(rows)
    else:
        out.print(_table(rows))


async def _fetch(directory: Path, url: str | None, index: str | None) -> Sequence[Any]:  # as the query service has it
    async with connect(directory, url) as client:
        answer = await client.call("GET", "/_miroir/shards", params={"index": index} if index else {})
    found: Sequence[Any] = answer["results"]
    return found


def _table(rows: Sequence[Any]) -> Table:
    table = Table("index", "shard", "node", "state", "readable", "cursor", "end", "wanted on")
    for row in rows:
        for number, copy in enumerate(row["copies"]):
            first = number == 0
            readable = Text("yes", "green") if copy["readable"] else Text("no", "yellow")
            state = copy["state"] if copy["node"] in row["wanted"] or copy["state"] == "leaving" else "surplus"
            positions = ["" if copy[name] is None else str(copy[name]) for name in ("cursor", "end")]
            wanted = " ".join(row["wanted"]) if first else ""
            named = (row["index"], str(row["shard"])) if first else ("", "")
            table.add_row(*named, copy["node"], state, readable, *positions, wanted)
    return table
