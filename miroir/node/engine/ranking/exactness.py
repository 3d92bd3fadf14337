"""The rule ``exactness``: attributes that are the query, then unchanged words.

What always holds: both steps are shown as one detail. Source: ``ranking.md`` section 4.7. Who calls it: matching.
"""

from collections.abc import Iterator, Sequence

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import WORD_COUNT
from miroir.node.engine.ranking.bucket_sort import Bucket, Rank
from miroir.node.engine.ranking.context import Context
from miroir.node.engine.ranking.costs import Paths, Placed, place_by_cost, spread
from miroir.node.engine.ranking.graph import Step
from miroir.node.engine.ranking.places import position_bucket, positions_in
from miroir.node.engine.ranking.terms import EXACT, PHRASE, PREFIX, Term

_RANK_MAX = 3


class ExactAttributeRule:
    """Attributes that are the query, or begin with it, first."""

    def __init__(self, context: Context, fields: frozenset[int] | None) -> None:
        self._context = context
        self._fields = fields

    def buckets(self, universe: int, state: Paths) -> Iterator[Bucket]:
        """Yield exact matches, matches at the start, and the rest."""
        exact, starts = self._match(universe, state)
        for numbers, rank, name in ((exact, 3, "exactMatch"), (starts & ~exact, 2, "matchesStart")):
            if numbers:
                detail = {"matchType": name, "score": 1.0 if rank == _RANK_MAX else 2 / 3}
                yield Bucket(numbers, state, (Rank(rank, _RANK_MAX),), (("exactness", detail),))
        rest = universe & ~exact & ~starts
        if rest:
            yield Bucket(rest, state, (Rank(1, _RANK_MAX),), (("exactness", {"matchType": "noExactMatch"}),))

    def _match(self, universe: int, state: Paths) -> tuple[int, int]:
        terms = _exact_terms(state)
        if terms is None:
            return 0, 0
        numbers = universe
        for term in terms:
            numbers &= self._at_place(term, numbers)
            if not numbers:
                return 0, 0
        return self._in_common_field(terms, numbers)

    def _at_place(self, term: Term, universe: int) -> int:
        found = universe
        words = term.phrase or (term.word,)
        if term.phrase:
            found &= self._context.phrase(term.phrase)
        for offset, word in enumerate(words):
            if word is None:
                continue
            wanted = positions_in(position_bucket(term.start + offset))
            first, last = wanted[0], wanted[-1]
            places = self._context.places([word], found)
            found &= bitmaps.from_numbers([place >> 32 for place in places if first <= place & 0xFFFF <= last])
        return found

    def _in_common_field(self, terms: Sequence[Term], universe: int) -> tuple[int, int]:
        common: set[int] | None = None
        covered = 0
        for term in terms:
            words = term.phrase or (term.word,)
            covered += len(words)
            for word in words:
                if word is None:
                    continue
                own = {place >> 16 for place in self._context.places([word], universe)}
                common = own if common is None else common & own
        found = common or set()
        if self._fields is not None:
            found = {place for place in found if place & 0xFFFF in self._fields}
        starts = bitmaps.from_numbers({place >> 16 for place in found})
        names = {number: name for name, number in self._context.reader.field_numbers.items()}
        exact = 0
        for field in {place & 0xFFFF for place in found}:
            counted = self._context.reader.facet(names[field], WORD_COUNT, float(covered))
            exact |= counted & bitmaps.from_numbers({place >> 16 for place in found if place & 0xFFFF == field})
        return exact, starts


def _exact_terms(state: Paths) -> list[Term] | None:
    """Return the exact terms by id, without a hole; None where there is one."""
    by_id: dict[int, Term] = {}
    for path in state:
        for term, parts in path:
            if term.phrase or (not term.is_ngram and EXACT in parts and term.exact_words):
                by_id[term.first] = term
    if not by_id or sorted(by_id) != list(range(len(by_id))):
        return None
    return [by_id[place] for place in sorted(by_id)]


class ExactnessRule:
    """More unchanged words first."""

    def buckets(self, universe: int, state: Paths) -> Iterator[Bucket]:
        """Yield buckets by the number of changed words."""
        maximum = max((sum(step.term.size for step in path) for path in state), default=0)
        placed: list[Placed] = []
        for path in state:
            spread(path, universe, _exactness_options, placed)
        for cost, numbers, paths in place_by_cost(placed, universe):
            matching = maximum - cost
            detail = {"matchingWords": matching, "maxMatchingWords": maximum}
            yield Bucket(numbers, paths, (Rank(matching + 1, maximum + 1),), (("exactness", detail),))


def _exactness_options(step: Step) -> Iterator[tuple[int, Step, Step]]:
    term = step.term
    if not term.is_ngram:
        exact = step.parts & {EXACT, PHRASE}
        if exact and term.documents(exact):
            # The real node knows a popular prefix by the word that it is, and so cannot tell the two apart.
            kept = exact | (step.parts & {PREFIX}) if term.is_popular_prefix else exact
            yield 0, Step(term, exact), Step(term, kept)
    yield term.size, step, step
