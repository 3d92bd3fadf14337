"""Documents from a file into the log, as any producer would write them: key = id, value = the document.

What always holds: a document counts only when Kafka has acknowledged it; its partition is the one the index's
partitioner says. Who calls it: ``miroir produce``, the demonstration. It must not know: nodes or the query service.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from miroir.document_files import FileDocument
from schemas.document_ids import find_ids, parse_id
from schemas.documents import check_integers
from schemas.errors import InvalidDocumentError, InvalidInputError
from schemas.events import IndexRecord
from schemas.ids import Partition, Position
from streams.log import Append, LogWriter
from streams.partitioning import partition_of

BATCH_RECORDS = 2_000
"""Documents awaited together: enough to fill the client's batches on every partition."""

BATCH_BYTES = 4 * 1024 * 1024
"""The same for large documents."""

Report = Callable[[int, int], None]
"""Takes how many documents are in the log, and how many bytes of the file had been read for them."""


@dataclass(slots=True)
class Produced:
    """What is in the log so far.

    Attributes:
        documents: how many.
        starts: of each partition they went to, where the first one stands; inclusive.
        ends: where the last one stands; exclusive.
    """

    documents: int = 0
    starts: dict[Partition, Position] = field(default_factory=dict)
    ends: dict[Partition, Position] = field(default_factory=dict)


async def produce(
    writer: LogWriter,
    index: IndexRecord,
    documents: Iterable[FileDocument],
    *,
    id_field: str,
    report: Report = lambda *_: None,
) -> Produced:
    """Append the documents to the index's topic and return where they went.

    Raises:
        InvalidInputError: a document has no id or a bad one, or is no document; names its place, and how many are in
            the log.
        LogError: Kafka is away or refuses.
    """
    produced = Produced()
    batch: list[Append] = []
    held = read = 0
    try:
        for document in documents:
            batch.append(_append(index, document, id_field))
            held += len(document.value)
            read = document.bytes_read
            if len(batch) >= BATCH_RECORDS or held >= BATCH_BYTES:
                await _send(writer, batch, produced)
                batch, held = [], 0
                report(produced.documents, read)
    except InvalidInputError as error:
        rest = f"the first {produced.documents:,} documents are in the log, none after them"
        raise InvalidInputError(f"{error}; {rest}") from error
    await _send(writer, batch, produced)
    report(produced.documents, read)
    return produced


def id_field_of(index: IndexRecord, wanted: str | None, first: Mapping[str, object]) -> str | None:
    """Return the field that holds the id: the index's, or the one wanted; None where it must be inferred.

    Raises:
        InvalidInputError: the index has another one, or the first document has not got it.
    """
    known = index.primary_key
    if known is not None and wanted not in {None, known}:
        raise InvalidInputError(f"index {index.uid!r}: its primary key is {known!r}, not {wanted!r}")
    name = known or wanted
    if name is not None and not find_ids(first, name):
        raise InvalidInputError(f"the first document has no field {name!r}; it has {', '.join(sorted(first))}")
    return name


def _append(index: IndexRecord, document: FileDocument, id_field: str) -> Append:
    values = find_ids(document.fields, id_field)
    if len(values) != 1:
        raise InvalidInputError(f"{document.place}: {len(values) or 'no'} field(s) {id_field!r}")
    try:
        check_integers(document.value)
        key = parse_id(values[0]).encode()
    except InvalidDocumentError as error:
        raise InvalidInputError(f"{document.place}: {error}") from error
    partition = partition_of(key, index.shards, index.partitioner)
    return Append(index.topic, partition, key, document.value)


async def _send(writer: LogWriter, batch: list[Append], produced: Produced) -> None:
    offsets = await writer.append(batch)
    for append, offset in zip(batch, offsets, strict=True):
        end = Position(offset + 1)
        produced.starts.setdefault(append.partition, Position(offset))
        produced.ends[append.partition] = max(end, produced.ends.get(append.partition, end))
    produced.documents += len(batch)
