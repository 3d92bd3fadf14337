"""``miroir log``: the logs of indexes, where they are not whole any more."""

import asyncio
import time
from collections.abc import Callable
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
    err,
    out,
    print_json,
    progress_bar,
    settings_of,
)
from miroir.reseed import Finished, Reseeded, Reseeder
from schemas.ids import IndexUid

WARNING = """\
The index gets a new log from the documents on its nodes, and begins anew over it:
  - searches are answered by its present copies, AS THEY ARE NOW, until the new ones are whole; nodes hold both then;
  - writes go on, and show then; whoever asks for an answer as fresh as his write waits in vain until then;
  - producers that write to Kafka themselves must use the new topic from then on.
"""

app = typer.Typer(help="Make the log of an index anew.", no_args_is_help=True)


@app.callback()
def log() -> None:
    """Make the log of an index anew."""


@app.command("reseed")
def reseed(
    *,
    index: Annotated[str, typer.Argument(help="An index whose log was trimmed, deleted or lost.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on without writes that no copy and no log holds.")
    ] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Make an index's log anew from the documents on its nodes, so that copies can be rebuilt again."""
    began_s = time.monotonic()

    def confirm(fault: str) -> None:
        err.print(f"{fault}\n\n{WARNING}", markup=False, soft_wrap=True)
        if not yes:
            typer.confirm(f"make the log of {index} anew?", abort=True, err=True)

    done = asyncio.run(_reseed(directory, url, IndexUid(index), confirm, accept_loss=accept_loss))
    seconds = time.monotonic() - began_s
    if isinstance(done, Finished):
        if as_json:
            print_json({"index": index, "finished": True, **done._asdict(), "seconds": round(seconds, 3)})
        err.print(f"index {index} had its new log already: its copies are whole now, the former ones go")
        err.print(f"{done.carried:,} records came from the former log since, {done.passed_over:,} had newer ones")
        _tell_loss(done)
        return
    if as_json:
        names = {"uid": "index"}
        print_json(
            {**{names.get(key, key): value for key, value in done._asdict().items()}, "seconds": round(seconds, 3)}
        )
        return
    table = Table("index", "new log", "documents from nodes", "records from the former log", "seconds")
    table.add_row(done.uid, done.topic, f"{done.documents:,}", f"{done.carried:,}", f"{seconds:.1f}")
    out.print(table)
    _tell_loss(done)
    if done.former_topic:
        text = f"producers that write to it themselves must be given {done.topic}, then it can be deleted"
        err.print(f"the former topic {done.former_topic} is left as it is: {text}", soft_wrap=True)
    err.print(f"`miroir verify --index {done.uid}` compares the copies with the new log")


def _tell_loss(done: Reseeded | Finished) -> None:
    if done.keyless:
        err.print(f"left out: {done.keyless:,} records of the former log without a key, of which no document comes")
    if done.lost:
        err.print(f"lost: {done.lost}", markup=False, soft_wrap=True)
    if not done.is_quiet:
        err.print(
            "SOMEBODY STILL WRITES to the former topic; what comes from now on is not carried over", soft_wrap=True
        )


async def _reseed(
    directory: Path, url: str | None, uid: IndexUid, confirm: Callable[[str], None], *, accept_loss: bool
) -> Reseeded | Finished:
    settings = settings_of(directory)
    bar = progress_bar()
    task = bar.add_task("looking", total=None)

    def report(done: int, total: int, what: str) -> None:
        bar.update(task, completed=done, total=total or None, description=what)

    async with connect(directory, url) as client, Reseeder(settings, client, report=report) as reseeder:
        if await reseeder.is_cut_off(uid):
            with bar:
                return await reseeder.finish(uid)
        # The question comes before the bar, which would be drawn over it.
        confirm(await reseeder.look(uid))
        with bar:
            return await reseeder.run(uid, accept_loss=accept_loss)
