"""The hidden field that tells which shard a document on a node belongs to.

A node holds several shards of an index but must sometimes be asked, or emptied, of some of them only. So every document
sent to a node carries one more field, ``_miroir``, holding one private-use character: U+F0000 plus the shard. One field
with ``IN`` is four times cheaper to filter by than one field a shard, and a number would be found by users who search
for it; the character is found only by a query that contains it.

What always holds: the marker never leaves miroir. Workers splice it in, query services filter by it and strip it.
Who calls it: the worker's operations, the query service's rewriting and stripping. It knows neither Kafka nor HTTP.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from schemas.ids import SHARDS_MAX, ShardId

MARKER_FIELD = "_miroir"
"""The field's name; a user's document that has it is refused."""

PLANE_15_FIRST = 0xF0000
"""Supplementary private use area A: no script, never folded by a tokeniser, never part of anyone's text."""

_PLANE_15 = re.compile("[\U000f0000-\U000fffff]")
_OPENING = re.compile(rb"[ \t\r\n]*\{([ \t\r\n]*)(\}?)")


def marker_of(shard: ShardId) -> str:
    """Return the one character that marks the documents of ``shard``."""
    assert 0 <= shard < SHARDS_MAX, f"shard {shard}: expected 0 to {SHARDS_MAX - 1}"
    return chr(PLANE_15_FIRST + shard)


def shard_of(marker: str) -> ShardId | None:
    """Return the shard a field's value marks, or None where the value is no marker."""
    if len(marker) != 1 or not PLANE_15_FIRST <= ord(marker) < PLANE_15_FIRST + SHARDS_MAX:
        return None
    return ShardId(ord(marker) - PLANE_15_FIRST)


@lru_cache(maxsize=SHARDS_MAX)
def _field(shard: ShardId) -> bytes:
    """Return the opening of a marked document, with the comma behind its marker."""
    return f'{{"{MARKER_FIELD}":"{marker_of(shard)}",'.encode()


def shards_filter(shards: Iterable[ShardId]) -> str:
    """Return Meilisearch's filter for the documents of these shards, in rising order; none of them match nothing."""
    markers = ", ".join(f'"{marker_of(shard)}"' for shard in sorted(set(shards)))
    return f"{MARKER_FIELD} IN [{markers}]"


def splice_marker(document: bytes, shard: ShardId) -> bytes:
    """Return the JSON object's bytes with the marker as its first field.

    The rest is not parsed and not copied field by field: this runs once a document a replica.

    Args:
        document: a JSON object as UTF-8 bytes, known to be one and to have no marker field.
        shard: the document's shard.

    Raises:
        ValueError: the bytes do not begin as an object.
    """
    # Compact JSON with a field in it, as workers make it, needs no second look.
    if document.startswith(b'{"'):
        return _field(shard) + document[1:]
    opening = _OPENING.match(document)
    if opening is None:
        raise ValueError("expected a JSON object, found no opening brace")
    field = _field(shard)[:-1] if opening[2] else _field(shard)
    return field + document[opening.start(1) :]


def unsplice_marker(document: bytes, shard: ShardId) -> bytes:
    """Return what ``splice_marker`` was given, as compact JSON.

    Args:
        document: with the marker of ``shard`` as its first field, and another field after it.
        shard: the document's shard.
    """
    field = _field(shard)
    assert document.startswith(field), "spliced by us"
    return b"{" + document[len(field) :]


def strip_plane_15(text: str) -> str:
    """Return ``text`` without any character of plane 15, so that no query can contain a marker."""
    return text if text.isascii() else _PLANE_15.sub("", text)
