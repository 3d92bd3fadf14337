"""The query graph: terms and n-grams, the paths through them, which words may fall.

What always holds: a path covers the kept query terms once each, in order; paths come out in the order the real node
would try them. Source: ``ranking.md`` sections 2.6, 3 and 4.1. Who calls it: matching, rules.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from miroir.node.engine.ranking.context import Context
from miroir.node.engine.ranking.query import QueryTerm
from miroir.node.engine.ranking.terms import ALL_PARTS, Term

NGRAM_MAX = 3


class Step(NamedTuple):
    """A term on a path, narrowed to some of its parts."""

    term: Term
    parts: frozenset[str]

    def documents(self) -> int:
        """Return the documents that satisfy the step."""
        return self.term.documents(self.parts)


Path = tuple[Step, ...]


class Graph:
    """All terms of a query."""

    def __init__(self, context: Context, terms: Sequence[QueryTerm]) -> None:
        self.size = len(terms)
        self.phrase_ids = frozenset(place for place, term in enumerate(terms) if term.is_phrase)
        self.phrase_words = sum(word is not None for term in terms if term.is_phrase for word in term.words)
        self._starting: list[list[Term]] = [[] for _ in terms]
        for last in range(len(terms)):
            for term in _ending_at(last, terms, context):
                self._starting[term.first].append(term)

    def all_terms(self) -> Iterator[Term]:
        """Yield every term and n-gram."""
        for terms in self._starting:
            yield from terms

    def paths(self, kept: frozenset[int]) -> Iterator[Path]:
        """Yield the paths that cover exactly the ids in ``kept``."""
        yield from self._paths(0, kept, ())

    def _paths(self, place: int, kept: frozenset[int], done: Path) -> Iterator[Path]:
        while place < self.size and place not in kept:
            place += 1
        if place >= self.size:
            yield done
            return
        for term in self._starting[place]:
            if all(covered in kept for covered in range(term.first, term.last + 1)):
                yield from self._paths(term.last + 1, kept, (*done, Step(term, ALL_PARTS)))

    def universe(self, mandatory: frozenset[int], universe: int) -> int:
        """Return the documents that satisfy the graph when all but ``mandatory`` ids may fall."""
        known: dict[int, int] = {self.size: universe}
        for place in range(self.size - 1, -1, -1):
            found = 0 if place in mandatory else known[place + 1]
            if found != universe:
                for term in self._starting[place]:
                    rest = known[term.last + 1]
                    if rest:
                        found |= term.documents(ALL_PARTS) & rest
            known[place] = found
        return known[0]

    def frequency(self, place: int) -> int:
        """Return how many documents of the whole index hold any term that covers an id."""
        found = 0
        for term in self.all_terms():
            if term.first <= place <= term.last:
                found |= term.documents(ALL_PARTS)
        return found.bit_count()


def _ending_at(last: int, terms: Sequence[QueryTerm], context: Context) -> Iterator[Term]:
    for size in range(1, NGRAM_MAX + 1):
        first = last - size + 1
        if first < 0:
            return
        members = terms[first : last + 1]
        if size > 1 and not _can_glue(members):
            return
        words = tuple(term.words[0] or "" for term in members)
        own = members[0]
        yield Term(
            context,
            first=first,
            last=last,
            start=own.start,
            end=members[-1].end,
            word="" if own.is_phrase else "".join(words),
            originals=words,
            phrase=own.words if own.is_phrase else (),
            is_prefix=members[-1].is_prefix,
        )


def _can_glue(members: Sequence[QueryTerm]) -> bool:
    if any(term.is_phrase for term in members):
        return False
    return all(right.start == left.end + 1 for left, right in itertools.pairwise(members))


def removal_order(graph: Graph, strategy: str) -> list[frozenset[int]]:
    """Return the ids that fall, group by group."""
    ids = [place for place in range(graph.size) if place not in graph.phrase_ids]
    if strategy == "all" or not ids:
        return []
    if strategy == "frequency":
        everything = float("inf")
        counts = {place: graph.frequency(place) or everything for place in ids}
        groups = [
            frozenset(p for p in ids if counts[p] == count) for count in sorted(set(counts.values()), reverse=True)
        ]
    else:
        groups = [frozenset((place,)) for place in reversed(ids)]
    if not graph.phrase_ids:
        groups.pop()
    return groups


def kept_by_cost(size: int, groups: Sequence[frozenset[int]]) -> list[list[frozenset[int]]]:
    """Return, by the number of fallen words, the sets of ids that stay, in the order the real node would try them.

    When a word falls, so must all words behind it that fall earlier; words before it may stay whatever their turn, for
    the real node walks the graph from left to right and forbids only what it has not yet passed.
    """
    turn = {place: number for number, group in enumerate(groups) for place in group}
    by_cost: list[list[frozenset[int]]] = [[] for _ in range(len(turn) + 1)]
    stack: list[tuple[int, frozenset[int], int]] = [(0, frozenset(), 0)]
    while stack:
        place, kept, latest = stack.pop()
        if place == size:
            by_cost[size - len(kept)].append(kept)
            continue
        own = turn.get(place)
        # ``latest`` is the last turn among the words already fallen: a word with an earlier turn cannot stay.
        if own is None or own >= latest:
            stack.append((place + 1, kept | {place}, latest))
        if own is not None:
            stack.append((place + 1, kept, max(latest, own)))
    return by_cost
