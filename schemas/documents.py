"""What a record's value must be to become a document: one JSON object that agrees with the record's key.

What always holds: a document that passes is the same on every replica, byte for byte; each fault has a stable reason
code, says what was found and what to do. Who calls it: the workers for every record, the query service for every posted
document. It must not know: shards, nodes, or Kafka.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from schemas.document_ids import find_ids, kind_of, parse_id
from schemas.errors import InvalidDocumentError

RESERVED_PREFIX = "_miroir"
"""Fields of this prefix are ours."""

NESTING_MAX = 127
"""Arrays and objects inside one another in a field. A node takes deeper ones, and then fails the whole batch with an
``internal`` error, which would count as a sick node, for ever."""

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1
"""Integers outside would become floats on a node, and come back as other numbers."""

_FLOAT_MIN, _FLOAT_MAX = -(2.0**63), 2.0**64
"""An integer of more than 64 bits is read as a float that is one of these or beyond them; both exclusive."""

_PLAIN = frozenset({str, int, bool, type(None)})
"""Types of values that nothing can be wrong with."""

_ID_TYPES = frozenset({str, int})

_DIGITS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
"""Every digit as a zero, everything else as a blank: so a long run of digits is found fifteen times faster than by a
regular expression."""
_LONG_RUN = b"0" * len(str(2**63))
_EXPONENT = b"e+" if b"+" in orjson.dumps(1e19) else b"e"
"""How a large float's exponent is written: an integer of more than 64 bits is read as a float, and shows by it."""
_DEGREES = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""A number as text, as a node reads it: neither white space nor ``_`` between digits."""


def parse_document(document_id: str, value: bytes, primary_key: str) -> bytes:
    """Return the document that a record's value holds, as compact JSON with its id in it.

    Of a name given twice the last value counts, so that every replica reads the same; a value without the primary key
    takes it from the record's key. About 3 µs a kilobyte, half of it reading the JSON; looking through the text for
    brackets and long integers would cost as much again, so what is read is asked first whether it can have any.

    Raises:
        InvalidDocumentError: not JSON, not an object, nested too deeply, id and key disagree or the id is there twice,
            a reserved field, a bad ``_geo`` or ``_vectors``, an integer of more than 64 bits.
    """
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if value.startswith(b"\0"):
            message = "the value begins with a schema registry's magic byte; produce plain JSON (no schema)"
            raise InvalidDocumentError("not_json", message) from error
        raise InvalidDocumentError("not_json", f"the value is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDocumentError("not_an_object", f"the value is {kind_of(document)}; expected one JSON object")
    is_plain = _PLAIN.issuperset(map(type, document.values())) or all(map(_is_plain, document.values()))
    # One that has few brackets cannot be deep: nothing else of it need be looked at.
    if not is_plain and value.count(b"[") + value.count(b"{") > NESTING_MAX + 1:
        _check_nesting(document)
    check_fields(document)
    text = orjson.dumps(_with_id(document, document_id, primary_key))
    if not is_plain and _EXPONENT in text:
        check_integers(value)
    return text


def _is_plain(value: object) -> bool:
    """Tell whether a field is at most an array of texts or integers: not deep, and no integer was read as a float."""
    if type(value) in _PLAIN:
        return True
    if isinstance(value, float):
        return _FLOAT_MIN < value < _FLOAT_MAX
    return isinstance(value, list) and _PLAIN.issuperset(map(type, value))


def _with_id(document: dict[str, Any], document_id: str, primary_key: str) -> dict[str, Any]:
    """Return the document with its id, after checking the one that it has."""
    same = document.get(primary_key)
    if type(same) in _ID_TYPES and str(same) == document_id and "." not in primary_key:
        return document
    values = find_ids(document, primary_key)
    if not values:
        return {primary_key: document_id, **document}
    if len(values) > 1:
        raise InvalidDocumentError("ambiguous_id", f"the field {primary_key!r} is there {len(values)} times; keep one")
    if (found := parse_id(values[0])) != document_id:
        raise InvalidDocumentError(
            "id_disagrees", f"the field {primary_key!r} is {found!r} but the record's key is {document_id!r}"
        )
    return document


class _Overlong(str):
    """An integer of more than 64 bits, as it was written."""

    __slots__ = ()


def check_integers(text: bytes) -> None:
    """Refuse JSON that holds an integer beyond 64 bits, which nobody would get back as it was.

    Of a name given twice only the last value counts.

    Raises:
        InvalidDocumentError: it does.
    """
    if _LONG_RUN not in text.translate(_DIGITS):
        return
    try:
        waiting = [json.loads(text, parse_int=_read_integer)]
    except RecursionError:
        # Refused for its depth by whoever indexes it.
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Overlong):
            message = f"the integer {value[:80]} has more than 64 bits and would be rounded; write it as text"
            raise InvalidDocumentError("integer_too_large", message)
        if isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value


def _read_integer(text: str) -> int | _Overlong:
    is_short = len(text) <= len(str(INTEGER_MIN)) and INTEGER_MIN <= int(text) <= INTEGER_MAX
    return 0 if is_short else _Overlong(text)


def check_fields(document: Mapping[str, Any]) -> None:
    """Check the fields that have a meaning of their own.

    Raises:
        InvalidDocumentError: a reserved field, or a bad ``_geo`` or ``_vectors``.
    """
    # One look at all names together: hardly any document has one that begins so.
    if "\n_" not in "\n".join(("", *document)):
        return
    for name in document:
        if name.startswith(RESERVED_PREFIX):
            raise InvalidDocumentError("reserved_field", f"the field {name!r} is reserved; rename it")
    if (geo := document.get("_geo")) is not None:
        _check_geo(geo)
    # A node fails the whole batch for it with an ``internal`` error, whether or not an embedder is configured.
    if not isinstance(document.get("_vectors", {}), dict):
        raise InvalidDocumentError("invalid_vectors", 'the field "_vectors" must be an object; leave it out for none')


def _check_nesting(document: Mapping[str, Any]) -> None:
    """Check the depth, level by level: a document may be deeper than Python's own stack."""
    level = _nested(document)
    for _ in range(NESTING_MAX):
        level = [inner for value in level for inner in _nested(value)]
    if level:
        raise InvalidDocumentError("too_deep", f"arrays and objects are nested more than {NESTING_MAX} deep in a field")


def _nested(value: Mapping[str, Any] | list[Any]) -> list[Any]:
    """Return the arrays and objects that stand directly in one."""
    inside = value if isinstance(value, list) else value.values()
    return [inner for inner in inside if isinstance(inner, dict | list)]


def _check_geo(geo: object) -> None:
    """Check a ``_geo`` by the node's own rule, even where the field is not filterable: settings may change later."""
    if not isinstance(geo, dict) or geo.keys() != {"lat", "lng"}:
        raise InvalidDocumentError("invalid_geo", 'the field "_geo" must be an object with exactly "lat" and "lng"')
    for name in ("lat", "lng"):
        if not _is_finite_number(geo[name]):
            raise InvalidDocumentError("invalid_geo", f'"_geo.{name}" must be a finite number, or one as text')


def _is_finite_number(value: object) -> bool:
    """Tell whether it is a coordinate, as a number or as text; a node takes 200 degrees too."""
    if isinstance(value, str):
        return _DEGREES.fullmatch(value) is not None and math.isfinite(float(value))
    return isinstance(value, int | float) and not isinstance(value, bool)
