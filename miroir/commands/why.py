"""``miroir why``: why a shard is where it is."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from miroir.commands.terminal import DIRECTORY, Directory, Json, Url, connect, out, print_json
from schemas.errors import InvalidInputError


def why(
    *,
    shard: Annotated[str, typer.Argument(metavar="INDEX/SHARD", help="Such as films/3.")],
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Show what every node has to say to a shard: its score, weight, zone, and how much room it has."""
    index, separator, number = shard.partition("/")
    if not separator:
        raise InvalidInputError(f"shard {shard!r}: expected INDEX/SHARD, such as films/3")
    found = asyncio.run(_fetch(directory, url, index, number))
    if as_json:
        print_json(found)
        return
    for group, nodes in found["groups"].items():
        out.print(_table(nodes, f"group {group}"))
    out.print(f"wanted on {' '.join(found['wanted'])}; placed on {' '.join(found['placed'])}")
    out.print(
        "The nodes with the highest scores are chosen, without those that are full, and without a zone that has a copy"
        " already while another has room; what a node then lacks of its share others give it. A copy that exists stays"
        " where it is while that keeps all within bounds."
    )


async def _fetch(directory: Path, url: str | None, index: str, shard: str) -> dict[str, Any]:  # as the service has it
    async with connect(directory, url) as client:
        return await client.call("GET", "/_miroir/why", params={"index": index, "shard": shard})


def _table(nodes: list[dict[str, Any]], title: str) -> Table:
    table = Table("node", "score", "chosen", "weight", "zone", "share", "room", "held", "seat", title=title)
    for node in nodes:
        chosen = Text("yes", "green") if node["chosen"] else ""
        numbers = (f"{node['share']:.1f}", str(node["room"]), str(node["held"]))
        seat = "" if node["seat"] == node["node"] else node["seat"]
        table.add_row(node["node"], f"{node['score']:.3f}", chosen, f"{node['weight']:g}", node["zone"], *numbers, seat)
    return table
