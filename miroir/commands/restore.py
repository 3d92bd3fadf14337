"""``miroir restore``: a backup into a new index."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from miroir.commands.terminal import (
    DIRECTORY,
    Directory,
    Json,
    Url,
    connect,
    out,
    print_json,
    progress_bar,
    settings_of,
)
from miroir.restore import Restored, Wanted, restore
from schemas.ids import parse_index_uid


def restore_file(
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `miroir backup` has written.")],
    uid: Annotated[str | None, typer.Option("--as", help="Another name for the index.")] = None,
    shards: Annotated[int | None, typer.Option("--shards", min=1, help="Default: as in the file.")] = None,
    replication: Annotated[int | None, typer.Option("--replication", min=1, help="Default: as in the file.")] = None,
    groups: Annotated[list[int] | None, typer.Option("--group", min=0, help="Replica groups; repeat it.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="The index is there: produce the file's documents into it once more.")
    ] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Make an index from a backup, and wait until every copy has all of it."""
    began_s = time.monotonic()
    wanted = Wanted(
        None if uid is None else parse_index_uid(uid),
        shards,
        replication,
        tuple(sorted(set(groups))) if groups else None,
        again,
    )
    made = asyncio.run(_restore(directory, url, file.resolve(), wanted))
    seconds = time.monotonic() - began_s
    if as_json:
        print_json(
            {
                "index": made.uid,
                "incarnation": made.incarnation,
                "documents": made.documents,
                "token": made.token,
                "seconds": round(seconds, 3),
            }
        )
    else:
        table = Table("index", "incarnation", "documents on every copy", "seconds")
        table.add_row(made.uid, str(made.incarnation), f"{made.documents:,}", f"{seconds:.1f}")
        out.print(table)
        out.print(f"token {made.token}", soft_wrap=True, markup=False)


async def _restore(directory: Path, url: str | None, path: Path, wanted: Wanted) -> Restored:
    kafka = settings_of(directory).kafka_config("miroir-restore")
    with progress_bar() as progress:
        task = progress.add_task("checking the file", total=None)

        def report(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total or None, description=what)

        async with connect(directory, url) as client:
            return await restore(client, kafka, path, wanted, report=report)
