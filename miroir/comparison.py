"""What the log says a shard holds, against what a replica says: document by document.

Documents are told apart by a digest of their canonical form, so that a shard of any number of documents takes about
200 bytes a document. What always holds: two documents are equal exactly where they are the same JSON value, whatever
their order of fields. Who calls it: ``verify``. It must not know: Kafka or HTTP.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from agents.operations import OperationBatch
from agents.sampling import canonical_form

DIGEST_BYTES = 16
"""Two different documents share one by a chance of 2^-128."""

EXAMPLES_MAX = 5
"""Ids named of each kind of fault."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing one replica of one shard has found.

    Attributes:
        documents: how many the replica holds as the log has them.
        missing: in the log and not in the replica; ids, in order.
        extra: in the replica and not in the log; ids, in order.
        different: in both, and not equal; ids, in order.
    """

    documents: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    different: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.extra or self.different)


def digest(document: Mapping[str, Any]) -> bytes:  # a document is any JSON object
    """Return the digest of a document's canonical form."""
    return hashlib.blake2b(canonical_form(document), digest_size=DIGEST_BYTES).digest()


def fold_truth(truth: dict[str, bytes], batches: Iterable[OperationBatch]) -> None:
    """Bring id → digest up to date with these batches, in their order: the last write of an id wins."""
    for batch in batches:
        for operation in batch.operations:
            if operation.document is None:
                truth.pop(operation.id, None)
            else:
                truth[operation.id] = digest(orjson.loads(operation.document))


def touched_ids(batches: Iterable[OperationBatch]) -> set[str]:
    """Return the ids that these batches write or delete."""
    return {operation.id for batch in batches for operation in batch.operations}


def compare(truth: Mapping[str, bytes], found: Mapping[str, bytes], *, changed: Collection[str] = ()) -> Comparison:
    """Return what is wrong with a replica.

    Args:
        truth: id → digest, of the log up to where the replica stands.
        found: id → digest, of the replica.
        changed: ids written after that: the replica may hold either, and nothing is said of them.
    """
    missing = sorted(truth.keys() - found.keys() - set(changed))
    extra = sorted(found.keys() - truth.keys() - set(changed))
    both = truth.keys() & found.keys()
    different = sorted(each for each in both if truth[each] != found[each] and each not in changed)
    return Comparison(len(both) - len(different), tuple(missing), tuple(extra), tuple(different))
