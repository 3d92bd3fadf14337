"""A term of the graph and what it may match: derivations by kind.

What always holds: derivations are found when first asked for; a *part* is one kind of them, and rules narrow a term to
some of its parts. Source: ``ranking.md`` sections 2.2 to 2.5. Who calls it: graph, rules, highlighting.
"""

from array import array
from collections.abc import Sequence
from functools import cached_property

from miroir.node.engine.ranking.context import Context
from miroir.node.engine.ranking.typos import TypoWords, find_typos
from miroir.node.engine.tokens import WORD

EXACT, PREFIX, SYNONYM, ONE, SPLIT, TWO, PHRASE = "exact", "prefix", "synonym", "one", "split", "two", "phrase"
"""Parts of a term."""

ALL_PARTS = frozenset((EXACT, PREFIX, SYNONYM, ONE, SPLIT, TWO, PHRASE))
WORD_PARTS = (EXACT, PREFIX, ONE, TWO)

PREFIX_WORDS_MAX = 1000
SYNONYMS_MAX = 50
SYNONYM_WORDS_MAX = 100
_WORD_BYTES_MAX = 250
_TWO = 2


class Term:
    """A word, an n-gram or a phrase of the query.

    Attributes:
        first: id of its first query term.
        last: id of its last, inclusive.
        start: place of its first word in the query.
        end: place of its last word, inclusive.
        size: query terms it covers.
        phrase: a phrase's words, empty for words.
        word: the text looked for, empty for phrases.
        originals: the words it was made of (several for an n-gram).
    """

    def __init__(
        self,
        context: Context,
        *,
        first: int,
        last: int,
        start: int,
        end: int,
        word: str,
        originals: tuple[str, ...],
        phrase: tuple[str | None, ...] = (),
        is_prefix: bool = False,
    ) -> None:
        self._context = context
        self.first = first
        self.last = last
        self.start = start
        self.end = end
        self.size = last - first + 1
        self.word = word
        self.originals = originals
        self.phrase = phrase
        self.is_prefix = is_prefix
        self.typos_computed = False
        self._parts: dict[str, int] = {}
        self._documents_of: dict[frozenset[str], int] = {}
        self._occurrences: dict[frozenset[str], array[int]] = {}

    @property
    def is_ngram(self) -> bool:
        """Tell whether it is several query words glued."""
        return self.size > 1

    @cached_property
    def budget(self) -> int:
        """Typos allowed."""
        settings = self._context.reader.settings
        if self.phrase or not settings.typos_enabled or self.word in settings.exact_query_words:
            return 0
        length = len(self.word)
        allowed = 0 if length < settings.one_typo else 1 if length < settings.two_typos else 2
        return max(allowed - (self.size - 1), 0)

    @cached_property
    def is_too_long(self) -> bool:
        """Tell whether the word is longer than any indexed one."""
        return len(self.word.encode()) > _WORD_BYTES_MAX

    @cached_property
    def exact_words(self) -> tuple[str, ...]:
        """The word itself, where documents hold it."""
        if self.phrase or self.is_too_long:
            return ()
        known = self._context.exists(self.word) if self.is_ngram else self._context.is_indexed(self.word)
        return (self.word,) if known else ()

    @cached_property
    def prefix_words(self) -> tuple[str, ...]:
        """Longer words that start with it."""
        if not self.is_prefix or not self.word or self.is_too_long:
            return ()
        if self.is_ngram:
            found: Sequence[str] = self._context.reader.words_from(self.word, exact=False)
        else:
            found = self._context.prefixed(self.word)
        if not self.is_popular_prefix:
            found = found[:PREFIX_WORDS_MAX]
        return tuple(word for word in found if word != self.word)

    @cached_property
    def is_popular_prefix(self) -> bool:
        """Tell whether it is a short prefix of many words."""
        return self.is_prefix and bool(self.word) and self._context.is_popular(self.word)

    @cached_property
    def synonyms(self) -> tuple[tuple[str, ...], ...]:
        """Synonyms as sequences of words."""
        if self.phrase:
            return ()
        settings = self._context.reader.settings
        if not settings.synonyms:
            return ()
        found: list[tuple[str, ...]] = []
        words = 0
        for value in normal_synonyms(self._context).get(self.originals, ()):
            if len(found) == SYNONYMS_MAX or words + len(value) > SYNONYM_WORDS_MAX:
                break
            found.append(value)
            words += len(value)
        return tuple(found)

    @cached_property
    def typos(self) -> TypoWords:
        """Words within the budget, less those found without typos."""
        self.typos_computed = True
        if self.phrase or self.is_too_long:
            return TypoWords((), ())
        found = find_typos(self.word, budget=self.budget, is_prefix=self.is_prefix, reader=self._context.reader)
        if not (found.one or found.two):
            return found
        known = {self.word, *self.prefix_words}
        one = tuple(word for word in found.one if word not in known)
        two = tuple(word for word in found.two if word not in known and word not in set(one))
        return TypoWords(one, two)

    @cached_property
    def split(self) -> tuple[str, str] | None:
        """The cut whose halves stand side by side in most documents."""
        if self.phrase or self.is_too_long:
            return None
        best: tuple[str, str] | None = None
        count = 0
        for cut in range(1, len(self.word)):
            left, right = self.word[:cut], self.word[cut:]
            if not (self._context.exists(left) and self._context.exists(right)):
                continue
            own = self._context.ahead(left, right, 1).bit_count()
            if own > count:
                best, count = (left, right), own
        if best is not None and self.is_ngram and best == self.originals:
            return None
        return best

    def words(self, part: str) -> Sequence[str]:
        """Return the single words of a part; single-word synonyms are words too."""
        match part:
            case "exact":
                return self.exact_words
            case "prefix":
                return self.prefix_words
            case "one":
                return self.typos.one
            case "two":
                return self.typos.two
            case "synonym":
                return [value[0] for value in self.synonyms if len(value) == 1]
            case _:
                return ()

    def phrases(self, part: str) -> Sequence[tuple[str | None, ...]]:
        """Return the sequences of words of a part."""
        match part:
            case "phrase":
                return (self.phrase,) if self.phrase else ()
            case "split":
                return () if self.split is None else (self.split,)
            case "synonym":
                return [value for value in self.synonyms if len(value) > 1]
            case _:
                return ()

    def documents(self, parts: frozenset[str]) -> int:
        """Return the documents that hold any derivation of some parts."""
        found = self._documents_of.get(parts)
        if found is None:
            found = 0
            for part in parts:
                known = self._parts.get(part)
                if known is None:
                    known = self._parts[part] = self._documents(part)
                found |= known
            self._documents_of[parts] = found
        return found

    def _documents(self, part: str) -> int:
        context = self._context
        plain = self.is_ngram or part in {ONE, TWO}
        found = 0
        if part == PREFIX and self.is_popular_prefix:
            # With those of the word itself: no rule takes one part and leaves the other.
            return context.prefix_documents(self.word, with_itself=bool(self.exact_words))
        for word in self.words(part):
            found |= context.plain_documents(word) if plain else context.documents(word)
        for phrase in self.phrases(part):
            found |= context.phrase(phrase)
        return found

    def occurrences(self, parts: frozenset[str]) -> "array[int]":
        """Return the occurrences of the single words of some parts, rising."""
        known = self._occurrences.get(parts)
        if known is None:
            known = self._occurrences[parts] = self._merge(parts)
        return known

    def occurrences_in(self, parts: frozenset[str], universe: int) -> "array[int]":
        """Return those of them that lie in the documents of ``universe``, rising."""
        if self._context.is_plain and not self.documents(parts) & ~universe:
            return self.occurrences(parts)
        return self._context.restrict(self.occurrences(parts), universe)

    def _merge(self, parts: frozenset[str]) -> "array[int]":
        as_whole = parts & {EXACT, PREFIX} if PREFIX in parts and self.is_popular_prefix else frozenset[str]()
        words = [word for part in parts - as_whole for word in self.words(part)]
        listed = self._context.merged(words) if words else array("Q")
        if not as_whole:
            return listed
        with_itself = EXACT in as_whole and bool(self.exact_words)
        prefixed = self._context.prefix_occurrences(self.word, with_itself=with_itself)
        return prefixed if not listed else array("Q", sorted((*listed, *prefixed)))

    def touching_phrases(self, parts: frozenset[str], *, last: bool) -> list[tuple[str, int]]:
        """Return the words of phrases that neighbours touch, and the documents that hold the phrases."""
        found: list[tuple[str, int]] = []
        for part in parts:
            for phrase in self.phrases(part):
                word = phrase[-1 if last else 0]
                if word is not None:
                    found.append((word, self._context.phrase(phrase)))
        return found


def normal_synonyms(context: Context) -> dict[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the settings' synonyms with keys and values cut into words."""
    key = "synonyms"
    memo = context.reader.memo
    if key not in memo:
        tokenizer = context.reader.settings.tokenizer()

        def cut(text: str) -> tuple[str, ...]:
            return tuple(token.word for token in tokenizer.tokens(text) if token.kind == WORD)

        table: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
        for name, values in context.reader.settings.synonyms.items():
            words = cut(name)
            cuts = tuple(value for value in (cut(text) for text in values) if value)
            if words:
                table[words] = table.get(words, ()) + cuts
        memo[key] = table
    found: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = memo[key]
    return found
