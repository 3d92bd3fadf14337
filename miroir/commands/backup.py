"""``miroir backup``: an index into a file."""

import asyncio
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from miroir.backup import BackupMaker
from miroir.backup_file import check_backup
from miroir.commands.terminal import DIRECTORY, Directory, Json, err, out, print_json, progress_bar, settings_of
from schemas.backups import BackupHeader, Source
from schemas.ids import IndexUid


class From(StrEnum):
    """Where documents are read."""

    LOG = "log"
    NODES = "nodes"


def backup(
    *,
    index: Annotated[str, typer.Argument(help="The index.")],
    file: Annotated[Path, typer.Argument(dir_okay=False, help="NDJSON; gzipped where the name ends with .gz.")],
    source: Annotated[
        From | None, typer.Option("--source", help="Default: the log; the nodes where it is not whole any more.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Write every document of an index into a file, with the positions up to which it is complete."""
    began_s = time.monotonic()
    path = file.resolve()
    header = asyncio.run(_backup(directory, IndexUid(index), path, force=force, source=source))
    documents = check_backup(path).footer.documents
    seconds, size = time.monotonic() - began_s, path.stat().st_size
    if as_json:
        print_json(
            {
                "index": header.uid,
                "incarnation": header.incarnation,
                "file": str(path),
                "documents": documents,
                "bytes": size,
                "source": header.source,
                "cursors": list(header.cursors),
                "seconds": round(seconds, 3),
            }
        )
    else:
        table = Table("index", "documents", "from", "complete up to", "bytes", "seconds")
        cursors = ", ".join(map(str, header.cursors))
        table.add_row(header.uid, f"{documents:,}", header.source, cursors, f"{size:,}", f"{seconds:.1f}")
        out.print(table)
        err.print(f"read once more and found whole; `miroir restore {file} --as NAME` brings it back", soft_wrap=True)


async def _backup(directory: Path, index: IndexUid, path: Path, *, force: bool, source: From | None) -> BackupHeader:
    wanted: Source | None = None if source is None else source.value
    with progress_bar() as progress:
        task = progress.add_task("folding the cluster", total=None)

        def report(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        async with BackupMaker(settings_of(directory), report=report) as maker:
            return await maker.run(index, path, force=force, source=wanted)
