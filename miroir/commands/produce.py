"""``miroir produce``: a file of documents, straight into the log or through the HTTP API."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from miroir.client import QueryClient
from miroir.cluster_view import ClusterView
from miroir.commands.terminal import DIRECTORY, FAILED, Directory, Json, Url, connect, err, print_json, settings_of
from miroir.condemned import fetch_condemned
from miroir.document_files import FileDocument, read_documents
from miroir.document_posts import cut_posts
from miroir.produce import Produced, id_field_of, produce
from miroir.visibility import Standing, require_applied, until_visible
from query.primary_key import infer_primary_key
from schemas.errors import InvalidInputError, InvalidRequestError, MiroirError, NotFoundError
from schemas.events import IndexRecord
from schemas.ids import IndexUid
from schemas.kafka import KafkaConfig
from schemas.requests import SetPrimaryKey
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import TopicPartition

VISIBLE_S = 3600.0
"""How long ``--wait`` waits: a million documents take minutes."""

TASK_POLL_S = 0.3
"""How often a task, and whether its index is paused, is looked at; a document takes about so long to become visible."""


ID_ADVICE = "Name it with --id."
"""What to do where no primary key can be inferred."""


class Via(StrEnum):
    """Which way documents go."""

    KAFKA = "kafka"
    HTTP = "http"


def produce_file(
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="NDJSON or JSON, .gz too; or a pipe.")],
    index: Annotated[str, typer.Option("--index", help="The index; it must exist.")],
    id_field: Annotated[str | None, typer.Option("--id", help="Field that holds the id; default: the index's.")] = None,
    via: Annotated[Via, typer.Option("--via", help="Straight to Kafka, or through the HTTP API.")] = Via.KAFKA,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every copy has the documents.")] = False,
    as_json: Json = False,
    directory: Directory = DIRECTORY,
    url: Url = None,
) -> None:
    """Produce a file's documents into an index's log."""
    began_s = time.monotonic()
    command = _Produce(file, IndexUid(index), id_field, directory=directory, url=url, wait=wait)
    documents = asyncio.run(command.through_http() if via is Via.HTTP else command.to_kafka())
    seconds, refused = time.monotonic() - began_s, command.refused
    if as_json:
        print_json({"documents": documents, "refused": refused, "seconds": round(seconds, 3)})
    else:
        state = "visible on every copy" if wait else "in the log"
        err.print(f"{documents:,} documents {state}, {seconds:.1f} s ({documents / max(seconds, 0.001):,.0f}/s)")
    if refused:
        err.print(f"[red]but {refused:,} records there were set aside[/]; `miroir dead list` shows which, and why")
        raise typer.Exit(FAILED)


class _Produce:
    """One run of the command.

    Attributes:
        refused: how many records between its first and its last were set aside, whoever wrote them; None where it was
            not waited until that is known.
    """

    def __init__(
        self, file: Path, index: IndexUid, id_field: str | None, *, directory: Path, url: str | None, wait: bool
    ) -> None:
        self._file = file
        self._index = index
        self._id_field = id_field
        self._directory = directory
        self._url = url
        self._wait = wait
        self.refused: int | None = None

    async def to_kafka(self) -> int:
        """Produce as any Kafka client would; return how many documents are in the log."""
        kafka = settings_of(self._directory).kafka_config("miroir-produce")
        writer = KafkaLogWriter(kafka)
        async with ClusterView(kafka) as view:
            await view.refresh()
            try:
                index = view.topology.index(self._index)
            except NotFoundError as error:
                raise _no_index(self._index) from error
            first, documents = self._read()
            id_field = id_field_of(index, self._id_field, first.fields)
            if id_field is None:
                id_field = infer_primary_key(first.fields, advice=ID_ADVICE)
            if index.primary_key is None:
                await self._set_primary_key(index, id_field)
            try:
                produced = await self._produce(writer, index, documents, id_field)
            finally:
                await writer.close()
            if self._wait:
                await _wait(view, index, produced)
                self.refused = await _count_refused(kafka, view, index, produced)
        return produced.documents

    async def through_http(self) -> int:
        """Post as an application would; return how many documents are in the log.

        Raises:
            MiroirError: there is no such index; or a post is refused, or its task has failed at once, and nothing was
                sent after it.
        """
        count, tasks = 0, []
        async with connect(self._directory, self._url) as client:
            # A post to an index that is not there would make it, though its name may only be misspelt.
            index = await _fetch_index(client, self._index)
            first, documents = self._read()
            if index.get("primary_key", "") is None and self._id_field is None:
                # The service would infer it, too; its advice is for who posts by hand.
                infer_primary_key(first.fields, advice=ID_ADVICE)
            with _file_bar(self._file) as bar:
                for part in cut_posts(documents):
                    body = b"\n".join(document.value for document in part)
                    try:
                        tasks.append(await client.post_documents(self._index, body, id_field=self._id_field))
                    except MiroirError as error:
                        rest = f"the {count:,} documents before these are in the log, none after them was sent"
                        raise MiroirError(f"{part[0].place} to {part[-1].place}: {error}; {rest}") from error
                    count += len(part)
                    bar.update(bar.task_ids[0], completed=part[-1].bytes_read, description=f"{count:,} documents")
            if self._wait:
                # A task that has failed is an error, which says why.
                await _wait_tasks(client, self._index, tasks)
                self.refused = 0
        return count

    def _read(self) -> tuple[FileDocument, Iterator[FileDocument]]:
        """Return the first document, and all of them.

        Raises:
            InvalidInputError: there are none.
        """
        documents = read_documents(self._file)
        first = next(documents, None)
        if first is None:
            raise InvalidInputError(f"{self._file}: no documents are in it")
        return first, chain([first], documents)

    async def _set_primary_key(self, index: IndexRecord, name: str) -> None:
        async with connect(self._directory, self._url) as client:
            try:
                await client.request(SetPrimaryKey(index.uid, name, inferred=self._id_field is None))
            except InvalidRequestError as error:
                raise MiroirError(f"cannot set the primary key of {index.uid!r} to {name!r}: {error}") from error

    async def _produce(
        self, writer: KafkaLogWriter, index: IndexRecord, documents: Iterator[FileDocument], id_field: str
    ) -> Produced:
        with _file_bar(self._file) as bar:

            def report(done: int, bytes_read: int) -> None:
                bar.update(bar.task_ids[0], completed=bytes_read, description=f"{done:,} documents")

            return await produce(writer, index, documents, id_field=id_field, report=report)


def _no_index(index: IndexUid) -> MiroirError:
    return MiroirError(f"{NotFoundError('index', index)}; make it with: miroir index create {index}")


async def _wait(view: ClusterView, index: IndexRecord, produced: Produced) -> None:
    with err.status("waiting until every copy has them …") as status:

        def report(standing: Standing) -> None:
            status.update(f"{standing.reached:,} of {standing.wanted:,} positions on all copies")

        await until_visible(view, index.uid, produced.ends, timeout_s=VISIBLE_S, report=report)


async def _count_refused(kafka: KafkaConfig, view: ClusterView, index: IndexRecord, produced: Produced) -> int:
    """Return how many records of these ranges were set aside."""
    reader = KafkaLogReader(kafka)
    try:
        condemned = await fetch_condemned(reader, view.topology)
    finally:
        await reader.close()
    return sum(
        start <= offset < produced.ends[partition]
        for partition, start in produced.starts.items()
        for offset in condemned.get(TopicPartition(index.topic, partition), ())
    )


async def _fetch_index(client: QueryClient, uid: IndexUid) -> Mapping[str, Any]:
    """Return the index as ``/_miroir/status`` has it.

    Raises:
        MiroirError: there is none; says how to make it.
    """
    for each in (await client.call("GET", "/_miroir/status"))["indexes"]:
        if each["uid"] == uid:
            found: Mapping[str, Any] = each
            return found
    raise _no_index(uid)


async def _wait_tasks(client: QueryClient, uid: IndexUid, tasks: Sequence[int]) -> None:
    """Return once all have succeeded.

    Raises:
        MiroirError: one has failed, or they do not finish in time; or the index is not there any more, or paused.
    """

    async def look() -> None:
        index = await _fetch_index(client, uid)
        require_applied(uid, index["state"], index["reason"])

    deadline_s = time.monotonic() + VISIBLE_S
    with err.status(f"waiting for {len(tasks)} task(s) …"):
        for task in tasks:
            await client.task(task, timeout_s=deadline_s - time.monotonic(), look=look, poll_s=TASK_POLL_S)


def _file_bar(file: Path) -> Progress:
    columns = (TextColumn("{task.description}"), DownloadColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=err)
    # Nobody knows how much comes out of a pipe.
    progress.add_task("reading", total=file.stat().st_size or None)
    return progress
