"""What the log of one shard says of some documents, however old: a sample of its ids, folded up to an end.

What always holds: memory is bounded by the sample; a record that was set aside says nothing of its id, since one copy
may have taken what another has refused; an id that is written at or after the end is not judged. Who calls it: the
sampler of old documents. It must not know: how the log is read, or HTTP.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from agents.operations import OperationBatch, parse_operations
from agents.sampling import Expected
from agents.shard_sample import Sample, ShardSample
from schemas.document_ids import parse_key
from schemas.errors import InvalidDocumentError
from schemas.events import IndexRecord
from schemas.ids import Offset, Position, ShardId
from streams.log import LogBatch

LOG_DOCUMENTS_MAX = 200
"""Ids of one look: a rot of one document in a hundred is in such a sample six times in seven."""

RECORDS_PER_S = 5_000
"""Read for a look, at most: a record that is not sampled costs some µs, so that it is a few hundredths of a core."""

BYTES_PER_S = 4 * 1024 * 1024
"""The same where documents are large: a fraction of what a broker sends to a rebuild."""

SEEDS = 2**32
"""So many samples of a shard can be drawn."""


class LogSample:
    """A sample of one shard's ids, and their last writes.

    Args:
        index: with its primary key known.
        shard: of the index.
        draw: a number in [0, 1) that chooses the ids.
        document_bytes_max: a larger one was set aside.
    """

    def __init__(self, index: IndexRecord, shard: ShardId, *, draw: float, document_bytes_max: int) -> None:
        self._index = index
        self._shard = shard
        self._document_bytes_max = document_bytes_max
        self._sample = ShardSample(Sample(documents=LOG_DOCUMENTS_MAX, seed=int(draw * SEEDS)))
        self._dead: set[Offset] = set()

    def fold(self, batch: LogBatch) -> None:
        """Take in the next batch of the shard's log; only what is sampled is parsed."""
        wanted = replace(batch, records=tuple(record for record in batch.records if self._wants(record.key)))
        parsed, dead = parse_operations(wanted, self._index, document_bytes_max=self._document_bytes_max)
        self._sample.fold([parsed])
        if dead:
            last = {write.offset for write in self._sample.writes.values()}
            self._dead = {each for each in (*self._dead, *(letter.offset for letter in dead)) if each in last}

    def expected(self) -> Sequence[Expected]:
        """Return what the sampled documents must be, but for those whose last record is a dead one."""
        return [
            Expected(self._shard, write.offset, document_id, write.digest)
            for document_id, write in self._sample.writes.items()
            if write.offset not in self._dead
        ]

    def _wants(self, key: bytes | None) -> bool:
        try:
            return self._sample.wants(parse_key(key))
        except InvalidDocumentError:
            return False


def keep_untouched(
    expected: Iterable[Expected], batches: Iterable[OperationBatch], letters: Collection[Offset], *, end: Position
) -> Sequence[Expected]:
    """Return what can be judged: what is not written at or after the end, and was not set aside.

    Args:
        expected: what the log says, up to the end.
        batches: everything that stands at or after the end, and maybe some before it.
        letters: offsets of the shard's records that were set aside.
        end: of what was read; exclusive.
    """
    written = {each.id for batch in batches for each in batch.operations if each.offset >= end}
    return [each for each in expected if each.id not in written and each.offset not in letters]


def rest_s(batch: LogBatch) -> float:
    """Return how long the reading rests after a batch, so that it is not faster than its limits."""
    size = sum(len(record.key or b"") + len(record.value or b"") for record in batch.records)
    return max(len(batch.records) / RECORDS_PER_S, size / BYTES_PER_S)
