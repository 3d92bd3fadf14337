"""Where a query's words stand in a text: what highlighting marks and cropping centres on.

What always holds: marks come in the text's order and never overlap. Source: ``ranking.md`` section 7. Who calls it:
formatting.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from miroir.node.engine.ranking.matching import Match
from miroir.node.engine.ranking.terms import Term
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.tokens import HARD, SOFT, Token, Tokenizer


class Mark(NamedTuple):
    """A marked stretch of a text.

    Attributes:
        first_token: place of its first token, and of its last, inclusive.
        first_word: number of its first word in the text, and of its last, inclusive.
        start: first character; ``end`` exclusive is where the mark ends (a prefix ends inside its token).
        positions: places in the query that it matches.
    """

    first_token: int
    last_token: int
    first_word: int
    last_word: int
    start: int
    end: int
    positions: tuple[int, ...]


class _Words(NamedTuple):
    words: frozenset[str]
    is_prefix: bool
    typed: int
    positions: tuple[int, ...]


@dataclass(slots=True)
class Matcher:
    """What to look for in texts."""

    phrases: list[tuple[tuple[str, ...], tuple[int, ...]]] = field(default_factory=list)
    words: list[_Words] = field(default_factory=list)

    def marks(self, tokens: Sequence[Token], text: str) -> list[Mark]:
        """Return the marks of a text cut into ``tokens``."""
        places = [place for place, token in enumerate(tokens) if token.kind not in {SOFT, HARD}]
        found: list[Mark] = []
        index = 0
        while index < len(places):
            mark = self._phrase_at(tokens, places, index) or self._word_at(tokens, places, index, text)
            if mark is not None:
                found.append(mark)
                index = mark.last_word
            index += 1
        return found

    def _phrase_at(self, tokens: Sequence[Token], places: Sequence[int], index: int) -> Mark | None:
        for words, positions in self.phrases:
            end = index + len(words)
            if end <= len(places) and all(
                tokens[place].word == word for place, word in zip(places[index:end], words, strict=True)
            ):
                first, last = places[index], places[end - 1]
                return Mark(first, last, index, end - 1, tokens[first].start, tokens[last].end, positions)
        return None

    def _word_at(self, tokens: Sequence[Token], places: Sequence[int], index: int, text: str) -> Mark | None:
        place = places[index]
        token = tokens[place]
        for entry in self.words:
            end = token.end
            if token.word not in entry.words:
                if not entry.is_prefix:
                    continue
                stem = _longest_stem(token.word, entry.words)
                if stem is None:
                    continue
            if entry.is_prefix:
                stem = token.word if token.word in entry.words else _longest_stem(token.word, entry.words)
                assert stem is not None
                end = token.start + _original_length(text[token.start : token.end], min(len(stem), entry.typed))
            return Mark(place, place, index, index, token.start, end, entry.positions)
        return None


def _longest_stem(word: str, stems: frozenset[str]) -> str | None:
    for length in range(len(word), 0, -1):
        if word[:length] in stems:
            return word[:length]
    return None


def _original_length(original: str, normal_length: int) -> int:
    """Return how many characters of a token stand for the first characters of its normal form."""
    if original.isascii():
        return min(normal_length, len(original))
    done = 0
    for place, character in enumerate(original):
        if done >= normal_length:
            return place
        form = unicodedata.normalize("NFKD", character).lower().replace("æ", "ae").replace("œ", "oe")
        done += sum(1 for piece in form if not unicodedata.combining(piece))
    return len(original)


def build_matcher(match: Match | None) -> Matcher:
    """Return what a matched query marks."""
    matcher = Matcher()
    if match is None:
        return matcher
    terms = sorted(match.graph.all_terms(), key=lambda term: -term.size)
    for term in terms:
        positions = tuple(range(term.start, term.end + 1))
        # A synonym of one word is a phrase, too: marked as a whole, however much of its key was typed.
        for phrase in (*term.phrases("phrase"), *term.synonyms, *term.phrases("split")):
            whole = tuple(word for word in phrase if word is not None)
            if len(whole) == len(phrase):
                matcher.phrases.append((whole, positions))
    for wants_prefix in (False, True):
        for term in terms:
            if term.is_prefix == wants_prefix and not term.phrase:
                words = _marking_words(term)
                if words:
                    positions = tuple(range(term.start, term.end + 1))
                    matcher.words.append(_Words(words, term.is_prefix, len(term.word), positions))
    return matcher


def _marking_words(term: Term) -> frozenset[str]:
    found = {*term.words("exact"), *term.words("one"), *term.words("two")}
    if not term.is_popular_prefix:
        # The words of a popular prefix live in a dictionary of their own that highlighting never opens.
        found.update(term.words("prefix"))
    return frozenset(found)


def marking_tokenizer(reader: IndexReader) -> Tokenizer:
    """Return the tokeniser texts are cut with for marking and cropping: stop words are words here."""
    memo = reader.memo
    key = "marking tokenizer"
    if key not in memo:
        settings = reader.settings
        memo[key] = Tokenizer(
            separators=settings.separators, non_separators=settings.non_separators, dictionary=settings.dictionary
        )
    tokenizer: Tokenizer = memo[key]
    return tokenizer
