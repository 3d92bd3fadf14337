"""The rules ``words`` and ``typo``.

What always holds: words hands on whole terms, typo narrows each to the typos used. Source: ``ranking.md`` sections 4.2
and 4.3. Who calls it: matching.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from miroir.node.engine.ranking.bucket_sort import Bucket, Rank
from miroir.node.engine.ranking.costs import Paths, Placed, place_by_cost, spread
from miroir.node.engine.ranking.graph import Graph, Path, Step, kept_by_cost
from miroir.node.engine.ranking.terms import EXACT, ONE, PHRASE, PREFIX, SPLIT, SYNONYM, TWO, Term


class WordsRule:
    """More query words first."""

    def __init__(self, graph: Graph, groups: Sequence[frozenset[int]]) -> None:
        self._graph = graph
        self._groups = groups

    def buckets(self, universe: int, state: Any) -> Iterator[Bucket]:
        """Yield buckets by the number of words that fell."""
        del state
        by_cost = kept_by_cost(self._graph.size, self._groups)
        maximum = len(by_cost) + max(self._graph.phrase_words - 1, 0)
        remaining = universe
        for fallen, kept_sets in enumerate(by_cost):
            paths = (path for kept in kept_sets for path in self._graph.paths(kept))
            found, good = _place_paths(paths, remaining)
            if found:
                remaining &= ~found
                matching = maximum - fallen
                detail = {"matchingWords": matching, "maxMatchingWords": maximum, "score": matching / maximum}
                yield Bucket(found, good, (Rank(matching, maximum),), (("words", detail),))
            if not remaining:
                return


def _place_paths(paths: Iterable[Path], universe: int) -> tuple[int, Paths]:
    found = 0
    good = []
    for path in paths:
        own = universe & ~found
        for step in path:
            own &= step.documents()
            if not own:
                break
        if own:
            found |= own
            good.append(path)
        if found == universe:
            break
    return found, tuple(good)


class TypoRule:
    """Fewer typos first."""

    def buckets(self, universe: int, state: Paths) -> Iterator[Bucket]:
        """Yield buckets by the number of typos."""
        maximum = max((sum(_typo_max(step) for step in path) for path in state), default=0)
        placed: list[Placed] = []
        for path in state:
            spread(path, universe, _typo_options, placed)
        for cost, numbers, paths in place_by_cost(placed, universe):
            score = (maximum + 1 - cost) / (maximum + 1)
            detail = {"typoCount": cost, "maxTypoCount": maximum, "score": score}
            yield Bucket(numbers, paths, (Rank(maximum + 1 - cost, maximum + 1),), (("typo", detail),))


def _typo_base(term: Term) -> int:
    return term.size if term.is_ngram else 0


def _typo_max(step: Step) -> int:
    """Return the most a step may cost: what an earlier rule narrowed away no longer counts."""
    term = step.term
    if term.phrase:
        return 0
    if term.budget == 0:
        # Every word might be split, also where no halves stand side by side.
        return _typo_base(term) + 1
    if term.budget > 1 and TWO in step.parts:
        return _typo_base(term) + 2
    return _typo_base(term) + (1 if step.parts & {ONE, SPLIT} else 0)


_TYPO_PARTS = ((0, frozenset((EXACT, PREFIX))), (1, frozenset((ONE, SPLIT))), (2, frozenset((TWO,))))
_ALWAYS = frozenset((SYNONYM, PHRASE))


def _typo_options(step: Step) -> Iterator[tuple[int, Step, Step]]:
    base = _typo_base(step.term)
    if step.term.phrase:
        yield 0, step, step
        return
    for typos, own in _TYPO_PARTS:
        if typos > max(step.term.budget, 1):
            return
        parts = step.parts & own
        # Synonyms count as no typo, yet stay in every narrowed term.
        counted = parts | (step.parts & _ALWAYS) if typos == 0 else parts
        if counted and step.term.documents(counted):
            narrowed = Step(step.term, parts | (step.parts & _ALWAYS))
            yield base + typos, narrowed, narrowed
