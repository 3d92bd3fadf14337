"""Text to tokens: where words begin and end, and their normal form.

What always holds: documents, queries and highlighting cut text with the same tokeniser. Tokens cover the text without
holes. Source: ``ranking.md`` sections 1.1 and 1.2 (a node without the optional language packs).
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from miroir.node.engine.scripts import script_of

WORD, SOFT, HARD, STOP = 0, 1, 2, 3
"""Kinds of tokens: a word, a separator, a separator that ends a sentence, a stop word."""

MEMO_MAX = 100_000
"""Normal forms remembered per tokeniser; a dictionary of this size fits in about 20 MB."""

_HARD = (". ", ", ", *"!?;¡¿§¶。、！？；،؛؟।॥።۔՝՜՞։፧፨།༎\0")  # noqa: RUF001 - the signs themselves
_EXTRA_SOFT = "\t\n\r`+×÷±−\u200c"  # noqa: RUF001 - the signs themselves
_NOT_SEPARATORS = "\u00a0\u2000\u2001\u2011\u2028\u202f\u205f\u2007"
_CATEGORIES = frozenset(("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Zs", "Zp"))
_CASED = frozenset(("latin", "cyrillic", "greek", "georgian", "armenian"))
_UNMARKED = frozenset(("latin", "greek", "arabic", "hebrew", "thai"))
_LIGATURES = str.maketrans({"æ": "ae", "œ": "oe", "’": "'", "‘": "'", "‛": "'"})  # noqa: RUF001 - the signs themselves


def _soft_separators() -> frozenset[str]:
    # Blocks that hold punctuation: Latin to Ethiopic, general punctuation, CJK signs, full-width forms.
    codes = (*range(0x20, 0x1400), *range(0x1680, 0x1681), *range(0x2000, 0x2070), *range(0x2300, 0x2330))
    codes = (*codes, *range(0x2768, 0x2776), *range(0x27E6, 0x27F0), *range(0x2983, 0x2999), *range(0x2E00, 0x2E60))
    codes = (*codes, *range(0x3000, 0x3040), 0x30FB, *range(0xFE10, 0xFE70), *range(0xFF00, 0xFF66))
    named = {chr(code) for code in codes if unicodedata.category(chr(code)) in _CATEGORIES}
    signs = {chr(code) for code in range(0x2213, 0x2300)}
    return frozenset((named | signs | set(_EXTRA_SOFT)) - set(_NOT_SEPARATORS) - set(_HARD))


SEPARATORS = _soft_separators()
"""Soft separators of one character."""

_HARD_SET = frozenset(_HARD)


class Token(NamedTuple):
    """A stretch of text.

    Attributes:
        kind: WORD, SOFT, HARD or STOP.
        start: first character, inclusive.
        end: exclusive.
        word: normal form.
    """

    kind: int
    start: int
    end: int
    word: str


class Tokenizer:
    """Cuts text as one index's settings ask."""

    def __init__(
        self,
        *,
        separators: Sequence[str] = (),
        non_separators: Sequence[str] = (),
        dictionary: Sequence[str] = (),
        stop_words: Sequence[str] = (),
    ) -> None:
        kept = frozenset(non_separators)
        self._hard = _HARD_SET - kept
        self._soft = (SEPARATORS | frozenset(separators)) - kept
        self._stops = frozenset(stop_words)
        self._memo: dict[str, tuple[int, str]] = {}
        self._pattern = self._compile(dictionary)

    def _compile(self, dictionary: Sequence[str]) -> re.Pattern[str]:
        cut = sorted(dictionary, key=len, reverse=True)
        separators = sorted(self._hard | self._soft, key=len, reverse=True)
        singles = "".join(re.escape(text) for text in separators if len(text) == 1)
        longer = "|".join(re.escape(text) for text in separators if len(text) > 1)
        special = "|".join(re.escape(text) for text in cut if text)
        stop = "|".join(part for part in (special, longer) if part)
        # A word runs on while no separator and no word of the dictionary begins.
        guard = f"(?!{stop})" if stop else ""
        run = (
            f"(?:{guard}[^{singles}])+"
            if special or any(len(t) > 1 and t[0] not in singles for t in separators)
            else (f"[^{singles}]+")
        )
        parts = [f"(?P<dictionary>{special})"] if special else []
        separator = "|".join(part for part in (longer, f"[{singles}]") if part)
        return re.compile("|".join((*parts, f"(?P<separator>{separator})", f"(?P<word>{run})")), re.DOTALL)

    def tokens(self, text: str) -> Iterator[Token]:
        """Yield the tokens of ``text`` in order."""
        if text.isascii():
            for match in self._pattern.finditer(text):
                start, end = match.span()
                kind, word = self._classify(match.group(), "latin")
                yield Token(kind, start, end, word)
            return
        script = _first_script(text)
        for match in self._pattern.finditer(text):
            start, end = match.span()
            if match.lastgroup != "word":
                kind, word = self._classify(match.group(), script)
                yield Token(kind, start, end, word)
                continue
            for piece_start, piece_end, piece_script in _split_scripts(text, start, end, script):
                kind, word = self._classify(text[piece_start:piece_end], piece_script)
                yield Token(kind, piece_start, piece_end, word)
                script = piece_script

    def words(self, text: str) -> list[tuple[str, int, bool]]:
        """Return words as ``(normal form, step from the word before, is a stop word)``; the first step is 0."""
        found: list[tuple[str, int, bool]] = []
        step = 0
        for kind, _, _, word in self.tokens(text):
            if kind == SOFT:
                step = max(step, 1)
            elif kind == HARD:
                step = 8
            else:
                found.append((word, (step or 1) if found else 0, kind == STOP))
                step = 0
        return found

    def _classify(self, text: str, script: str) -> tuple[int, str]:
        key = text if script == "latin" else f"{script}\x1f{text}"
        known = self._memo.get(key)
        if known is None:
            if len(self._memo) >= MEMO_MAX:
                self._memo.clear()
            known = self._memo[key] = self._normalise(text, script)
        return known

    def _normalise(self, text: str, script: str) -> tuple[int, str]:
        form = text if text.isascii() else unicodedata.normalize("NFKD", text)
        form = "".join(c for c in form if c in "\t\n\r" or unicodedata.category(c) != "Cc") or form
        if form in self._hard:
            return HARD, form
        if form in self._soft:
            return SOFT, form
        kind = STOP if form in self._stops else WORD
        if script in _CASED:
            # Letter by letter: at the end of a word, too, a capital sigma becomes the usual small one.
            form = form.lower() if form.isascii() else "".join(map(str.lower, form))
        if script == "latin" and not form.isascii():
            form = form.translate(_LIGATURES)
        if script in _UNMARKED and not form.isascii():
            form = "".join(c for c in form if not unicodedata.combining(c))
        return kind, form


def facet_form(text: str) -> str:
    """Return the form in which facet values are compared: accents stay, case does not.

    Source: ``ranking.md`` section 5.3; cut at 468 bytes.
    """
    form = unicodedata.normalize("NFKD", text.strip()).lower() if not text.isascii() else text.strip().lower()
    raw = form.encode("utf-8", "replace")
    return form if len(raw) <= _FACET_BYTES_MAX else raw[:_FACET_BYTES_MAX].decode("utf-8", "ignore")


_FACET_BYTES_MAX = 468
"""The real node's bound on a facet key."""


def _first_script(text: str) -> str:
    for character in text:
        script = script_of(character)
        if script:
            return script
    return "latin"


def _split_scripts(text: str, start: int, end: int, script: str) -> Iterator[tuple[int, int, str]]:
    begin = start
    for place in range(start, end):
        own = script_of(text[place])
        if own and own != script:
            if place > begin and not unicodedata.combining(text[place]):
                yield begin, place, script
                begin = place
            script = own
    yield begin, end, script
