"""Which documents of a shard a verification looks at, where it does not look at all of them.

An id is chosen by its hash and the seed, so that every copy, and every later run with the same seed, is asked about the
same ids. What always holds: memory is bounded by the sample, however long the log; ids whose last write is a delete are
in the sample as well, since a copy may have kept them. Who calls it: ``verify``. It must not know: Kafka or HTTP.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson
import xxhash

from agents.operations import OperationBatch
from miroir.comparison import digest

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


def parse_sample(text: str, *, seed: int) -> Sample:
    """Return what ``100``, ``0.01`` or ``1%`` asks for.

    Raises:
        ValueError: it is none of these.
    """
    problem = f"expected a number of documents (100) or a share of them (0.01 or 1%), found {text!r}"
    try:
        if text.isascii() and text.isdigit():
            if int(text) > 0:
                return Sample(documents=int(text), seed=seed)
        elif text.isascii():
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
            if 0 < share <= 1:
                return Sample(share=share, seed=seed)
    except ValueError:
        raise ValueError(problem) from None
    raise ValueError(problem)


class ShardSample:
    """What the log says of the sampled ids of one shard, as it is folded.

    Args:
        sample: how much is looked at.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._below = HASHES if sample.documents else int(sample.share * HASHES)
        self._digests: dict[str, bytes | None] = {}
        # The ids with the smallest hashes, the largest of these first.
        self._kept: list[tuple[int, str]] = []

    @property
    def ids(self) -> frozenset[str]:
        """The sampled ids, deleted ones too."""
        return frozenset(self._digests)

    @property
    def truth(self) -> Mapping[str, bytes]:
        """Id → digest of the sampled documents that are there."""
        return {each: found for each, found in self._digests.items() if found is not None}

    def fold(self, batches: Iterable[OperationBatch]) -> None:
        """Take in these batches, in their order: the last write of an id wins."""
        for batch in batches:
            for operation in batch.operations:
                if self._takes(operation.id):
                    document = operation.document
                    self._digests[operation.id] = None if document is None else digest(orjson.loads(document))

    def _takes(self, document_id: str) -> bool:
        if document_id in self._digests:
            return True
        place = xxhash.xxh3_64_intdigest(document_id.encode(), seed=self._sample.seed)
        if place >= self._below:
            return False
        if self._sample.documents:
            heapq.heappush(self._kept, (-place, document_id))
            if len(self._kept) > self._sample.documents:
                # What is dropped here never comes back: the largest hash that is kept only becomes smaller.
                _, dropped = heapq.heappop(self._kept)
                self._digests.pop(dropped, None)
                self._below = -self._kept[0][0]
                return dropped != document_id
        return True
