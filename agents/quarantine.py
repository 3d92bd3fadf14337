"""Finding the record that a node refuses, and setting aside that one only.

A node fails a whole post, and every task batched beside it, for one bad document. So a verdict counts only where the
error is about a document *and* the task was alone in its batch; anything else says that the node is sick, or that
somebody else's document was. The suspected shard is posted alone, in smaller and smaller pieces (or cut at once around
the id that the message names), until one record alone has failed in a batch of its own: that one is dead, and the rest
goes on.

What always holds: a range under suspicion is posted by itself, in order, and no record is passed over. Who calls it:
the writer of a node. It must not know: HTTP, or where a dead letter goes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from agents.batching import cut_slice
from agents.operations import Operation
from agents.posts import ShardSlice
from agents.tail import FailedTask
from schemas.ids import Offset, Position, ShardId
from schemas.posts import Post

DOCUMENT_ERRORS = frozenset(
    {
        "invalid_document_fields",
        "invalid_document_geo_field",
        "invalid_document_id",
        "invalid_vector_dimensions",
        "invalid_vectors_type",
        "max_fields_limit_exceeded",
        "missing_document_id",
        "vector_embedding_error",
        "document_fields_limit_reached",
    }
)
"""Errors that can be a verdict on a document (https://www.meilisearch.com/docs/reference/errors/error_codes)."""

_NAMED = re.compile(
    r"(?:document with the id|document with id|Document identifier|document)[: ]+[`\"]*([A-Za-z0-9_-]+)"
)


class Verdict(Enum):
    """What a failed task says."""

    SICK = auto()
    """The node, not a document: wait, and go on from the cursor."""
    SHARED = auto()
    """About a document, perhaps of another's task in the same batch: look for it here, but condemn nobody yet."""
    REFUSED = auto()
    """About a document of this post."""


def judge(failed: FailedTask) -> Verdict:
    """Return what the failure says."""
    if failed.error_code not in DOCUMENT_ERRORS or not isinstance(failed.task.metadata, Post):
        return Verdict.SICK
    return Verdict.REFUSED if failed.is_alone else Verdict.SHARED


def named_id(message: str) -> str | None:
    """Return the id of the document that a node's error message names, or None."""
    found = _NAMED.search(message)
    return None if found is None else found.group(1)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A shard one of whose records the node refuses.

    Attributes:
        since: the record does not stand before this position.
        until: the record stands before this position.
        records_max: at most so many operations are posted at once.
        named: the id that the node's message named last, or None.
        message: the node's own words.
    """

    since: Position
    until: Position
    records_max: int
    named: str | None = None
    message: str = ""


def suspect(failed: FailedTask, counts: Mapping[ShardId, int]) -> Mapping[ShardId, Suspect]:
    """Return the suspects of a refused post.

    Args:
        failed: the task, with a post's metadata.
        counts: how many operations of each shard were in it. Of one shard alone the next post holds half of them, but
            not where the message names a document that may be another task's.
    """
    post = failed.task.metadata
    assert isinstance(post, Post), "only posts are judged"
    name = named_id(failed.error_message)
    halves = len(post.ranges) == 1 and (failed.is_alone or name is None)
    return {
        shard: Suspect(start, end, max(1, counts[shard] // 2 if halves else counts[shard]), name, failed.error_message)
        for shard, (start, end) in post.ranges.items()
        if shard in counts
    }


def narrow(part: ShardSlice, under: Suspect) -> ShardSlice:
    """Return what of the slice is posted next, alone: everything before the named record, or it, or a small piece."""
    part = cut_slice(part, under.until)
    fresh = [operation for operation in part.operations if operation.offset >= part.range.start]
    if under.named is not None:
        at = next((i for i in range(len(fresh) - 1, -1, -1) if fresh[i].id == under.named), None)
        if at is not None:
            return _until(part, fresh, 1 if at == 0 else at)
    return _until(part, fresh, under.records_max)


def condemned(part: ShardSlice) -> Operation | None:
    """Return the one record that a refused slice held, or None where it held more than one."""
    return part.operations[0] if len(part.operations) == 1 else None


def clear(suspects: Mapping[ShardId, Suspect], cursors: Mapping[ShardId, Position]) -> Mapping[ShardId, Suspect]:
    """Return the suspects that the accepted cursors have come to and not passed.

    Whoever begins anew far before one would go all the way there in small pieces: the next refusal finds it again.
    """
    return {
        shard: under
        for shard, under in suspects.items()
        if under.since <= cursors.get(shard, under.until) < under.until
    }


def join(before: Mapping[ShardId, Suspect], found: Mapping[ShardId, Suspect]) -> Mapping[ShardId, Suspect]:
    """Return both: of a shard that was under suspicion already the new one, no further on than the one before.

    Posts are sent ahead: where two of a shard fail together, the first may hold the record as well.
    """
    joined = {
        shard: replace(under, since=min(under.since, before.get(shard, under).since)) for shard, under in found.items()
    }
    return {**before, **joined}


def _until(part: ShardSlice, fresh: list[Operation], count: int) -> ShardSlice:
    """Return the slice with its first ``count`` operations, ending where the next one stands."""
    if count >= len(fresh):
        return part
    return cut_slice(part, Position(Offset(fresh[count].offset)))
