"""Which documents of a shard are looked at, where not all of them are, and what its log says of them.

An id is chosen by its hash and the seed, so that every copy, and every later run with the same seed, is asked about the
same ids. What always holds: memory is bounded by the sample, however long the log; ids whose last write is a delete are
in the sample as well, since a copy may have kept them. Who calls it: ``verify``, the sample of a log
(``agents/log_sample.py``). It must not know: Kafka or HTTP.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import xxhash

from agents.operations import OperationBatch
from agents.sampling import digest_written
from schemas.ids import Offset

DigestOf = Callable[[bytes | None], bytes | None]
"""Takes what an operation writes, None where it deletes, and returns the digest."""

HASHES = 2**64
"""How many values the hash has."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How much of every shard is looked at.

    Attributes:
        documents: so many ids of each shard; 0 where ``share`` says it.
        share: of the ids of each shard; above 0, at most 1.
        seed: another one chooses other ids.
    """

    documents: int = 0
    share: float = 1.0
    seed: int = 0


class LastWrite(NamedTuple):
    """The last write of an id: where it stands, and the digest of its document, marker and all; None for a delete."""

    offset: Offset
    digest: bytes | None


class ShardSample:
    """What the log says of the sampled ids of one shard, as it is folded.

    Args:
        sample: how much is looked at.
        digest_of: what is kept of a document.
    """

    def __init__(self, sample: Sample, *, digest_of: DigestOf = digest_written) -> None:
        self._sample = sample
        self._digest_of = digest_of
        self._below = HASHES if sample.documents else int(sample.share * HASHES)
        self._writes: dict[str, LastWrite] = {}
        # The ids with the smallest hashes, the largest of these first.
        self._kept: list[tuple[int, str]] = []

    @property
    def ids(self) -> frozenset[str]:
        """The sampled ids, deleted ones too."""
        return frozenset(self._writes)

    @property
    def writes(self) -> Mapping[str, LastWrite]:
        """Id → its last write, deletes too."""
        return self._writes

    @property
    def truth(self) -> Mapping[str, bytes]:
        """Id → digest of the sampled documents that are there."""
        return {each: found.digest for each, found in self._writes.items() if found.digest is not None}

    def wants(self, document_id: str) -> bool:
        """Return whether a write of the id would be taken in now; where not, no later one will be."""
        return document_id in self._writes or self._place(document_id) < self._below

    def fold(self, batches: Iterable[OperationBatch]) -> None:
        """Take in these batches, in their order: the last write of an id wins."""
        for batch in batches:
            for operation in batch.operations:
                if self._takes(operation.id):
                    self._writes[operation.id] = LastWrite(operation.offset, self._digest_of(operation.document))

    def _place(self, document_id: str) -> int:
        return xxhash.xxh3_64_intdigest(document_id.encode(), seed=self._sample.seed)

    def _takes(self, document_id: str) -> bool:
        if document_id in self._writes:
            return True
        place = self._place(document_id)
        if place >= self._below:
            return False
        if self._sample.documents:
            heapq.heappush(self._kept, (-place, document_id))
            if len(self._kept) > self._sample.documents:
                # What is dropped here never comes back: the largest hash that is kept only becomes smaller.
                _, dropped = heapq.heappop(self._kept)
                self._writes.pop(dropped, None)
                self._below = -self._kept[0][0]
                return dropped != document_id
        return True
