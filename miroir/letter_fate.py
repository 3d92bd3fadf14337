"""What becomes of a dead letter that is tried again: pure decisions.

What always holds: an older record never goes over newer data. Newer is, within a partition, what stands behind it; a
record that stood in the wrong partition is compared by time, and in doubt it is the older. Who calls it: the replayer.
It must not know: how records are read or appended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from schemas.dead_letters import DeadLetter, decode_bytes
from schemas.document_ids import parse_key
from schemas.documents import parse_document
from schemas.errors import InvalidDocumentError
from schemas.events import IndexRecord
from schemas.ids import Incarnation, Offset, Partition
from streams.partitioning import partition_of


class Fate(StrEnum):
    """What became of a letter."""

    REPLAYED = "replayed"
    """Its record was produced again; the letter is closed."""
    SUPERSEDED = "superseded"
    """Newer data of its key is there: nothing was produced, and the letter is closed."""
    REFUSED = "refused"
    """It cannot be produced again; the letter stays open."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter, and why; ``detail`` is for people."""

    letter: DeadLetter
    fate: Fate
    detail: str


class Stand(NamedTuple):
    """Where a record stands, and its time."""

    partition: Partition
    offset: Offset
    timestamp_ms: int

    def __str__(self) -> str:
        """Return the place as people read it."""
        return f"{self.partition}@{self.offset}"


def key_of(letter: DeadLetter) -> bytes | None:
    """Return the letter's key where it is a document's id, else None: then no document can be meant."""
    key = decode_bytes(letter.key)
    try:
        parse_key(key)
    except InvalidDocumentError:
        return None
    return key


def home_of(key: bytes, index: IndexRecord) -> Partition:
    """Return the partition where the key belongs."""
    return Partition(partition_of(key, index.shards, index.partitioner))


def is_newer(stand: Stand, letter: DeadLetter) -> bool:
    """Return whether the record there is newer than the letter's."""
    if stand.partition == letter.partition:
        return stand.offset > letter.offset
    # Two partitions have no common order but time; of equal times the one that was routed rightly counts as newer.
    return stand.timestamp_ms >= letter.timestamp_ms


def newest_letters(letters: Iterable[DeadLetter]) -> Mapping[tuple[Incarnation, bytes], DeadLetter]:
    """Return the newest open letter of each key of each index: only that one may be produced again."""
    last: dict[tuple[Incarnation, bytes, Partition], DeadLetter] = {}
    for letter in letters:
        if letter.closed or (key := key_of(letter)) is None:
            continue
        place = (letter.incarnation, key, letter.partition)
        if place not in last or letter.offset > last[place].offset:
            last[place] = letter
    newest: dict[tuple[Incarnation, bytes], DeadLetter] = {}
    # Of the last of each partition the one of the latest time; of equal times any, but always the same.
    for (incarnation, key, _), letter in sorted(last.items(), key=lambda entry: (entry[1].timestamp_ms, entry[0])):
        newest[incarnation, key] = letter
    return newest


def find_fault(letter: DeadLetter, value: bytes | None, index: IndexRecord | None, *, document_bytes_max: int) -> str:
    """Return why the letter's record would only die again; empty where it may live.

    What a node refused is not known here: settings may have changed since.

    Args:
        letter: with its key.
        value: of the record; None is a deletion.
        index: of the letter's name, as it is now; None where there is none.
        document_bytes_max: a larger one fits in no post.
    """
    if index is None or index.incarnation != letter.incarnation:
        return f"index {letter.uid!r} was deleted since"
    try:
        key = parse_key(decode_bytes(letter.key))
        if value is None:
            return ""
        if index.primary_key is None:
            return f"index {letter.uid!r} has no primary key yet"
        if len(value) > document_bytes_max:
            return f"{len(value)} bytes; a document has at most {document_bytes_max}"
        parse_document(key, value, index.primary_key)
    except InvalidDocumentError as error:
        return f"{error.reason}: {error}"
    return ""
