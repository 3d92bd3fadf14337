"""The dead topic as a query service sees it: which records were set aside, and why.

One object, changed in place: the topic may hold many entries, and a copy a record would cost their square. What always
holds: an index made anew over the same topic has nothing to do with what an earlier one refused; the last entry of a
record wins, a null takes it away; one that is closed is not listed or counted any more, but still says what became of
the post it came with; entries beyond ``KEPT_MAX`` push out the oldest, and ``dropped`` says how many. Who calls it: the
views fold it, task status and the operators' routes read it. It must not know: tasks or HTTP.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.dead_letters import DeadLetter, parse_dead_letter
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position
from streams.log import LogBatch

KEPT_MAX = 50_000
"""Some 25 MB without the records' own bytes, which are dropped on folding; far beyond what anybody reads."""

Ranges = Mapping[Partition, Sequence[tuple[Position, Position]]]
"""Half-open positions, by partition."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many dead letters lie in some ranges, and the first of them."""

    count: int
    first: DeadLetter


class DeadLetters:
    """The entries; its length and its members are the open ones, in the order of the dead topic."""

    def __init__(self) -> None:
        self.dropped = 0
        self._closed = 0
        self._letters: dict[str, DeadLetter] = {}
        self._offsets: dict[tuple[Incarnation, str, Partition], list[Offset]] = {}

    def __len__(self) -> int:
        return len(self._letters) - self._closed

    def __iter__(self) -> Iterator[DeadLetter]:
        return (letter for letter in self._letters.values() if not letter.closed)

    def fold(self, batches: Iterable[LogBatch]) -> None:
        """Take in what these batches of the dead topic hold.

        Raises:
            InvalidInputError: a value is not of its form.
        """
        for batch in batches:
            for record in batch.records:
                key = (record.key or b"").decode()
                self._remove(key)
                if record.value is not None:
                    self._add(key, parse_dead_letter(record.value))
        while len(self._letters) > KEPT_MAX:
            self._remove(next(iter(self._letters)))
            self.dropped += 1

    def counts(self) -> Mapping[IndexUid, int]:
        """Return how many open entries each index has."""
        counts: dict[IndexUid, int] = {}
        for letter in self:
            counts[letter.uid] = counts.get(letter.uid, 0) + 1
        return counts

    def within(self, index: IndexRecord, ranges: Ranges) -> Found | None:
        """Return what lies in the half-open ranges of the index's partitions, closed too; None where nothing does.

        Args:
            index: as it was made now: an earlier one of its name may have had the same topic.
            ranges: by partition; each may have several, which do not overlap.
        """
        count = 0
        first: DeadLetter | None = None
        for partition, pieces in sorted(ranges.items()):
            offsets = self._offsets.get((index.incarnation, index.topic, partition), [])
            for start, end in sorted(pieces):
                low, high = bisect_left(offsets, start), bisect_left(offsets, end)
                count += high - low
                if first is None and low < high:
                    first = self._letters[_key(index.topic, partition, offsets[low])]
        return None if first is None else Found(count, first)

    def _add(self, key: str, letter: DeadLetter) -> None:
        self._letters[key] = replace(letter, value=None)
        self._closed += bool(letter.closed)
        insort(self._offsets.setdefault(_place(letter), []), letter.offset)

    def _remove(self, key: str) -> None:
        letter = self._letters.pop(key, None)
        if letter is not None:
            self._closed -= bool(letter.closed)
            offsets = self._offsets[_place(letter)]
            offsets.pop(bisect_left(offsets, letter.offset))


def _place(letter: DeadLetter) -> tuple[Incarnation, str, Partition]:
    return letter.incarnation, letter.topic, letter.partition


def _key(topic: str, partition: Partition, offset: Offset) -> str:
    return f"{topic}/{partition}/{offset}"
