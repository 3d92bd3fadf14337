"""The rule ``proximity``.

What always holds: a pair that is not near costs the same however far apart. Source: ``ranking.md`` section 4.4. Who
calls it: matching.
"""

import itertools
from array import array
from collections.abc import Iterator

from miroir.node.engine import bitmaps
from miroir.node.engine.ranking.bucket_sort import Bucket, Rank
from miroir.node.engine.ranking.context import Context
from miroir.node.engine.ranking.costs import Paths, Placed, combine, documents_of, place_by_cost
from miroir.node.engine.ranking.graph import Path, Step
from miroir.node.engine.ranking.terms import PREFIX

FAR = 3
"""Cost of a pair of words that are not near."""


class ProximityRule:
    """Words close together first."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def buckets(self, universe: int, state: Paths) -> Iterator[Bucket]:
        """Yield buckets by the sum of distances."""
        maximum = max((_proximity_max(path) for path in state), default=0)
        placed: list[Placed] = []
        for path in state:
            numbers = documents_of(path, universe)
            if numbers:
                placed.extend(combine(path, self._classes(path, numbers), numbers))
        for cost, numbers, paths in place_by_cost(placed, universe):
            score = (maximum + 1 - cost) / (maximum + 1)
            yield Bucket(numbers, paths, (Rank(maximum + 1 - cost, maximum + 1),), (("proximity", {"score": score}),))

    def _classes(self, path: Path, universe: int) -> list[dict[int, int]]:
        classes: list[dict[int, int]] = []
        if path and path[0].term.is_ngram:
            classes.append({path[0].term.size - 1: universe})
        for left, right in itertools.pairwise(path):
            extra = right.term.size - 1
            if right.term.start != left.term.end + 1:
                if extra:
                    classes.append({extra: universe})
                continue
            near = self._near(left, right, universe)
            classes.append({cost + extra: numbers for cost, numbers in near.items()})
        return classes

    def _near(self, left: Step, right: Step, universe: int) -> dict[int, int]:
        if not self._context.reader.settings.by_word:
            return self._in_one_field(left, right, universe)
        near = self._context.near
        left_words, right_words = left.term.occurrences(left.parts), right.term.occurrences(right.parts)
        forward = list(near(left_words, right_words, universe))
        for pair_left, pair_right, numbers in self._phrase_pairs(left, right, left_words, right_words):
            for place, found in enumerate(near(pair_left, pair_right, universe & numbers)):
                forward[place] |= found
        reverse_words = right_words
        if right.term.is_popular_prefix:
            # The real node knows a popular prefix only as a whole, and as a whole it never stands first in a pair.
            reverse_words = right.term.occurrences(right.parts - {PREFIX})
        backward = near(reverse_words, left_words, universe)
        return {0: forward[0], 1: forward[1] | backward[0], 2: forward[2] | backward[1], FAR: universe}

    def _phrase_pairs(
        self, left: Step, right: Step, left_words: "array[int]", right_words: "array[int]"
    ) -> Iterator[tuple["array[int]", "array[int]", int]]:
        occurrences = self._context.occurrences
        left_phrases = left.term.touching_phrases(left.parts, last=True)
        for word, numbers in left_phrases:
            yield occurrences(word), right_words, numbers
        for word, numbers in right.term.touching_phrases(right.parts, last=False):
            yield left_words, occurrences(word), numbers
            for left_word, left_numbers in left_phrases:
                yield occurrences(left_word), occurrences(word), numbers & left_numbers

    def _in_one_field(self, left: Step, right: Step, universe: int) -> dict[int, int]:
        fields = [self._fields_of(step, universe, last=last) for step, last in ((left, True), (right, False))]
        return {0: bitmaps.from_numbers({place >> 16 for place in fields[0] & fields[1]}), FAR: universe}

    def _fields_of(self, step: Step, universe: int, *, last: bool) -> set[int]:
        places = self._context.restrict(step.term.occurrences(step.parts), universe)
        found = {place >> 16 for place in places}
        for word, numbers in step.term.touching_phrases(step.parts, last=last):
            found |= {place >> 16 for place in self._context.places([word], universe & numbers)}
        return found


def _proximity_max(path: Path) -> int:
    total = path[0].term.size - 1 if path else 0
    for left, right in itertools.pairwise(path):
        total += right.term.size - 1
        if right.term.start == left.term.end + 1:
            total += FAR
    return total
