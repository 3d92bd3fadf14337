"""The rule ``exactness``: attributes that are the query, then unchanged words.

What always holds: both steps are shown as one detail. Source: ``ranking.md`` section 4.7. Who calls it: matching.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import WORD_COUNT
from miroir.node.engine.ranking.bucket_sort import Bucket, Rank
from miroir.node.engine.ranking.context import Context, numbers_of, positions_of
from miroir.node.engine.ranking.costs import Paths, Placed, place_by_cost, spread
from miroir.node.engine.ranking.graph import Step
from miroir.node.engine.ranking.places import position_bucket, positions_in
from miroir.node.engine.ranking.terms import EXACT, PHRASE, PREFIX, Term

_RANK_MAX = 3
_FIELD_SHIFT = 16
_FIELD_MASK = 0xFFFF


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
        held: list[array[int]] = []
        covered = 0
        for term in terms:
            words = term.phrase or (term.word,)
            if term.phrase:
                numbers &= self._context.phrase(term.phrase)
            for offset, word in enumerate(words):
                if word is not None:
                    places = self._context.places([word], numbers)
                    held.append(places)
                    numbers &= _standing_in(places, positions_in(position_bucket(term.start + offset)))
            if not numbers:
                return 0, 0
            covered += len(words)
        return self._in_common_field([self._context.restrict(places, numbers) for places in held], covered)

    def _in_common_field(self, held: Sequence["array[int]"], covered: int) -> tuple[int, int]:
        """Return where one field holds all words and no more of them, and where it holds all.

        Args:
            held: the occurrences of each word.
            covered: places in the query that the words cover.
        """
        common = {place >> _FIELD_SHIFT for place in held[0]}
        for places in held[1:]:
            common &= {place >> _FIELD_SHIFT for place in places}
        by_field: defaultdict[int, list[int]] = defaultdict(list)
        for place in common:
            by_field[place & _FIELD_MASK].append(place >> _FIELD_SHIFT)
        names = {number: name for name, number in self._context.reader.field_numbers.items()}
        exact = starts = 0
        for field, numbers in by_field.items():
            if self._fields is None or field in self._fields:
                found = bitmaps.from_numbers(numbers)
                starts |= found
                exact |= found & self._context.reader.facet(names[field], WORD_COUNT, float(covered))
        return exact, starts


def _standing_in(places: "array[int]", wanted: range) -> int:
    first, last = wanted[0], wanted[-1]
    both = zip(numbers_of(places), positions_of(places), strict=True)
    return bitmaps.from_numbers([number for number, position in both if first <= position <= last])


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
