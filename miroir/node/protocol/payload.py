"""Document payloads: JSON, NDJSON and CSV bytes to documents.

What always holds: the documents come out in the order they stood in, as dictionaries whose order is the payload's own.
Who calls it: the document routes (to refuse) and the indexer (to read them again from the queue).
"""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from miroir.node.protocol.errors import ApiError
from schemas.csv_rows import split_rows
from schemas.malformed import explain_malformed

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"

_NAMES = {JSON: "json", NDJSON: "ndjson", CSV: "csv"}


def check_content_type(header: str | None, accepted: tuple[str, ...] = (JSON, NDJSON, CSV)) -> str:
    """Return the media type a request names, if it is one of ``accepted``."""
    listed = ", ".join(f"`{name}`" for name in accepted)
    if header is None:
        text = f"A Content-Type header is missing. Accepted values for the Content-Type header are: {listed}"
        raise ApiError("missing_content_type", text)
    kind = header.split(";")[0].strip().lower()
    if kind not in accepted:
        # A header may hold bytes that are no text.
        kind = kind.encode(errors="surrogateescape").decode(errors="replace")
        text = f"The Content-Type `{kind}` is invalid. Accepted values for the Content-Type header are: {listed}"
        raise ApiError("invalid_content_type", text)
    return kind


def parse_body(body: bytes) -> Any:
    """Return the JSON of a request body that is not a document payload."""
    if not body.strip():
        raise ApiError("missing_payload", "A json payload is missing.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        reason = explain_malformed(body)
        raise ApiError("malformed_payload", f"The json payload provided is malformed. `{reason}`.") from None


def parse_documents(kind: str, payload: bytes, *, delimiter: str = ",") -> list[dict[str, Any]]:
    """Return the documents of a payload.

    Raises:
        ApiError: ``missing_payload`` where there is none, ``malformed_payload`` where it is not what ``kind`` says.
    """
    _refuse_empty(kind, payload)
    match kind:
        case "application/json":
            return _parse_json(payload)
        case "application/x-ndjson":
            return list(_parse_ndjson(payload))
        case _:
            return _parse_csv(payload, delimiter)


def count_documents(kind: str, payload: bytes, *, delimiter: str = ",") -> int:
    """Return how many documents a payload holds; those of NDJSON are looked at one by one, never all held.

    Raises:
        ApiError: as ``parse_documents``.
    """
    if kind != NDJSON:
        return len(parse_documents(kind, payload, delimiter=delimiter))
    _refuse_empty(kind, payload)
    return sum(1 for _ in _parse_ndjson(payload))


def _refuse_empty(kind: str, payload: bytes) -> None:
    if not payload.strip():
        article = "An" if kind == NDJSON else "A"
        raise ApiError("missing_payload", f"{article} {_NAMES[kind]} payload is missing.")


def parse_ids(body: Any) -> list[str]:
    """Return the ids of a delete-batch body as text; what can be no id becomes text no document has."""
    if not isinstance(body, list):
        found = _SERDE_TYPES.get(type(body), f"integer `{body}`")
        column = 0 if isinstance(body, dict) else len(orjson.dumps(body))
        text = f"invalid type: {found}, expected a sequence at line 1 column {column}"
        raise ApiError("bad_request", f"Json deserialize error: {text}")
    return [item if isinstance(item, str) else orjson.dumps(item).decode() for item in body]


_SERDE_TYPES: Mapping[type, str] = {dict: "map", str: "string", bool: "boolean", type(None): "null"}


def _malformed(kind: str, reason: str) -> ApiError:
    text = f"The `{_NAMES[kind]}` payload provided is malformed. `Couldn't serialize document value: {reason}`."
    return ApiError("malformed_payload", text)


def _parse_json(payload: bytes) -> list[dict[str, Any]]:
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise _malformed(JSON, explain_malformed(payload, documents=True)) from None
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise _malformed(JSON, "data are neither an object nor a list of objects")
    for item in value:
        if not isinstance(item, dict):
            # The real parser reads the first item of the array as the start of an object and then stumbles.
            raise _malformed(JSON, f"trailing characters at line 1 column {2 + len(orjson.dumps(item)) + 1}")
    return value


def _parse_ndjson(payload: bytes) -> Iterator[dict[str, Any]]:
    for place, line in enumerate(io.BytesIO(payload)):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            reason = explain_malformed(line.removesuffix(b"\n")).rpartition(" at line ")
            column = reason[2].rpartition(" ")[2]
            raise _malformed(NDJSON, f"{reason[0]} at line {place + 1} column {column}") from None
        if not isinstance(value, dict):
            raise _malformed(NDJSON, f"invalid type: expected a map at line {place + 1} column 1")
        yield value


def _parse_csv(payload: bytes, delimiter: str) -> list[dict[str, Any]]:
    try:
        rows = list(split_rows(payload.decode("utf-8-sig"), delimiter))
    except (csv.Error, UnicodeDecodeError) as error:
        text = f"The `csv` payload provided is malformed: `{error}`."
        raise ApiError("malformed_payload", text) from None
    if not rows:
        return []
    columns = [_csv_column(name) for name in rows[0]]
    return [_csv_document(columns, row, line) for line, row in enumerate(rows[1:], start=2) if row]


def _csv_column(header: str) -> tuple[str, str]:
    name, separator, kind = header.rpartition(":")
    return (name, kind) if separator and kind in {"number", "string", "boolean"} else (header, "string")


def _csv_document(columns: list[tuple[str, str]], row: list[str], line: int) -> dict[str, Any]:
    if len(row) != len(columns):
        reason = f"CSV error: record {line - 1} (line: {line}): found record with {len(row)} fields, but the previous"
        text = f"{reason} record has {len(columns)} fields"
        raise ApiError("malformed_payload", f"The `csv` payload provided is malformed: `{text}`.")
    return {name: _csv_value(kind, cell, line) for (name, kind), cell in zip(columns, row, strict=True)}


def _csv_value(kind: str, cell: str, line: int) -> Any:
    if kind == "string":
        return cell or None
    text = cell.strip()
    if not text:
        return None
    if kind == "boolean":
        if text in {"true", "false"}:
            return text == "true"
    else:
        try:
            number = orjson.loads(text)
        except orjson.JSONDecodeError:
            number = None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return number
    why = "invalid float literal" if kind == "number" else "provided string was not `true` or `false`"
    reason = f'Error parsing {kind} "{text}" at line {line - 1}: {why}'
    raise ApiError("malformed_payload", f"The `csv` payload provided is malformed: `{reason}`.")
