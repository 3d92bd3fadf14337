"""What a post to a node says of itself: the text in its task's ``customMetadata``.

Four kinds, all JSON objects with ``"miroir": 1`` (the version of this form) and ``"i"``, the incarnation of the index:

========== ================================================================== ===================================
post       ``{"post": id, "k": part, "n": parts, "r": {shard: [from, to]}}``   documents, or a delete-batch
..         the same and ``"t": {shard: time}``                                 where a time is news
drop       ``{"drop": {shard: attempt}, "t": time}``                           delete by filter on the marker
..         the same and ``"all": true``                                        delete of all documents
checkpoint ``{"upto": uid, "c": {shard: [cursor, attempt, time]}}``            an empty delete-batch
========== ================================================================== ===================================

What always holds: ``parse_metadata(build_metadata(m)) == m``; text of another form is somebody else's and gives
None. Who calls it: the writer of posts, the tail that folds them, the query service never. It must not know: what the
fold makes of them (``streams/cursor.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import orjson

from schemas.ids import Attempt, Incarnation, Position, ShardId

VERSION = 1
"""Raised when a reader of the old form would misread the new one."""

PARSED_MAX = 1024
"""Texts whose meaning is remembered, of about 1 KB each: a task that waits is read again with every page."""


class PositionRange(NamedTuple):
    """Positions ``[start, end)`` of one shard."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Post:
    """One part of a post: it holds, folded to the last write of each key, these ranges of the shards named.

    Attributes:
        incarnation: of the index it was made for.
        post: unique among all posts of all workers.
        part: from 0.
        parts: how many parts the post has; all name the same ranges.
        ranges: not empty.
        marks: of some of these shards, a time before which nothing from the range's start on was written; milliseconds
            since 1970.
    """

    incarnation: Incarnation
    post: str
    part: int
    parts: int
    ranges: Mapping[ShardId, PositionRange]
    marks: Mapping[ShardId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """All documents of these shards are gone; each begins the attempt given.

    Attributes:
        incarnation: of the index it was made for.
        attempts: of each shard that begins anew.
        is_whole: whether every other shard's documents are gone too: the index was emptied.
        at_ms: when this was decided; milliseconds since 1970.
    """

    incarnation: Incarnation
    attempts: Mapping[ShardId, Attempt]
    is_whole: bool = False
    at_ms: int = 0


class CheckpointCursor(NamedTuple):
    """Where a shard stood: its cursor, the attempt it belongs to, and since when it may lack deletes."""

    cursor: Position
    attempt: Attempt
    whole_ms: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the fold over all tasks up to ``upto`` (inclusive) gave: those tasks may be forgotten."""

    incarnation: Incarnation
    upto: int
    cursors: Mapping[ShardId, CheckpointCursor]


PostMetadata = Post | Drop | Checkpoint


def build_metadata(metadata: PostMetadata) -> str:
    """Return the text for ``customMetadata``."""
    head: dict[str, object] = {"miroir": VERSION, "i": metadata.incarnation}
    match metadata:
        case Post(post=post, part=part, parts=parts, ranges=ranges, marks=marks):
            head |= {"post": post, "k": part, "n": parts, "r": {str(shard): list(r) for shard, r in ranges.items()}}
            head |= {"t": {str(shard): at_ms for shard, at_ms in marks.items()}} if marks else {}
        case Drop(attempts=attempts, is_whole=is_whole, at_ms=at_ms):
            head |= {"drop": {str(shard): attempt for shard, attempt in attempts.items()}}
            head |= {"all": True} if is_whole else {}
            head |= {"t": at_ms} if at_ms else {}
        case Checkpoint(upto=upto, cursors=cursors):
            head |= {"upto": upto, "c": {str(shard): list(cursor) for shard, cursor in cursors.items()}}
    return orjson.dumps(head).decode()


@lru_cache(maxsize=PARSED_MAX)
def parse_metadata(text: str | None) -> PostMetadata | None:
    """Return what the post says of itself, or None where the text is not ours.

    A text that claims to be ours but is not well formed is nobody's either: a node's task list is outside input, and
    the fold then treats the task as one that never was, which only ever lowers what is believed.
    """
    if not text or '"miroir"' not in text:
        return None
    try:
        return _parse(orjson.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _parse(wire: dict[str, object]) -> PostMetadata | None:
    if _number(wire["miroir"]) != VERSION:
        return None
    incarnation = Incarnation(_number(wire["i"]))
    if "post" in wire:
        ranges = {shard: PositionRange(*map(Position, pair)) for shard, pair in _pairs(wire["r"])}
        part, parts = _number(wire["k"]), _number(wire["n"])
        post = wire["post"]
        is_sound = bool(ranges) and 0 <= part < parts and all(0 <= start <= end for start, end in ranges.values())
        marks = {shard: _time(at_ms) for shard, at_ms in _shards(wire.get("t", {}))}
        return Post(incarnation, post, part, parts, ranges, marks) if is_sound and isinstance(post, str) else None
    if "drop" in wire:
        attempts = {shard: Attempt(_number(a)) for shard, a in _shards(wire["drop"])}
        return Drop(incarnation, attempts, _flag(wire.get("all", False)), _time(wire.get("t", 0)))
    cursors = {shard: _checkpoint_cursor(item) for shard, item in _shards(wire["c"])}
    return Checkpoint(incarnation, _number(wire["upto"]), cursors)


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _time(value: object) -> int:
    if (number := _number(value)) < 0:
        raise ValueError(number)
    return number


def _checkpoint_cursor(value: object) -> CheckpointCursor:
    if not isinstance(value, list):
        raise TypeError
    cursor, attempt, *rest = value
    (whole_ms,) = rest or (0,)
    return CheckpointCursor(Position(_number(cursor)), Attempt(_number(attempt)), _time(whole_ms))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _shards(value: object) -> list[tuple[ShardId, object]]:
    if not isinstance(value, dict):
        raise TypeError
    shards = []
    for shard, item in value.items():
        # ``int`` alone would read " 7", "+7" and "1_0" too.
        if not (shard.isascii() and shard.isdigit()):
            raise ValueError(shard)
        shards.append((ShardId(int(shard)), item))
    return shards


def _pairs(value: object) -> list[tuple[ShardId, tuple[int, int]]]:
    pairs = []
    for shard, pair in _shards(value):
        if not isinstance(pair, list):
            raise TypeError
        first, second = pair
        pairs.append((shard, (_number(first), _number(second))))
    return pairs
