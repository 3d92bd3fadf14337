"""Words, pairs and places as the ranking rules ask for them, remembered per generation of an index.

What always holds: a word's documents are those of both dictionaries, unless a caller asks for words that typos may
reach; restricted to the searched attributes where the request names some. Who calls it: terms and rules.
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain, compress, islice
from operator import eq
from typing import Any

from miroir.node.engine import bitmaps
from miroir.node.engine.reader import IndexReader

PAIR_DISTANCE_MAX = 3
"""Words farther apart are not near."""

_PREFIX_BYTES_MAX = 4
_POPULAR_MIN = 100
_NUMBER_SHIFT = 32
_FIELD_SHIFT = 16
_FIELD_MASK = 0xFFFF
_SLICE_GAIN = 8
"""Cutting a document out of a word's occurrences costs about as much as walking over so many."""
_BISECT_GAIN = 4
"""Looking a place up by bisection costs about as much as putting so many places in a set."""
_PREFIXES_MAX = 8
"""Popular prefixes whose occurrences are kept: in 117,791 dictionary entries the largest take 2 MB."""


class Context:
    """One search's view of an index's words."""

    def __init__(self, reader: IndexReader, fields: frozenset[int] | None) -> None:
        self.reader = reader
        self._fields = fields

    @property
    def is_plain(self) -> bool:
        """Tell whether a word's documents are simply those where it occurs."""
        return self._fields is None and not self._has_exact()

    def _has_exact(self) -> bool:
        return bool(self.reader.words_from("", exact=True))

    def _remember(self, key: Any, make: Any) -> Any:
        recent = self.reader.recent
        if key not in recent:
            recent[key] = make()
        return recent[key]

    def documents(self, word: str) -> int:
        """Return the documents that hold a word in a searched attribute."""
        plain = self._documents(word, exact=False)
        return plain | self._documents(word, exact=True) if self._has_exact() else plain

    def plain_documents(self, word: str) -> int:
        """The same without words that must be typed exactly."""
        return self._documents(word, exact=False)

    def _documents(self, word: str, *, exact: bool) -> int:
        if self._fields is None:
            return self.reader.word(word, exact=exact)
        fields = self._fields
        key = ("in fields", fields, word, exact)
        found: int = self._remember(
            key,
            lambda: bitmaps.from_numbers(
                {
                    place >> _NUMBER_SHIFT
                    for place in self.reader.occurrences(word, exact=exact)
                    if (place >> _FIELD_SHIFT & _FIELD_MASK) in fields
                }
            ),
        )
        return found

    def exists(self, word: str) -> bool:
        """Tell whether typos, n-grams and splits may reach a word."""
        return bool(self.reader.word(word, exact=False))

    def is_indexed(self, word: str) -> bool:
        """Tell whether any document holds a word."""
        return bool(self.reader.word(word, exact=False) or self.reader.word(word, exact=True))

    def prefixed(self, prefix: str) -> Sequence[str]:
        """Return all words that start with ``prefix``, rising."""
        plain = self.reader.words_from(prefix, exact=False)
        exact = self.reader.words_from(prefix, exact=True)
        return plain if not exact else sorted({*plain, *exact})

    def is_popular(self, prefix: str) -> bool:
        """Tell whether a prefix is short and shared by many words."""
        if len(prefix.encode()) > _PREFIX_BYTES_MAX:
            return False
        return len(self.reader.words_from(prefix, exact=False)) >= _POPULAR_MIN

    def occurrences(self, word: str) -> "array[int]":
        """Return the occurrences of a word in all attributes, rising."""
        plain = self.reader.occurrences(word, exact=False)
        exact = self.reader.occurrences(word, exact=True) if self._has_exact() else None
        if not exact:
            return plain
        return exact if not plain else array("Q", sorted((*plain, *exact)))

    def merged(self, words: Sequence[str]) -> "array[int]":
        """Return the occurrences of several words, rising."""
        if len(words) == 1:
            return self.occurrences(words[0])
        found: list[int] = []
        for word in words:
            found.extend(self.occurrences(word))
        found.sort()
        return array("Q", found)

    def prefix_documents(self, prefix: str, *, with_itself: bool) -> int:
        """Return the documents that hold a word with this prefix in a searched attribute."""
        fields = self._fields

        def make() -> int:
            places = self.prefix_occurrences(prefix, with_itself=with_itself)
            if fields is None:
                return bitmaps.from_numbers(numbers_of(places))
            return bitmaps.from_numbers({number_of(place) for place in places if field_of(place) in fields})

        found: int = self._remember(("prefix documents", fields, prefix, with_itself), make)
        return found

    def prefix_occurrences(self, prefix: str, *, with_itself: bool) -> "array[int]":
        """Return the occurrences of all words with this prefix, rising; meant for popular prefixes.

        Args:
            prefix: their first letters.
            with_itself: also those of the prefix as a word.
        """
        memo: dict[tuple[str, bool], array[int]] = self.reader.memo.setdefault("prefix occurrences", {})
        key = (prefix, with_itself)
        if key not in memo:
            if len(memo) >= _PREFIXES_MAX:
                memo.clear()
            memo[key] = self.reader.prefix_occurrences(prefix, with_itself=with_itself)
        return memo[key]

    def restrict(self, occurrences: "array[int]", universe: int) -> "array[int]":
        """Return the occurrences that lie in the documents of ``universe``, rising."""
        count = universe.bit_count()
        if not count or not occurrences:
            return array("Q")
        if count == self.reader.all_numbers().bit_count():
            return occurrences
        if len(occurrences) > _SLICE_GAIN * count:
            found = array("Q")
            for number in bitmaps.members(universe):
                start = bisect_left(occurrences, number << _NUMBER_SHIFT)
                end = bisect_left(occurrences, (number + 1) << _NUMBER_SHIFT, start)
                found.extend(occurrences[start:end])
            return found
        top = occurrences[-1] >> _NUMBER_SHIFT
        flags = bitmaps.flags_of(universe & (2 << top) - 1, top + 1)
        return array("Q", compress(occurrences, map(flags.__getitem__, numbers_of(occurrences))))

    def places(self, words: Sequence[str], universe: int) -> "array[int]":
        """Return the occurrences of words in the documents of ``universe``, rising."""
        return self.restrict(self.merged(words), universe)

    def ahead(self, left: str, right: str, distance: int) -> int:
        """Return the documents where ``left`` stands exactly so far before ``right``."""
        found: int = self._remember(("ahead", left, right, distance), lambda: self._ahead(left, right, distance))
        return found

    def _ahead(self, left: str, right: str, distance: int) -> int:
        universe = self.documents_anywhere(left) & self.documents_anywhere(right)
        return ahead(self.occurrences(left), self.occurrences(right), distance) if universe else 0

    def documents_anywhere(self, word: str) -> int:
        """Return the documents that hold a word in any attribute."""
        plain = self.reader.word(word, exact=False)
        return plain | self.reader.word(word, exact=True) if self._has_exact() else plain

    def near(self, left: "array[int]", right: "array[int]", universe: int) -> tuple[int, int, int]:
        """Return the documents of ``universe`` where some left word stands 1, 2, 3 before some right word."""
        if not universe or not left or not right:
            return 0, 0, 0
        if len(left) <= len(right):
            places, others, sign = self.restrict(left, universe), right, 1
        else:
            places, others, sign = self.restrict(right, universe), left, -1
        if not places:
            return 0, 0, 0
        if len(others) > _BISECT_GAIN * len(places):
            return _near_by_bisection(places, others, sign)
        known = set(others)
        found = []
        for distance in range(1, PAIR_DISTANCE_MAX + 1):
            beside = known.intersection(map((sign * distance).__add__, places))
            # One beside a word of a document is in that document too: positions end long before their 16 bits do.
            found.append(bitmaps.from_numbers({place >> _NUMBER_SHIFT for place in beside}))
        return found[0], found[1], found[2]

    def phrase(self, words: Sequence[str | None]) -> int:
        """Return the documents that hold words one after the other; None stands for a dropped stop word.

        A pairwise test over windows of three, as on the real node: long repetitive texts can give false positives.
        """
        key = ("phrase", self._fields, tuple(words))
        found: int = self._remember(key, lambda: self._phrase(words))
        return found

    def _phrase(self, words: Sequence[str | None]) -> int:
        found = -1
        for word in words:
            if word is not None:
                found &= self.documents(word)
        if found in {0, -1}:
            return 0
        if not self.reader.settings.by_word:
            return found & self.in_one_field([word for word in words if word is not None], found)
        for place, left in enumerate(words):
            if left is None:
                continue
            following = words[place + 1] if place + 1 < len(words) else None
            if following is not None:
                found &= self.ahead(left, following, 1)
            after = words[place + 2] if place + 2 < len(words) else None
            if after is not None and found:
                found &= self.ahead(left, after, 1) | self.ahead(left, after, 2)
            if not found:
                return 0
        return found

    def in_one_field(self, words: Sequence[str], universe: int) -> int:
        """Return the documents of ``universe`` where all words stand in one same field."""
        common: set[int] | None = None
        for word in words:
            own = {place >> _FIELD_SHIFT for place in self.places([word], universe)}
            common = own if common is None else common & own
        return bitmaps.from_numbers({place >> _FIELD_SHIFT for place in common or ()})


def ahead(left: "array[int]", right: "array[int]", distance: int) -> int:
    """Return the documents where one of the ``left`` occurrences is exactly so far before one of the ``right``."""
    places, others, step = left, right, distance
    if len(places) > len(others):
        places, others, step = others, places, -distance
    if len(others) > _SLICE_GAIN * len(places):
        wanted = map(step.__add__, places)
        return bitmaps.from_numbers({place >> _NUMBER_SHIFT for place in wanted if _holds(others, place)})
    # Two rising runs are merged by a sort faster than one of them becomes a set.
    both = sorted(chain(map(step.__add__, places), others))
    same = compress(both, map(eq, both, islice(both, 1, None)))
    return bitmaps.from_numbers({place >> _NUMBER_SHIFT for place in same})


def _holds(occurrences: "array[int]", place: int) -> bool:
    at = bisect_left(occurrences, place)
    return at < len(occurrences) and occurrences[at] == place


def _near_by_bisection(places: "array[int]", others: "array[int]", sign: int) -> tuple[int, int, int]:
    hits: list[set[int]] = [set(), set(), set()]
    for place in places:
        low = place + 1 if sign > 0 else place - PAIR_DISTANCE_MAX
        at = bisect_left(others, low)
        while at < len(others) and others[at] < low + PAIR_DISTANCE_MAX:
            hits[abs(others[at] - place) - 1].add(place >> _NUMBER_SHIFT)
            at += 1
    return bitmaps.from_numbers(hits[0]), bitmaps.from_numbers(hits[1]), bitmaps.from_numbers(hits[2])


_FIRST = 0 if sys.byteorder == "little" else -1
_STEP = 1 if sys.byteorder == "little" else -1


def numbers_of(occurrences: "array[int]") -> list[int]:
    """Return the document number of each occurrence."""
    return memoryview(occurrences).cast("B").cast("I")[(_FIRST + _STEP) % 2 :: 2].tolist()


def fields_of(occurrences: "array[int]") -> list[int]:
    """Return the field number of each occurrence."""
    return memoryview(occurrences).cast("B").cast("H")[(_FIRST + _STEP) % 4 :: 4].tolist()


def positions_of(occurrences: "array[int]") -> list[int]:
    """Return the position of each occurrence in its field."""
    return memoryview(occurrences).cast("B").cast("H")[_FIRST % 4 :: 4].tolist()


def field_of(place: int) -> int:
    """Return the field number of an occurrence."""
    return place >> _FIELD_SHIFT & _FIELD_MASK


def number_of(place: int) -> int:
    """Return the document number of an occurrence."""
    return place >> _NUMBER_SHIFT
