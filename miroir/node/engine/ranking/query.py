"""A query text to its terms: words, phrases, what must not occur.

What always holds: terms carry the place they had in the query, dropped words included. Source: ``ranking.md`` section
2.1. Who calls it: matching.
"""

from dataclasses import dataclass, field

from miroir.node.engine.tokens import HARD, SOFT, STOP, WORD, Token, Tokenizer

TERMS_MAX = 10
TOKENS_MAX = 1000
_HARD_STEP = 7


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A word or a phrase.

    Attributes:
        words: one word, or a phrase's words with None for a dropped stop word.
        start: place of the first word in the query.
        end: place of the last word, inclusive.
        is_phrase: in quotes.
        is_prefix: the last word, still being typed.
    """

    words: tuple[str | None, ...]
    start: int
    end: int
    is_phrase: bool = False
    is_prefix: bool = False


@dataclass(slots=True)
class Query:
    """A parsed query; nothing to look for where ``terms`` is empty."""

    terms: list[QueryTerm] = field(default_factory=list)
    negative_words: list[str] = field(default_factory=list)
    negative_phrases: list[tuple[str | None, ...]] = field(default_factory=list)


def parse_query(text: str, tokenizer: Tokenizer, *, prefix_search: bool) -> Query:
    """Return the terms of a query text."""
    if not text.strip():
        return Query()
    tokens: list[Token] = []
    for token in tokenizer.tokens(text):
        if len(tokens) == TOKENS_MAX:
            break
        tokens.append(token)
    return _Parser(text, tokens, prefix_search=prefix_search).parse()


class _Parser:
    def __init__(self, text: str, tokens: list[Token], *, prefix_search: bool) -> None:
        self._text = text
        self._tokens = tokens
        self._prefix_search = prefix_search
        self._query = Query()
        self._position = -1
        self._phrase: list[str | None] | None = None
        self._phrase_start = 0
        self._phrase_negated = False
        self._negative = False

    def parse(self) -> Query:
        tokens = self._tokens
        # Leading separators move nothing but a hard one still counts, as on the real node.
        for place, token in enumerate(tokens):
            if len(self._query.terms) >= TERMS_MAX:
                self._phrase = None
                return self._query
            if token.kind in {WORD, STOP}:
                self._word(token, is_last=place == len(tokens) - 1)
            else:
                self._separator(token, place)
        if self._phrase is not None:
            self._close_phrase()
        return self._query

    def _word(self, token: Token, *, is_last: bool) -> None:
        self._position += 1
        word = token.word
        if self._phrase is not None:
            if not self._phrase:
                self._phrase_start = self._position
            self._phrase.append(None if token.kind == STOP else word)
            return
        if self._negative:
            self._negative = False
            self._query.negative_words.append(word)
            return
        if token.kind == STOP and not is_last:
            return
        is_prefix = is_last and self._prefix_search
        self._query.terms.append(QueryTerm((word,), self._position, self._position, is_prefix=is_prefix))

    def _separator(self, token: Token, place: int) -> None:
        text = token.word
        if token.kind == HARD:
            if self._phrase is not None:
                negated = self._phrase_negated
                self._close_phrase()
                self._phrase, self._phrase_negated = [], negated
            self._position += _HARD_STEP
        if '"' in text:
            if self._phrase is not None:
                self._close_phrase()
            else:
                self._phrase, self._phrase_negated = [], self._negative
                self._negative = False
        elif self._phrase is None:
            self._negative = self._is_minus(token, place)

    def _is_minus(self, token: Token, place: int) -> bool:
        if token.word != "-":
            return False
        tokens = self._tokens
        starts = place == 0 or (
            tokens[place - 1].kind in {SOFT, HARD} and self._text[tokens[place - 1].end - 1].isspace()
        )
        if not starts or place + 1 == len(tokens):
            return False
        following = tokens[place + 1]
        return following.kind in {WORD, STOP} or '"' in following.word

    def _close_phrase(self) -> None:
        words = self._phrase or []
        negated = self._phrase_negated
        self._phrase, self._phrase_negated = None, False
        if all(word is None for word in words):
            return
        if negated:
            self._query.negative_phrases.append(tuple(words))
            return
        self._query.terms.append(
            QueryTerm(tuple(words), self._phrase_start, self._phrase_start + len(words) - 1, is_phrase=True)
        )
