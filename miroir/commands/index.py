"""``miroir index``: indexes made, listed, paused, resumed, deleted."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from miroir.commands.terminal import DIRECTORY, Directory, Json, Url, connect, err, out, print_json
from schemas.events import PartitionerName
from schemas.ids import Incarnation, IndexUid, Offset, parse_index_uid
from schemas.requests import (
    REPLICATION_DEFAULT,
    SHARDS_DEFAULT,
    CreateIndex,
    DeleteIndex,
    PauseIndex,
    ResumeIndex,
    UpdateIndex,
)
from streams.topics import docs_topic_name

app = typer.Typer(help="Make, list, pause, resume and delete indexes.", no_args_is_help=True)

Uid = Annotated[str, typer.Argument(help="The index's name.")]

_Request = CreateIndex | UpdateIndex | DeleteIndex | PauseIndex | ResumeIndex


@app.command("create")
def create(
    *,
    uid: Uid,
    primary_key: Annotated[str | None, typer.Option("--primary-key", help="Field that holds the id.")] = None,
    shards: Annotated[int, typer.Option("--shards", min=1, help="Of its log; never changes.")] = SHARDS_DEFAULT,
    replication: Annotated[
        int, typer.Option("--replication", min=1, help="Nodes that hold each shard.")
    ] = REPLICATION_DEFAULT,
    partitioner: Annotated[
        PartitionerName, typer.Option("--partitioner", help="Of its producers: murmur2 (Java) or crc32 (librdkafka).")
    ] = PartitionerName.MURMUR2,
    topic: Annotated[str | None, typer.Option("--topic", help="A topic that exists already.")] = None,
    groups: Annotated[list[int] | None, typer.Option("--group", min=0, help="Replica groups; repeat it.")] = None,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Make an index and its topic."""
    wanted = tuple(sorted(set(groups or [0])))
    request = CreateIndex(parse_index_uid(uid), primary_key, shards, replication, partitioner, topic, wanted)
    offset, named = asyncio.run(_create(directory, url, request))
    if as_json:
        print_json({"index": request.uid, "offset": offset, "topic": named})
        return
    err.print(f"index {uid}: {shards} shards, each on {replication} node(s); its log is topic {named}")
    plain = docs_topic_name(request.uid, Incarnation(Offset(offset)), taken=False)
    if topic is None and named != plain:
        err.print(
            f"[yellow]topic {plain} was there already[/], of an earlier index or a producer's: what it holds is not"
            f" read. If it is to be the index's log, delete the index and create it with --topic {plain}"
        )


@app.command("update")
def update(
    *,
    uid: Uid,
    replication: Annotated[int | None, typer.Option("--replication", min=1, help="Copies in each group.")] = None,
    groups: Annotated[list[int] | None, typer.Option("--group", min=0, help="Replica groups; repeat it.")] = None,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Change how many copies an index has, or in which replica groups; `miroir plan index` shows what would move."""
    if replication is None and not groups:
        raise typer.BadParameter("nothing to change: give --replication or --group")
    wanted = tuple(sorted(set(groups))) if groups else None
    said = f"index {uid} changes; `miroir rebalance status --watch` shows how far it is"
    _do(UpdateIndex(IndexUid(uid), replication, wanted), directory, url, as_json=as_json, said=said)


@app.command("delete")
def delete(
    *,
    uid: Uid,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Delete an index, its copies, and its topic where miroir made it."""
    if not yes:
        typer.confirm(f"delete index {uid}, all its copies and its log?", abort=True, err=True)
    _do(DeleteIndex(IndexUid(uid)), directory, url, as_json=as_json, said=f"index {uid} deleted")


@app.command("pause")
def pause(
    *,
    uid: Uid,
    reason: Annotated[str, typer.Option("--reason", help="Shown in `miroir status`.")] = "paused by an operator",
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Stop applying an index's log; searches go on, writes are kept in Kafka."""
    said = f"index {uid} is paused; `miroir index resume {uid}` goes on"
    _do(PauseIndex(parse_index_uid(uid), reason), directory, url, as_json=as_json, said=said)


@app.command("resume")
def resume(*, uid: Uid, as_json: Json = False, directory: Directory = DIRECTORY, url: Url = None) -> None:
    """Apply a paused index again, from where each copy stands.

    One that was stopped because its log was trimmed or made anew is stopped again, unless its copies have caught up.
    """
    said = f"index {uid} is applied again; `miroir status` shows its lag, and why, should it stop again"
    _do(ResumeIndex(parse_index_uid(uid)), directory, url, as_json=as_json, said=said)


@app.command("list")
def list_indexes(*, as_json: Json = False, directory: Directory = DIRECTORY, url: Url = None) -> None:
    """List the indexes."""
    found = asyncio.run(_list(directory, url))
    if as_json:
        print_json(found)
        return
    table = Table("index", "primary key", "created", "updated")
    for each in found:
        table.add_row(each["uid"], each.get("primaryKey") or "—", each.get("createdAt"), each.get("updatedAt"))
    out.print(table)


def _do(request: _Request, directory: Path, url: str | None, *, as_json: bool, said: str) -> None:
    offset = asyncio.run(_ask(directory, url, request))
    if as_json:
        print_json({"index": request.uid, "offset": offset})
    else:
        err.print(said)


async def _ask(directory: Path, url: str | None, request: _Request) -> int:
    async with connect(directory, url) as client:
        return await client.request(request)


async def _create(directory: Path, url: str | None, request: CreateIndex) -> tuple[int, str]:
    """Return where the request stands, and which topic the index has got."""
    async with connect(directory, url) as client:
        offset = await client.request(request)
        status = await client.call("GET", "/_miroir/status")
    return offset, next((each["topic"] for each in status["indexes"] if each["uid"] == request.uid), "")


async def _list(directory: Path, url: str | None) -> list[dict[str, Any]]:  # Meilisearch's shape
    found: list[dict[str, Any]] = []
    async with connect(directory, url) as client:
        while True:
            page = await client.call("GET", "/indexes", params={"offset": len(found), "limit": 100})
            found += page["results"]
            if not page["results"] or len(found) >= page["total"]:
                return found
