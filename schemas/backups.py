"""The first and the last line of a backup: what the file is of, and whether all of it is there.

A backup is NDJSON, gzipped where its name ends with ``.gz``: one header, one document a line, one footer. No document
can be taken for either: a field that begins as theirs would be reserved. What always holds: a reader refuses a version
that it does not know before it looks at anything else. Who calls it: ``backup``, ``restore``. It must not know: files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson
from pydantic import ConfigDict

from schemas.errors import InvalidInputError
from schemas.events import PartitionerName
from schemas.ids import Incarnation, IndexUid, Position
from schemas.wire import STRICT, build, parse

VERSION = 1
"""Raised when a reader of the old form would misread the new one."""

HEADER_FIELD = "_miroir_backup"
"""A line with it is a header; its value is the version."""

FOOTER_FIELD = "_miroir_end"
"""A line with it is the footer; its value is the version."""

Source = Literal["log", "nodes"]
"""Where the documents were read."""


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """What a backup is of.

    Attributes:
        topic: the index's log when it was taken.
        settings: the user's, whole.
        cursors: of each partition the position up to which the file is complete; exclusive.
        taken_ms: when it was begun; milliseconds since 1970.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: IndexUid
    incarnation: Incarnation
    topic: str
    primary_key: str | None
    shards: int
    replication: int
    groups: tuple[int, ...]
    partitioner: PartitionerName
    settings: Mapping[str, Any]  # Meilisearch owns the shape
    cursors: tuple[Position, ...]
    source: Source
    taken_ms: int


@dataclass(frozen=True, slots=True)
class BackupFooter:
    """What stands before it: how many documents, and the BLAKE2b-128 of all lines, in hexadecimal."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    documents: int
    digest: str


def build_header(header: BackupHeader) -> bytes:
    """Return the first line, without its end."""
    return _with_version(HEADER_FIELD, header)


def build_footer(footer: BackupFooter) -> bytes:
    """Return the last line, without its end."""
    return _with_version(FOOTER_FIELD, footer)


def parse_header(line: bytes) -> BackupHeader:
    """Return the header that the first line is.

    Raises:
        InvalidInputError: it is none, of a version that is not known, or not of its form.
    """
    return parse(BackupHeader, _without_version(HEADER_FIELD, line))


def parse_footer(line: bytes) -> BackupFooter | None:
    """Return the footer that a line is; None for any other line.

    Raises:
        InvalidInputError: it is one, and of a version that is not known, or not of its form.
    """
    if not line.startswith(f'{{"{FOOTER_FIELD}":'.encode()):
        return None
    return parse(BackupFooter, _without_version(FOOTER_FIELD, line))


def _with_version(name: str, value: BackupHeader | BackupFooter) -> bytes:
    return orjson.dumps({name: VERSION, **orjson.loads(build(value))})


def _without_version(name: str, line: bytes) -> bytes:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"no backup of miroir: the first line is not JSON: {error}") from error
    if not isinstance(found, dict) or name not in found:
        raise InvalidInputError(f"no backup of miroir: the first line has no field {name!r}")
    if (version := found.pop(name)) != VERSION:
        raise InvalidInputError(f"a backup of format {version}; this miroir reads format {VERSION}: use the other one")
    return orjson.dumps(found)
