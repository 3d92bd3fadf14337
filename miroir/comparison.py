"""What the log says a shard holds, against what a replica says: document by document.

Documents are told apart by a digest of their canonical form. A shard is compared in blocks, each of some ids in a row,
and what the blocks have found is added up: so it takes the memory of one block, whatever the shard's size. What always
holds: two documents are equal exactly where they are the same JSON value, whatever their order of fields, and their
vectors the same numbers of 32 bits where that can be told. Who calls it: ``verify``. It must not know: Kafka, HTTP, or
where digests are kept.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from agents.operations import OperationBatch
from agents.sampling import DIGEST_BYTES, digest
from miroir.vectors_form import NO_EMBEDDERS, Embedders, log_form, node_form

EXAMPLES_MAX = 5
"""Ids named of each kind of fault."""


@dataclass(frozen=True, slots=True)
class FaultyIds:
    """The ids of one kind of fault: how many, and the first few of them in order."""

    count: int = 0
    examples: tuple[str, ...] = ()


NONE = FaultyIds()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing one replica of one shard has found.

    Attributes:
        documents: how many the replica holds as the log has them.
        missing: in the log and not in the replica.
        extra: in the replica and not in the log.
        different: in both, and not equal.
    """

    documents: int
    missing: FaultyIds = NONE
    extra: FaultyIds = NONE
    different: FaultyIds = NONE

    @property
    def equal(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing.count or self.extra.count or self.different.count)


def log_digest(document: Mapping[str, Any], embedders: Embedders) -> bytes:  # a document is any JSON object
    """Return the digest of a document in the log, and behind it that of its vectors where they can be told."""
    vectors = log_form(document, embedders) if embedders else None
    return digest(document) if vectors is None else digest(document) + _hash(vectors)


def node_digest(document: Mapping[str, Any], embedders: Embedders) -> bytes:  # a document is any JSON object
    """Return the digest of a document as a node gives it back, and behind it that of its vectors, if it has such."""
    vectors = node_form(document, embedders) if embedders else None
    return digest(document) if vectors is None else digest(document) + _hash(vectors)


def last_digests(batch: OperationBatch, embedders: Embedders = NO_EMBEDDERS) -> Mapping[str, bytes | None]:
    """Return what a batch leaves of each id that it touches: the digest of its last write; None where that deletes."""
    last = {operation.id: operation.document for operation in batch.operations}
    return {key: digest_of(text, embedders) for key, text in last.items()}


def digest_of(text: bytes | None, embedders: Embedders) -> bytes | None:
    """Return the digest of what an operation writes, as ``log_digest``; None where it deletes."""
    return None if text is None else log_digest(orjson.loads(text), embedders)


def touched_ids(batch: OperationBatch) -> set[str]:
    """Return the ids that a batch writes or deletes."""
    return {operation.id for operation in batch.operations}


def compare(truth: Mapping[str, bytes], found: Mapping[str, bytes], *, changed: Collection[str] = ()) -> Comparison:
    """Return what is wrong with a replica.

    Args:
        truth: id → digest, of the log up to where the replica stands.
        found: id → digest, of the replica.
        changed: ids written after that: the replica may hold either, and nothing is said of them.
    """
    missing = truth.keys() - found.keys() - set(changed)
    extra = found.keys() - truth.keys() - set(changed)
    both = truth.keys() & found.keys()
    # Where the log's digest ends before the vectors', nothing is said of these.
    different = {each for each in both if not found[each].startswith(truth[each]) and each not in changed}
    return Comparison(len(both) - len(different), *map(_faulty, (missing, extra, different)))


def add_up(comparison: Comparison, block: Comparison) -> Comparison:
    """Return what both have found; the block's ids stand behind the others."""
    return Comparison(
        comparison.documents + block.documents,
        _both(comparison.missing, block.missing),
        _both(comparison.extra, block.extra),
        _both(comparison.different, block.different),
    )


def _hash(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=DIGEST_BYTES).digest()


def _faulty(ids: Iterable[str]) -> FaultyIds:
    listed = sorted(ids)
    return FaultyIds(len(listed), tuple(listed[:EXAMPLES_MAX]))


def _both(first: FaultyIds, second: FaultyIds) -> FaultyIds:
    return FaultyIds(first.count + second.count, (*first.examples, *second.examples)[:EXAMPLES_MAX])
