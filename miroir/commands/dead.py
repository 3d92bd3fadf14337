"""``miroir dead``: records that could not be indexed, why, and trying them again."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from miroir.cluster_view import ClusterView
from miroir.commands.terminal import (
    DIRECTORY,
    FAILED,
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
from miroir.letter_fate import Fate, Outcome
from miroir.letters_table import letter_text, letters_table, outcomes_table, readable
from miroir.replay_letters import Replayer
from schemas.config import Settings
from schemas.dead_letters import DeadLetter, build_dead_letter_key, decode_bytes, parse_dead_letter
from schemas.errors import InvalidInputError, NotFoundError
from schemas.ids import Partition
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import TopicPartition
from streams.log_range import read_range
from streams.topics import DEAD

app = typer.Typer(help="Dead letters: records set aside, with the reason.", no_args_is_help=True)

Index = Annotated[str | None, typer.Option("--index", help="Only of this index.")]


@app.command("list")
def list_letters(
    *,
    index: Index = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 100,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """List dead letters, newest first."""
    found = asyncio.run(_list(directory, url, index, limit))
    if as_json:
        print_json(found)
        return
    out.print(letters_table(found["results"]))
    err.print(
        f"{len(found['results'])} of {found['total']}; `miroir dead show RECORD` shows one whole,"
        " `miroir dead replay RECORD` tries it again"
    )


@app.command("replay")
def replay(
    *,
    records: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `dead list` names them.")
    ] = None,
    index: Index = None,
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Only of this partition.")] = None,
    offset: Annotated[int | None, typer.Option("--offset", min=0, help="Only of this offset.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every index.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; produce nothing.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Produce the records of dead letters again, where nothing newer of their key is in the log.

    For when the cause is cured: settings changed, a producer's partitioner, a limit. What would only die again is left
    as it is, and named; exit code 1 then.
    """
    if not (records or index or every):
        raise typer.BadParameter("say which: records, --index or --all")
    if (partition is not None or offset is not None) and index is None:
        raise typer.BadParameter("--partition and --offset go with --index")
    selection = Selection(frozenset(map(_checked, records or ())), index, partition, offset)
    outcomes = asyncio.run(_replay(settings_of(directory), selection, dry_run=dry_run))
    counts = {fate.value: sum(each.fate is fate for each in outcomes) for fate in Fate}
    if as_json:
        print_json({**counts, "dry_run": dry_run, "results": [_outcome(each) for each in outcomes]})
    else:
        out.print(outcomes_table(outcomes))
        summed = ", ".join(f"{number} {fate}" for fate, number in counts.items())
        err.print(f"nothing was done; it would be: {summed}" if dry_run else summed)
    missing = selection.records - {build_dead_letter_key(each.letter).decode() for each in outcomes}
    for record in sorted(missing):
        err.print(f"{record}: no open dead letter")
    if counts[Fate.REFUSED] or missing:
        raise typer.Exit(FAILED)


@app.command("show")
def show(
    *,
    record: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `dead list` names it.")],
    as_json: Json = False,
    directory: Directory = DIRECTORY,
) -> None:
    """Show one dead letter with the record as it came; read from the log itself."""
    letter = asyncio.run(_find(settings_of(directory), record))
    key, value = decode_bytes(letter.key), decode_bytes(letter.value)
    shown = {
        "index": letter.uid,
        "incarnation": letter.incarnation,
        "reason": letter.reason,
        "message": letter.message,
        "timestamp_ms": letter.timestamp_ms,
        "closed": letter.closed,
        "key": None if key is None else readable(key),
        "key_base64": letter.key,
        "value": None if value is None else value.decode(errors="replace"),
        "value_base64": letter.value,
    }
    if as_json:
        print_json(shown)
        return
    out.print(letter_text(shown), soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; None is no condition, no records are all."""

    records: frozenset[str] = frozenset()
    index: str | None = None
    partition: int | None = None
    offset: int | None = None

    def selects(self, letter: DeadLetter) -> bool:
        """Return whether the letter is meant."""
        return (
            (not self.records or build_dead_letter_key(letter).decode() in self.records)
            and self.index in {None, letter.uid}
            and self.partition in {None, letter.partition}
            and self.offset in {None, letter.offset}
        )


def require_known(index: str | None, known: Collection[str]) -> None:
    """Return where no index was named, or one that is there or has left letters.

    Raises:
        NotFoundError: it is neither: the name may be misspelt.
    """
    if index is not None and index not in known:
        raise NotFoundError("index", index)


async def _replay(settings: Settings, selection: Selection, *, dry_run: bool) -> list[Outcome]:
    kafka = settings.kafka_config("miroir-dead")
    reader, writer = KafkaLogReader(kafka), KafkaLogWriter(kafka)
    try:
        async with ClusterView(kafka) as view:
            await view.refresh()
            lettered: set[str] = set()

            def selects(letter: DeadLetter) -> bool:
                lettered.add(letter.uid)
                return selection.selects(letter)

            with progress_bar() as progress:
                task = progress.add_task("dead letters", total=None)
                replayer = Replayer(
                    reader,
                    writer,
                    view.topology,
                    document_bytes_max=settings.post_bytes_max,
                    report=lambda done, total: progress.update(task, completed=done, total=total),
                )
                outcomes = await replayer.run(selects, dry_run=dry_run)
            require_known(selection.index, lettered | view.topology.indexes.keys())
            return outcomes
    finally:
        await reader.close()
        await writer.close()


def _outcome(outcome: Outcome) -> dict[str, Any]:
    letter = outcome.letter
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "index": letter.uid,
        "reason": letter.reason,
        "outcome": outcome.fate,
        "detail": outcome.detail,
    }


async def _list(directory: Path, url: str | None, index: str | None, limit: int) -> dict[str, Any]:
    parameters = {"limit": limit} | ({} if index is None else {"index": index})
    async with connect(directory, url) as client:
        found = await client.call("GET", "/_miroir/dead", params=parameters)
        if index is not None and not found["total"]:
            # An index that is gone may have left some; a name without any may be misspelt: this says so.
            await client.call("GET", f"/indexes/{quote(index, safe='')}")
        return found


async def _find(settings: Settings, record: str) -> DeadLetter:
    """Return the dead letter under this key, read from the log: the last write counts.

    Raises:
        InvalidInputError: the text is no such key.
        NotFoundError: there is none, or it was dealt with.
    """
    _checked(record)
    partition = TopicPartition(DEAD, Partition(0))
    found: bytes | None = None
    reader = KafkaLogReader(settings.kafka_config("miroir-dead"))
    try:
        bounds = (await reader.bounds([partition]))[partition]
        async for batch in read_range(reader, partition, bounds.beginning, bounds.end):
            for each in batch.records:
                if each.key == record.encode():
                    found = each.value
    finally:
        await reader.close()
    if found is None:
        raise NotFoundError("dead letter", record)
    return parse_dead_letter(found)


def _checked(record: str) -> str:
    """Return the text if it is of the form of a letter's key.

    Raises:
        InvalidInputError: it is not.
    """
    if not all(part.isdigit() for part in record.split("/")[-2:]) or record.count("/") < 2:  # noqa: PLR2004 - its form
        raise InvalidInputError(f"{record!r}: expected TOPIC/PARTITION/OFFSET, as `miroir dead list` names it")
    return record
