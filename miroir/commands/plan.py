"""``miroir plan``: what a change would move, before it is done; exit code 1 where it would be refused."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from miroir.commands.node import Group, Weight, Zone
from miroir.commands.terminal import DIRECTORY, FAILED, Directory, Json, Url, connect, err, out, print_json
from schemas.ids import IndexUid, NodeId, parse_node_id
from schemas.requests import AddNode, DrainNode, RemoveNode, ReplaceNode, Request, UpdateIndex, build_request

app = typer.Typer(
    help="Show what a change would move, before it is done; exit code 1 where it would be refused.",
    no_args_is_help=True,
)

Node = Annotated[str, typer.Argument(help="The node's name in the cluster.")]
NO_URL = "http://not-asked"
"""What would move does not depend on where a node listens."""


@app.command("add")
def add(
    *,
    node: Node,
    weight: Weight = None,
    zone: Zone = None,
    group: Group = None,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """If a node joined, or had another weight, zone or group."""
    _show(AddNode(parse_node_id(node), NO_URL, weight, zone, group), directory, url, as_json=as_json)


@app.command("drain")
def drain(*, node: Node, as_json: Json = False, directory: Directory = DIRECTORY, url: Url = None) -> None:
    """If a node were drained."""
    _show(DrainNode(NodeId(node)), directory, url, as_json=as_json)


@app.command("remove")
def remove(*, node: Node, as_json: Json = False, directory: Directory = DIRECTORY, url: Url = None) -> None:
    """If a node were removed, or failed for good."""
    _show(RemoveNode(NodeId(node)), directory, url, as_json=as_json)


@app.command("replace")
def replace(
    *,
    node: Node,
    by: Annotated[str, typer.Argument(help="The new node's name.")],
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """If a node were replaced by another."""
    _show(ReplaceNode(NodeId(node), parse_node_id(by), NO_URL), directory, url, as_json=as_json)


@app.command("index")
def index(
    *,
    uid: Annotated[str, typer.Argument(help="The index's name.")],
    replication: Annotated[int | None, typer.Option("--replication", min=1, help="Copies in each group.")] = None,
    groups: Annotated[list[int] | None, typer.Option("--group", min=0, help="Replica groups; repeat it.")] = None,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """If an index had more or fewer copies, or were in other groups."""
    if replication is None and not groups:
        raise typer.BadParameter("nothing to change: give --replication or --group")
    wanted = tuple(sorted(set(groups))) if groups else None
    _show(UpdateIndex(IndexUid(uid), replication, wanted), directory, url, as_json=as_json)


def _show(request: Request, directory: Path, url: str | None, *, as_json: bool) -> None:
    found = asyncio.run(_fetch(directory, url, request))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found.get("fault"):
        raise typer.Exit(FAILED)


def _print(found: Mapping[str, Any]) -> None:
    table = Table("index", "node", "copies to make", "copies to drop")
    for name, node, begin, leave in _rows(found):
        table.add_row(name, node, str(begin or ""), str(leave or ""))
    out.print(table)
    made, copies = len(found["begin"]), found["copies"]
    out.print(f"{made} of {copies} copies would be made ({made / copies if copies else 0:.1%})")
    if found.get("fault"):
        err.print(f"[bold red]WARNING[/] it would be refused: {escape(found['fault'])}")


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    begin, leave = (Counter((copy["index"], copy["node"]) for copy in found[name]) for name in ("begin", "leave"))
    for index_uid, node in sorted(begin.keys() | leave.keys()):
        yield index_uid, node, begin[index_uid, node], leave[index_uid, node]


async def _fetch(directory: Path, url: str | None, request: Request) -> dict[str, Any]:  # as the query service has it
    async with connect(directory, url) as client:
        return await client.call("POST", "/_miroir/plan", content=build_request(request))
