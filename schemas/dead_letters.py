"""The dead topic: records that cannot be indexed, as they came, with the reason.

What always holds: keyed by where the record stands, so that seeing it again writes the same entry. One that has been
dealt with stays, closed: a rebuild comes by its record again, and must know it. A dead record acts as a delete of its
key, on every replica and in every rebuild. Who calls it: workers write, the command line and the query service read. It
must not know: what a node is.
"""

import base64
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from schemas.errors import InvalidInputError
from schemas.ids import Incarnation, IndexUid, Offset, Partition
from schemas.wire import STRICT, build, parse


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record set aside.

    Attributes:
        reason: a stable code such as ``invalid_id`` or ``misrouted``.
        message: what was expected, what was found, and the cure; with the node's own words where a node refused it.
        key: base64 of the record's key; None for none.
        value: base64 of the record's value; None for a tombstone, or where it was too large to keep.
        timestamp_ms: of the record.
        closed: how it was dealt with, such as ``replayed as 3@41``; empty while it is open.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    topic: str
    partition: Partition
    offset: Offset
    uid: IndexUid
    incarnation: Incarnation
    reason: str
    message: str
    key: str | None
    value: str | None
    timestamp_ms: int
    closed: str = ""


def encode_bytes(data: bytes | None) -> str | None:
    """Return the bytes as they stand in a dead letter."""
    return None if data is None else base64.b64encode(data).decode()


def decode_bytes(text: str | None) -> bytes | None:
    """Return the bytes that stand in a dead letter.

    Raises:
        InvalidInputError: the text is not base64.
    """
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidInputError(f"DeadLetter: key or value: expected base64, found {text!r:.40}") from error


def build_dead_letter_key(letter: DeadLetter) -> bytes:
    """Return the key: where the record stands."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}".encode()


def build_dead_letter(letter: DeadLetter) -> bytes:
    """Return the record's value."""
    return build(letter)


def parse_dead_letter(data: bytes) -> DeadLetter:
    """Return what a record's value holds.

    Raises:
        InvalidInputError: it is not of this form.
    """
    return parse(DeadLetter, data)
