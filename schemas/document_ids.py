"""Ids of documents: a record's key is one as UTF-8 text, a document has one under its primary key.

What always holds: ``7`` and ``"7"`` are one document; a key in another form is named, with the cure. Who calls it:
whoever reads records or documents. It must not know: shards, nodes, or Kafka.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from schemas.errors import InvalidDocumentError

ID_BYTES_MAX = 511
"""Meilisearch's own limit on a document id."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MAGIC_BYTES = 5
"""A schema registry's records begin with a zero byte and four bytes of schema id."""

_INTEGER_BYTES = (4, 8)
_UUID_BYTES = 16


def parse_key(key: bytes | None) -> str:
    """Return the document id that a record's key holds.

    Raises:
        InvalidDocumentError: there is no key, or it is not an id as UTF-8 text; names the form it seems to have.
    """
    if key is None:
        raise InvalidDocumentError("null_key", "the record has no key; expected the document's id as UTF-8 text")
    try:
        text = key.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _ID.fullmatch(text) and len(text) <= ID_BYTES_MAX:
        return text
    raise _key_fault(key, text)


def _key_fault(key: bytes, text: str) -> InvalidDocumentError:
    """Return what is wrong with a key that is no id, with the form it seems to have and the cure."""
    if _ID.fullmatch(text):
        return InvalidDocumentError("invalid_id", f"the key has {len(key)} bytes; an id has at most {ID_BYTES_MAX}")
    if _is_registered(key):
        return InvalidDocumentError(
            "key_schema_registry",
            "the key begins with a schema registry's magic byte; produce it with a plain string serializer",
        )
    if len(key) in _INTEGER_BYTES and not text.isprintable():
        return InvalidDocumentError(
            "key_binary_integer",
            f"the key is {len(key)} binary bytes, as an integer serializer makes it; produce the number as text",
        )
    if len(key) == _UUID_BYTES and not text.isprintable():
        return InvalidDocumentError(
            "key_binary_uuid", "the key is 16 binary bytes, as a UUID serializer may make it; produce the UUID as text"
        )
    if text.startswith(("{", "Struct{")):
        return InvalidDocumentError(
            "key_struct",
            "the key is a struct, as Debezium makes it; unwrap it (ExtractField$Key) and use a string converter",
        )
    if text.startswith('"'):
        return InvalidDocumentError(
            "key_json_string", "the key is a JSON string; produce the id itself, without quotes (a string converter)"
        )
    shown = repr(key[:80])[1:] if text == "\0" else repr(text[:80])
    return InvalidDocumentError("invalid_id", f"the key {shown} is no id; expected 1 to 511 of a-z A-Z 0-9 - and _")


def _is_registered(key: bytes) -> bool:
    """Tell whether the key begins with a schema registry's header.

    Eight bytes that begin with zero are nearly always a small integer; they are a header with three bytes behind it
    only where there is a schema id, and the three are Avro's or JSON's form of a short text.
    """
    if len(key) <= _MAGIC_BYTES or key[0] != 0 or not any(key[1:_MAGIC_BYTES]):
        return False
    payload = key[_MAGIC_BYTES:]
    if len(key) in _INTEGER_BYTES:
        return payload[0] == 2 * (len(payload) - 1) or payload.startswith(b'"')
    return True


def parse_id(value: object) -> str:
    """Return the text of the id that a document's primary key field holds.

    Raises:
        InvalidDocumentError: it is no integer and no text of ``a-z A-Z 0-9 - _`` of at most 511 bytes.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    else:
        text = ""
    if _ID.fullmatch(text) and len(text) <= ID_BYTES_MAX:
        return text
    raise InvalidDocumentError(
        "invalid_id", f"the id {_shown(value)} is neither an integer nor 1 to 511 characters of a-z A-Z 0-9 - and _"
    )


def find_ids(document: Mapping[str, Any], primary_key: str) -> Sequence[Any]:
    """Return every value that stands under the primary key; none or several are a fault.

    ``a.id`` is a field of that name, or ``id`` inside the object ``a``, as a node reads it; lists are not looked into.
    """
    if "." not in primary_key:
        return (document[primary_key],) if primary_key in document else ()
    found: list[Any] = []
    for name, value in document.items():
        if name == primary_key:
            found.append(value)
        elif isinstance(value, dict) and primary_key.startswith(f"{name}."):
            found += find_ids(value, primary_key[len(name) + 1 :])
    return found


def _shown(value: object) -> str:
    """Return the beginning of a value's JSON; one too deep for it is named by its type."""
    try:
        return orjson.dumps(value).decode()[:80]
    except orjson.JSONEncodeError:
        return kind_of(value)


def kind_of(value: object) -> str:
    """Return JSON's word for a value's type."""
    if value is None:
        return "null"
    return {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}.get(type(value), "a number")
