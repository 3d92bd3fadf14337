"""Looking at some documents of a copy: which of them a node must hold, and what says that it does not.

Where a worker still has the last writes of a partition in memory, it knows what a copy must hold of them, once the copy
has passed them and nothing of them is under way. What always holds: a document is only judged where the last write of
its id is known and finished; whatever a late post of a former owner does, the node's task list says so first. Who calls
it: the sampler. It must not know: HTTP, or how often.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from agents.operations import Operation, OperationBatch
from agents.tail import IndexTail
from schemas.document_ids import find_ids
from schemas.events import ReplicaRecord
from schemas.ids import Attempt, Offset, Position, ShardId
from schemas.posts import Drop, Post
from streams.cursor import UNTOUCHED, TaskState
from streams.moves import whole_copies
from streams.readable import ProgressView
from streams.topology import Topology

DOCUMENTS_MAX = 20
"""Looked at together: one small answer, about 20 KB."""

REPAIR_AGAIN_MS = 3_600_000
"""A copy that differs so soon after it was made anew is not made anew once more: whatever it is, replay does not help,
and somebody should look."""

BESIDE_MS = 60_000
"""So long after a copy was asked to be made anew no other copy of its shard is: whether another one is whole is known
only once the controller has answered, and the answer is folded."""

DIGEST_BYTES = 16
"""Two different documents share one by a chance of 2^-128."""

_NOT_RETURNED = "_vectors"
"""A node keeps them apart from the document and does not return them with it."""


class Expected(NamedTuple):
    """What the log says last of an id: the digest of the document, marker and all; None where it is deleted."""

    shard: ShardId
    offset: Offset
    id: str
    digest: bytes | None


def canonical_form(document: Mapping[str, Any]) -> bytes:  # a document is any JSON object
    """Return the same bytes for the same JSON object, whatever the order of its fields; vectors are left out."""
    kept = {name: value for name, value in document.items() if name != _NOT_RETURNED}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def digest(document: Mapping[str, Any]) -> bytes:  # a document is any JSON object
    """Return the digest of a document's canonical form."""
    return hashlib.blake2b(canonical_form(document), digest_size=DIGEST_BYTES).digest()


def digest_written(document: bytes | None) -> bytes | None:
    """Return the digest of what an operation writes, None where it deletes."""
    return None if document is None else digest(orjson.loads(document))


def settled_below(tail: IndexTail, shard: ShardId, attempt: Attempt, *, known: Position) -> Position:
    """Return the position before which everything in the shard's log is on the node, and nothing of it under way.

    0 where that is not so of anything: the shard has not begun this attempt, or somebody writes what is not known here.

    Args:
        tail: of the index on the node.
        shard: of the index.
        attempt: the one that is placed.
        known: up to where the shard's log is known here, exclusive.
    """
    at = tail.visible.get(shard, UNTOUCHED)
    if at.attempt != attempt or at.cursor > known:
        return Position(0)
    below = at.cursor
    for task in tail.pending:
        match task.metadata:
            case _ if task.state is TaskState.FAILED:
                pass
            case Post(ranges=ranges) if shard in ranges:
                below = min(below, ranges[shard].start) if ranges[shard].end <= known else Position(0)
            case Drop(attempts=attempts, is_whole=is_whole) if is_whole or shard in attempts:
                return Position(0)
            case _:
                pass
    return below


def choose_expected(
    shard: ShardId, batches: Iterable[OperationBatch], *, below: Position, draw: float, documents_max: int
) -> Sequence[Expected]:
    """Return what some ids must be, of those whose last known write stands before ``below``.

    Args:
        shard: whose operations these are.
        batches: the last writes of its log, all that are known, in their order.
        below: see ``settled_below``.
        draw: a number in [0, 1) that chooses.
        documents_max: at most so many.
    """
    last: dict[str, Operation] = {}
    for batch in batches:
        last |= {operation.id: operation for operation in batch.operations}
    found = [each for each in last.values() if each.offset < below]
    first = int(draw * len(found))
    chosen = (*found[first:], *found[:first])[:documents_max]
    return [Expected(shard, each.offset, each.id, digest_written(each.document)) for each in chosen]


def find_differing(
    expected: Iterable[Expected], documents: Iterable[Mapping[str, Any]], *, primary_key: str
) -> Sequence[Expected]:
    """Return what is not as it must be.

    Args:
        expected: what the log says.
        documents: those of the ids that the node has.
        primary_key: of the index.
    """
    held = {str(ids[0]): digest(each) for each in documents if (ids := find_ids(each, primary_key))}
    return [each for each in expected if held.get(each.id) != each.digest]


def has_other_whole(topology: Topology, progress: ProgressView, replica: ReplicaRecord) -> bool:
    """Return whether another copy of the replica's shard is whole."""
    index = topology.indexes.get(replica.uid)
    if index is None:
        return False
    return bool(whole_copies(topology, progress, index, replica.shard) - {replica.node})


def may_repair(*, others_whole: bool, repaired_ms: int | None, beside_ms: int | None, now_ms: int) -> bool:
    """Return whether a copy that differs is to be made anew: never the last whole one, and not again and again.

    Args:
        others_whole: whether another copy of its shard is whole, as far as is known.
        repaired_ms: when this one was last asked for.
        beside_ms: when another copy of its shard was last asked for.
        now_ms: milliseconds since 1970, as those before.
    """
    is_again = repaired_ms is not None and now_ms - repaired_ms < REPAIR_AGAIN_MS
    is_beside = beside_ms is not None and now_ms - beside_ms < BESIDE_MS
    return others_whole and not is_again and not is_beside
