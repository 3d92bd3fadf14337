"""Words within one or two typos of a query word.

What always holds: a transposition of neighbours is one typo; a prefix word is measured against the best prefix of an
indexed word. Source: ``ranking.md`` section 2.2. Who calls it: terms.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from miroir.node.engine.reader import IndexReader

ONE_TYPO_MAX = 150
TWO_TYPOS_MAX = 50
"""The real node takes no more derivations of a kind, in alphabetical order."""

_TWO = 2


class TypoWords(NamedTuple):
    """Words at one typo and at two, each rising."""

    one: tuple[str, ...]
    two: tuple[str, ...]


def find_typos(word: str, *, budget: int, is_prefix: bool, reader: IndexReader) -> TypoWords:
    """Return the derivations of a word within its budget."""
    if budget == 0 or not word:
        return TypoWords((), ())
    key = ("typos", word, budget, is_prefix)
    if key not in reader.recent:
        reader.recent[key] = _find(word, budget, reader, is_prefix=is_prefix)
    found: TypoWords = reader.recent[key]
    return found


def _find(word: str, budget: int, reader: IndexReader, *, is_prefix: bool) -> TypoWords:
    words = reader.words_from(word[0], exact=False)
    key = ("text of words", word[0])
    if key not in reader.memo:
        reader.memo[key] = join_words(words)
    near = within(word, words, reader.memo[key], budget, is_prefix=is_prefix)
    one = [candidate for candidate, distance in near if distance == 1]
    two = [candidate for candidate, distance in near if distance == _TWO]
    if budget == _TWO:
        two = sorted({*two, *_other_first_letter(word, reader, is_prefix=is_prefix)})
    return TypoWords(tuple(one[:ONE_TYPO_MAX]), tuple(two[:TWO_TYPOS_MAX]))


def _other_first_letter(word: str, reader: IndexReader, *, is_prefix: bool) -> Sequence[str]:
    """Return words one edit away whose first letter is another: these cost two typos."""
    stems = {word[1:], word[1:2] + word[:1] + word[2:]}
    for letter in reader.first_letters():
        stems.add(letter + word[1:])
        stems.add(letter + word)
    others = [stem for stem in stems if stem and stem[0] != word[0]]
    if not is_prefix:
        return reader.known_words(others)
    return [found for stem in others for found in reader.words_from(stem, exact=False)]


_TAIL_LETTERS = 4
"""Few words hold the same four letters; more of them would leave more beginnings to follow."""

_BETWEEN = "\0"
"""Stands in no word: it ends a sentence."""

_Row = tuple[int, int, int]
"""What of the typed word a candidate's first letters may stand for with no typo, at most one, at most two: bit ``j`` is
set where they may be its first ``j`` letters."""


def join_words(words: Sequence[str]) -> str:
    """Return words as one text, which is searched faster than each of them."""
    return _BETWEEN.join(("", *words, ""))


def within(word: str, words: Sequence[str], text: str, limit: int, *, is_prefix: bool) -> list[tuple[str, int]]:
    """Return the words at most ``limit`` typos away, with their distance, in order.

    Either all of these typos stand before the typed word's last letters, and a candidate holds those as they are; or
    fewer do, and there are few beginnings to follow.

    Args:
        word: what was typed.
        words: candidates, rising; neighbours share prefixes, so that rows of the distance table are shared too.
        text: the candidates, joined.
        limit: 1 or 2.
        is_prefix: measure against the best prefix of each candidate.
    """
    tail = len(word) - max(min(_TAIL_LETTERS, len(word) // 2), 1)
    found = dict(_walk(word, _holding(word[tail:], text), limit, 0, is_prefix=is_prefix))
    if limit == 1:
        # The one typo comes later; neighbours in the other order may reach one letter back.
        start = word[: max(tail - 1, 0)]
        low = bisect_left(words, start)
        words = words[low : bisect_left(words, start + "\U0010ffff", low)]
    found.update(_walk(word, words, limit, tail + 1, is_prefix=is_prefix))
    return sorted(found.items())


def _holding(part: str, text: str) -> list[str]:
    """Return the words of a text that hold ``part``, in order."""
    found = []
    place = text.find(part)
    while place >= 0:
        end = text.index(_BETWEEN, place)
        found.append(text[text.rindex(_BETWEEN, 0, place) + 1 : end])
        place = text.find(part, end)
    return found


def _walk(word: str, words: Sequence[str], limit: int, beyond: int, *, is_prefix: bool) -> Iterator[tuple[str, int]]:
    """Yield words within ``limit`` typos, with their distance, in order.

    All where the last of so many typos stands beyond that many letters of the typed word, and perhaps others.

    A row of the distance table is kept as bits (Wu and Manber, 1992): a letter costs a few integer operations, however
    long the word is.
    """
    places: dict[str, int] = {}
    for place, letter in enumerate(word):
        places[letter] = places.get(letter, 0) | 2 << place
    whole = 1 << len(word)
    rows: list[_Row] = [(1, 3, 7)]
    previous = ""
    place = 0
    while place < len(words):
        candidate = words[place]
        del rows[_common(previous, candidate, min(len(rows) - 1, len(previous))) + 1 :]
        is_alive = _follow(candidate, rows, places, whole, limit, beyond)
        previous = candidate
        place += 1
        if is_prefix:
            distance = min(_distance(row, whole) for row in rows) if len(rows) + limit >= len(word) else _FAR
        else:
            distance = _distance(rows[-1], whole) if is_alive else _FAR
        if distance <= limit:
            yield candidate, distance
        elif not is_alive:
            # No word with these first letters can come near: leap over all of them.
            previous = candidate[: len(rows) - 1]
            place = _leap(words, previous + "\U0010ffff", place)


def _leap(words: Sequence[str], end: str, place: int) -> int:
    """Return the place of the first word from ``place`` on that is not before ``end``, most often a near one."""
    step = 1
    while place + step <= len(words) and words[place + step - 1] < end:
        step *= 4
    return bisect_left(words, end, place, min(place + step, len(words)))


_FAR = 3


def _follow(candidate: str, rows: list[_Row], places: Mapping[str, int], whole: int, limit: int, beyond: int) -> bool:
    """Add a row for each further letter; tell whether the last may still come near."""
    depth = len(rows) - 1
    none, one, two = rows[-1]
    # What stood one letter earlier: two letters in the other order are one typo.
    before, swapped_none, swapped_one = 0, 0, 0
    if depth:
        before = places.get(candidate[depth - 1], 0)
        swapped_none, swapped_one, _ = rows[-2]
    kept = 2 * whole - 1
    for letter in candidate[depth:]:
        own = places.get(letter, 0)
        next_none = none << 1 & own
        next_one = (one << 1 & own | none | (none | next_none) << 1) & kept
        next_two = (two << 1 & own | one | (one | next_one) << 1) & kept
        swap = before & own << 1
        if swap:
            next_one |= swapped_none << 2 & swap
            next_two |= (swapped_one << 2 & swap | next_one << 1) & kept
        swapped_none, swapped_one = none, one
        none, one, two, before = next_none, next_one, next_two, own
        rows.append((none, one, two))
        fewer, most = (one, two) if limit == _TWO else (none, one)
        if not (fewer or most >> beyond):
            return False
    return True


def _distance(row: _Row, whole: int) -> int:
    none, one, two = row
    return 0 if none & whole else 1 if one & whole else 2 if two & whole else _FAR


def _common(left: str, right: str, limit: int) -> int:
    """Return with how many letters both begin, at most ``limit``; most often nearly as many."""
    while not right.startswith(left[:limit]):
        limit -= 1
    return limit
