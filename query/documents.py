"""Posted documents: a body in one of Meilisearch's formats, cut into the records of an index's topic.

What always holds: a document's bytes are the user's own, so that numbers stay exact (only CSV is rewritten as JSON);
what a node would refuse at once is refused here, for the whole post, in Meilisearch's words. Who calls it: the document
routes. It must not know: partitions, or how a record is produced.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from query.body import show
from schemas.csv_rows import split_rows
from schemas.document_ids import find_ids, parse_id
from schemas.documents import RESERVED_PREFIX, check_integers
from schemas.errors import InvalidDocumentError, InvalidRequestError
from schemas.malformed import explain_malformed

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"

FORMATS: Mapping[str, str] = {JSON: "json", NDJSON: "ndjson", CSV: "csv"}
"""Content types taken, and what messages call them, in the order in which Meilisearch lists them."""

_DECODER = json.JSONDecoder()
_BLANK = " \t\r\n"
_CSV_KINDS = ("string", "number", "boolean")
_SHOWN_MAX = 1000
"""How much of a document an error message shows."""


class Posted(NamedTuple):
    """One document of a post, ready to be a record.

    Attributes:
        key: the id as text; None while the primary key is not known.
        value: the document's JSON.
    """

    key: bytes | None
    value: bytes


def parse_content_type(header: str | None) -> str:
    """Return the format that a Content-Type header names.

    Raises:
        InvalidRequestError: there is none, or another.
    """
    listed = ", ".join(f"`{kind}`" for kind in FORMATS)
    if header is None:
        message = f"A Content-Type header is missing. Accepted values for the Content-Type header are: {listed}"
        raise InvalidRequestError("missing_content_type", message)
    kind = header.partition(";")[0].strip().lower()
    if kind in FORMATS:
        return kind
    message = f"The Content-Type `{kind}` is invalid. Accepted values for the Content-Type header are: {listed}"
    raise InvalidRequestError("invalid_content_type", message)


def parse_posted(kind: str, body: bytes, *, primary_key: str | None, delimiter: str = ",") -> list[Posted]:
    """Return the documents of a body, with their keys where the primary key is known.

    About 15 µs a kilobyte: beyond some hundred kilobytes call it in a thread.

    Raises:
        InvalidRequestError: the body is no such documents, or an id is missing or wrong.
        InvalidDocumentError: a field is reserved, or an integer has more than 64 bits.
    """
    if not body.strip():
        name = FORMATS[kind]
        raise InvalidRequestError("missing_payload", f"A{'n' if kind == NDJSON else ''} {name} payload is missing.")
    posted = []
    for value, document in _split(kind, body, delimiter):
        _refuse_reserved(document)
        key = None if primary_key is None else read_key(document, primary_key)
        check_integers(value)
        posted.append(Posted(key, value))
    return posted


def count_posted(kind: str, body: bytes, *, delimiter: str = ",") -> int:
    """Return how many documents a body holds, whatever is wrong with them.

    Raises:
        InvalidRequestError: the body is no documents.
    """
    return sum(1 for _ in _split(kind, body, delimiter))


def with_keys(posted: list[Posted], primary_key: str) -> list[Posted]:
    """Return the documents with their keys, now that the primary key is known.

    Raises:
        InvalidRequestError: an id is missing or wrong.
    """
    return [Posted(read_key(orjson.loads(document.value), primary_key), document.value) for document in posted]


def field_names(document: Posted) -> tuple[str, ...]:
    """Return the names of a document's fields, in its order."""
    return tuple(orjson.loads(document.value))


def read_key(document: Mapping[str, Any], primary_key: str) -> bytes:
    """Return the record key of a document: its id as UTF-8 text.

    Raises:
        InvalidRequestError: ``missing_document_id`` or ``invalid_document_id``.
    """
    values = find_ids(document, primary_key)
    shown = show(document)[:_SHOWN_MAX] if len(values) != 1 else ""
    if not values:
        message = f"Document doesn't have a `{primary_key}` attribute: `{shown}`."
        raise InvalidRequestError("missing_document_id", message)
    if len(values) > 1:
        message = f"Document have too many matching `{primary_key}` attribute: `{shown}`."
        raise InvalidRequestError("invalid_document_id", message)
    try:
        return parse_id(values[0]).encode()
    except InvalidDocumentError:
        raise invalid_id(values[0]) from None


def invalid_id(value: object) -> InvalidRequestError:
    """Return Meilisearch's error for a value that is no id."""
    message = (
        f"Document identifier `{show(value)[:_SHOWN_MAX]}` is invalid."
        " A document identifier can be of type integer or string, only composed of alphanumeric characters"
        " (a-z A-Z 0-9), hyphens (-) and underscores (_), and can not be more than 511 bytes."
    )
    return InvalidRequestError("invalid_document_id", message)


def parse_ids(body: object) -> list[bytes]:
    """Return the keys of a delete-batch body; what can be no id names no document and is left out.

    Raises:
        InvalidRequestError: it is not a list.
    """
    if not isinstance(body, list):
        reason = f"invalid type: expected a sequence, found `{show(body)[:_SHOWN_MAX]}`"
        raise InvalidRequestError("malformed_payload", f"The json payload provided is malformed. `{reason}`.")
    keys = []
    for value in body:
        try:
            keys.append(parse_id(value).encode())
        except InvalidDocumentError:
            continue
    return keys


def _refuse_reserved(document: Mapping[str, Any]) -> None:
    for name in document:
        if name.startswith(RESERVED_PREFIX):
            message = f"the field {name!r} is reserved: fields that begin with {RESERVED_PREFIX} are miroir's own"
            raise InvalidDocumentError("reserved_field", message)


def _split(kind: str, body: bytes, delimiter: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    match kind:
        case "application/json":
            return _split_json(body)
        case "application/x-ndjson":
            return _split_ndjson(body)
        case _:
            return _split_csv(body, delimiter)


def _split_json(body: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each document's own bytes: the decoder only tells where it ends, so that no number is read and rewritten.

    What Python's decoder takes and JSON does not (NaN, lone surrogates) is refused by the second parser.
    """
    text = _decoded(JSON, body)
    at = _skip(text, 0)
    if text[at] == "{":
        end = _end_of_value(text, at)
        if _skip(text, end) != len(text):
            raise _malformed(JSON, body)
        yield _object(JSON, text[at:end].encode())
        return
    if text[at] != "[":
        _end_of_value(text, at)
        raise _refused(JSON, "data are neither an object nor a list of objects")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return
    while True:
        end = _end_of_value(text, at)
        yield _object(JSON, text[at:end].encode())
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise _malformed(JSON, body)
        at = _skip(text, at + 1)
    if _skip(text, at + 1) != len(text):
        raise _malformed(JSON, body)


def _split_ndjson(body: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for number, line in enumerate(body.split(b"\n"), start=1):
        if value := line.strip():
            yield _object(NDJSON, value, line=number)


def _split_csv(body: bytes, delimiter: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
    rows = split_rows(_decoded(CSV, body.removeprefix(b"\xef\xbb\xbf")), delimiter)
    try:
        columns = [_column(header) for header in next(rows, [])]
        for line, row in enumerate(rows, start=2):
            if not row:
                continue
            if len(row) != len(columns):
                reason = f"found record with {len(row)} fields, but the previous record has {len(columns)} fields"
                raise _refused(CSV, f"CSV error: record {line - 1} (line: {line}): {reason}")
            cells = zip(columns, row, strict=True)
            document = {name: _cell(kind, cell, name, line) for (name, kind), cell in cells}
            yield orjson.dumps(document), document
    except csv.Error as error:
        raise _refused(CSV, f"CSV error: {error}") from error


def _column(header: str) -> tuple[str, str]:
    name, separator, kind = header.rpartition(":")
    return (name, kind) if separator and kind in _CSV_KINDS else (header, "string")


def _cell(kind: str, cell: str, name: str, line: int) -> object:
    if kind == "string":
        return cell or None
    text = cell.strip()
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if kind == "number":
        # Written anew below, so a number that was rounded would not show any more.
        check_integers(text.encode())
    wanted = isinstance(value, bool) if kind == "boolean" else isinstance(value, int | float)
    if not wanted or (kind == "number" and isinstance(value, bool)):
        raise _refused(CSV, f"Error parsing {kind} `{text[:_SHOWN_MAX]}` at line {line} in column `{name}`")
    return value


def _object(kind: str, value: bytes, *, line: int = 1) -> tuple[bytes, dict[str, Any]]:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise _malformed(kind, value, line=line) from None
    if not isinstance(document, dict):
        # Meilisearch's parser takes the item for the beginning of an object, and stumbles behind it.
        raise _refused(kind, f"trailing characters at line {line} column {len(value) + 3}")
    return value, document


def _end_of_value(text: str, at: int) -> int:
    try:
        _, end = _DECODER.raw_decode(text, at)
    except (json.JSONDecodeError, RecursionError):
        raise _malformed(JSON, text.encode()) from None
    return end


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _decoded(kind: str, body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _refused(kind, f"invalid unicode code point at byte {error.start}") from error


def _malformed(kind: str, body: bytes, *, line: int = 1) -> InvalidRequestError:
    return _refused(kind, explain_malformed(body, line=line, documents=True))


def _refused(kind: str, reason: str) -> InvalidRequestError:
    text = reason if kind == CSV else f"Couldn't serialize document value: {reason}"
    message = f"The `{FORMATS[kind]}` payload provided is malformed. `{text}`."
    return InvalidRequestError("malformed_payload", message)
