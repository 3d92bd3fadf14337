"""What is sent to a node at once: operations of several shards, folded to the last write of each key.

A range with upserts and deletes is a post of two parts, the documents first. A range without any operation (records
that were dead, a transaction's marker) is an empty delete-batch: it costs a task, and moves the cursor. What always
holds: all parts name the same ranges, and no key is in two parts. Who calls it: the writer of a node. It must not
know: when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from agents.operations import Operation
from schemas.ids import Incarnation, ShardId
from schemas.posts import PositionRange, Post, build_metadata


@dataclass(frozen=True, slots=True)
class ShardSlice:
    """Positions of one shard, and every operation in them by offset; some before the range's start do no harm."""

    range: PositionRange
    operations: Sequence[Operation]
    mark_ms: int = 0
    """Before it nothing from the range's start on was written; 0 where the node need not be told."""


@dataclass(frozen=True, slots=True)
class PostPart:
    """One request: documents as NDJSON, or ids for a delete-batch; ``metadata`` is the text for its task."""

    post: Post
    is_delete: bool
    body: bytes
    metadata: str


def build_parts(post_id: str, incarnation: Incarnation, slices: Mapping[ShardId, ShardSlice]) -> Sequence[PostPart]:
    """Return the parts of a post, in the order in which they must be sent; never empty."""
    upserts: list[bytes] = []
    deletes: list[str] = []
    for part in slices.values():
        last = {operation.id: operation.document for operation in part.operations}
        upserts += [document for document in last.values() if document is not None]
        deletes += [key for key, document in last.items() if document is None]
    bodies: list[tuple[bool, bytes]] = []
    if upserts:
        bodies.append((False, b"\n".join(upserts)))
    if deletes or not upserts:
        bodies.append((True, orjson.dumps(deletes)))
    ranges = {shard: part.range for shard, part in slices.items()}
    marks = {shard: part.mark_ms for shard, part in slices.items() if part.mark_ms}
    posts = [Post(incarnation, post_id, number, len(bodies), ranges, marks) for number in range(len(bodies))]
    return [
        PostPart(post, is_delete, body, build_metadata(post))
        for post, (is_delete, body) in zip(posts, bodies, strict=True)
    ]
