"""``miroir node``: nodes listed, added, drained, replaced, removed, rebuilt."""

import asyncio
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from agents.node_requests import WEIGHT_MAX
from miroir.client import QueryClient
from miroir.cluster_view import ClusterView
from miroir.commands.terminal import (
    DIRECTORY,
    Directory,
    Json,
    Url,
    connect,
    err,
    out,
    print_json,
    progress_bar,
    settings_of,
)
from miroir.joining import told_of_addition
from miroir.maintenance import alone_on, standing_of, steps_after_off, steps_after_on
from miroir.rebalance import LOOK_S, Moves, fetch_moves, has_joined, is_empty, is_in_state, is_settled, watch_moves
from miroir.status_table import nodes_table
from miroir.visibility import Standing, attempts_on, until_rebuilt
from schemas.errors import MiroirError
from schemas.ids import NodeId, parse_node_id
from schemas.requests import (
    ActivateNode,
    AddNode,
    DrainNode,
    MaintainNode,
    RebuildNode,
    RemoveNode,
    ReplaceNode,
    Request,
)

REBUILT_S = 24 * 3600.0
"""How long a rebuild is watched: it goes on without its watcher."""

app = typer.Typer(help="List, add, drain, replace, remove and rebuild nodes.", no_args_is_help=True)

Node = Annotated[str, typer.Argument(help="The node's name in the cluster.")]
Weight = Annotated[
    float | None,
    # A number that is none would be sent as if no weight were given.
    typer.Option("--weight", min=0.0, max=WEIGHT_MAX, help="Its share of shards relative to others; a new one: 1."),
]
Zone = Annotated[str | None, typer.Option("--zone", help="Copies of a shard avoid sharing one; a new one: none.")]
Group = Annotated[int | None, typer.Option("--group", min=0, help="Its replica group; a new one: 0.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it is done.")]


@app.command("list")
def list_nodes(*, as_json: Json = False, directory: Directory = DIRECTORY, url: Url = None) -> None:
    """List the nodes with their state and replicas."""
    status = asyncio.run(_status(directory, url))
    if as_json:
        print_json(status["nodes"])
    else:
        out.print(nodes_table(status))


@app.command("add")
def add(
    *,
    node: Node,
    node_url: Annotated[str, typer.Argument(metavar="URL", help="Where it listens: http://host:port.")],
    weight: Weight = None,
    zone: Zone = None,
    group: Group = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it has joined.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Let a Meilisearch node join the cluster, or change its share; asking again changes nothing.

    Of a node that is there, what is not given stays as it is.
    """
    request = AddNode(parse_node_id(node), node_url, weight, zone, group)
    before = asyncio.run(_status(directory, url))
    moves = asyncio.run(_ask_and_watch([Asked(request, has_joined(node))], directory, url, wait=wait))
    if as_json:
        print_json(moves)
    else:
        err.print(told_of_addition(before, moves, request), markup=False, soft_wrap=True)


@app.command("drain")
def drain(
    *,
    node: Node,
    wait: Wait = True,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Make a node's copies elsewhere, then let them leave it; searches and writes go on."""
    steps = [Asked(DrainNode(NodeId(node)), is_empty(node))]
    _move(steps, directory, url, wait=wait, as_json=as_json, said=f"{node} holds nothing: it can be removed")


class Switch(StrEnum):
    """Into maintenance, or out of it."""

    ON = "on"
    OFF = "off"


@app.command("maintenance")
def maintenance(
    *,
    node: Node,
    switch: Annotated[Switch, typer.Argument(help="Into maintenance, or out of it.")] = Switch.ON,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Take a node away for a while, or back: it keeps its copies, none are made in their stead."""
    found = asyncio.run(_maintain(directory, url, node, switch))
    if as_json:
        print_json(found)
        return
    for each in found["alone"]:
        shards = ", ".join(map(str, each["shards"]))
        text = f"while {node} is away, searches of {each['uid']} miss shards {shards}: nobody else has a whole copy"
        err.print(f"[bold red]WARNING[/] {text}; `miroir index update {each['uid']} --replication 2` makes one")
    err.print(f"{node} is {found['state']}: {found['readable']} of its {found['copies']} copies can be read")
    for number, step in enumerate(found["next"], start=1):
        err.print(f"  next {number}. {step}", markup=False, soft_wrap=True)


@app.command("activate")
def activate(
    *,
    node: Node,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until its copies are where they belong.")] = True,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """End a node's draining, maintenance or failure."""
    steps = [Asked(ActivateNode(NodeId(node)), is_in_state(node, "active")), Asked(None, is_settled)]
    _move(steps, directory, url, wait=wait, as_json=as_json, said=f"{node} is active")


@app.command("remove")
def remove(
    *,
    node: Node,
    force: Annotated[
        bool, typer.Option("--force", help="Also where it holds copies, if each shard has another whole one.")
    ] = False,
    forget: Annotated[bool, typer.Option("--forget", help="End the removal of a node that cannot be asked.")] = False,
    wait: Wait = True,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Let a node go that holds nothing: what miroir made on it is taken back."""
    steps = [Asked(RemoveNode(NodeId(node), force=force, forget=forget), is_in_state(node, ""))]
    _move(steps, directory, url, wait=wait, as_json=as_json, said=f"{node} is gone")


@app.command("replace")
def replace(
    *,
    node: Node,
    by: Annotated[str, typer.Argument(help="The new node's name.")],
    node_url: Annotated[str, typer.Argument(metavar="URL", help="Where the new one listens: http://host:port.")],
    wait: Wait = True,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Let a new node take over exactly the copies of another, and remove that; without waiting it only drains."""
    old = NodeId(node)
    steps = [
        Asked(ReplaceNode(old, parse_node_id(by), node_url), is_in_state(by, "active")),
        Asked(None, is_settled),
        Asked(RemoveNode(old), is_in_state(node, "")),
    ]
    _move(steps, directory, url, wait=wait, as_json=as_json, said=f"{by} has taken over, {node} is gone")


@app.command("rebuild")
def rebuild(
    *,
    node: Node,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it is whole again.")] = True,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Drop every copy on a node and replay it from the log; searches use the other copies meanwhile."""
    replicas = asyncio.run(_rebuild(directory, url, NodeId(node), wait=wait))
    if as_json:
        print_json({"node": node, "replicas": replicas, "whole": wait})
    elif wait:
        err.print(f"{node} is whole again: {replicas} replicas; `miroir verify --node {node}` compares it with the log")
    else:
        err.print(f"{node} is being rebuilt; `miroir status` shows how far it is")


class Asked(NamedTuple):
    """A request, if any, and what is waited for then."""

    request: Request | None
    done: Callable[[Moves], bool]


def _move(steps: Sequence[Asked], directory: Path, url: str | None, *, wait: bool, as_json: bool, said: str) -> None:
    moves = asyncio.run(_ask_and_watch(steps, directory, url, wait=wait))
    if as_json:
        print_json(moves)
    else:
        err.print(said if wait else "it is begun; `miroir rebalance status --watch` shows how far it is")


async def _ask_and_watch(steps: Sequence[Asked], directory: Path, url: str | None, *, wait: bool) -> Moves:
    async with connect(directory, url) as client:
        for step in steps:
            if step.request is not None:
                await client.request(step.request)
            if not wait:
                break
            await watch_moves(client, step.done, err)
        return await fetch_moves(client)


async def _maintain(directory: Path, url: str | None, node: str, switch: Switch) -> dict[str, Any]:
    """Ask for it, wait for it, and return what holds then; out of maintenance only once the node's copies are whole."""
    request, state = (MaintainNode, "maintenance") if switch is Switch.ON else (ActivateNode, "active")
    async with connect(directory, url) as client:
        await client.request(request(NodeId(node)))
        await watch_moves(client, is_in_state(node, state), err)
        status = await _until_whole(client, node) if switch is Switch.OFF else await _fetch_status(client)
    alone = alone_on(status, node) if switch is Switch.ON else ()
    steps = steps_after_on(node) if switch is Switch.ON else steps_after_off()
    told = {"node": node, "state": state, **standing_of(status, node)._asdict()}
    return {**told, "alone": [each._asdict() for each in alone], "next": list(steps)}


async def _until_whole(client: QueryClient, node: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + REBUILT_S
    with progress_bar() as progress:
        task = progress.add_task(f"{node} catches up or is rebuilt, copies", total=None)
        while True:
            status = await _fetch_status(client)
            standing = standing_of(status, node)
            progress.update(task, completed=standing.readable, total=standing.copies)
            if standing.is_whole and is_settled(await fetch_moves(client)):
                return status
            if time.monotonic() > deadline_s:
                text = f"{standing.readable} of {standing.copies} copies can be read after {REBUILT_S:.0f} s"
                raise MiroirError(f"{node}: {text}; `miroir status --shards` shows why")
            await asyncio.sleep(LOOK_S)


async def _fetch_status(client: QueryClient) -> dict[str, Any]:  # as the query service has it
    return await client.call("GET", "/_miroir/status")


async def _status(directory: Path, url: str | None) -> dict[str, Any]:  # as the query service has it
    async with connect(directory, url) as client:
        return await _fetch_status(client)


async def _rebuild(directory: Path, url: str | None, node: NodeId, *, wait: bool) -> int:
    """Ask for it, stay if told to, and return how many copies begin anew."""
    kafka = settings_of(directory).kafka_config("miroir-rebuild")
    async with connect(directory, url) as client, ClusterView(kafka) as view:
        await view.refresh()
        before = attempts_on(view, node)
        await client.request(RebuildNode(node))
        if not wait:
            return len(before)
        with progress_bar() as progress:
            task = progress.add_task(f"rebuilding {node}", total=None)

            def report(standing: Standing) -> None:
                progress.update(task, completed=standing.reached, total=standing.wanted or None)

            await until_rebuilt(view, node, before, timeout_s=REBUILT_S, report=report)
    return len(before)
