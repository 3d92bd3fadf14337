"""A federated search over shards: several searches, over one or more indexes, as one list.

Each node is asked, for every index, one federated search of its own over its shards: so a document that several queries
find shows once, and totals and facets add up, since every document is counted by one node. The lists of all nodes then
become one:

======================================  ================================================================================
two hits of the same query              rule by rule, as in a plain search (``query/ranking.py``)
of different queries                    as Meilisearch's federation: scores of consecutive rules folded into one and
                                        weighted, sort values by themselves; equal ones by the queries' order
hits of one index, all queries          ``maxTotalHits`` of that index at most, as one node gives it; totals count all
======================================  ================================================================================

What always holds: one node's order is never changed. Who calls it: the multi-search route. It must not know: HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Any, NamedTuple

from query.distinct import DistinctValues
from query.facets import merge_facets
from query.federated_facets import add_facets
from query.hybrid import weights
from query.identity import identity_key
from query.multi_search import FEDERATED_HITS_MAX, Federation, Query
from query.ranking import RankingKeys
from query.rewrite import distinct_attribute, facet_patterns, rewrite
from query.rounds import LONGER_FACTOR, LONGER_MAX, PLAIN_HITS_MIN, Ask, Purpose, Round
from query.routing import Part
from query.rules import IndexRules
from query.search import LIMIT_DEFAULT, SearchKind
from query.strip import strip_hit, view_of
from query.weighted_scores import Item, compare_scores, compare_weighted, weighted_items
from schemas.errors import InvalidSearchError
from streams.marker import MARKER_FIELD

Hit = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FederatedCase:
    """What is the same in all rounds of one index's part of a federated search.

    Attributes:
        queries: those of the index, by position.
        node_index: the index's name on nodes.
    """

    federation: Federation
    queries: tuple[Query, ...]
    rules: IndexRules
    shards: int
    node_index: str
    reach: "Reach | None" = None
    """How far the nodes' lists are asked for; None is up to the window's end."""


class Reach(NamedTuple):
    """How far nodes' lists are asked for.

    Attributes:
        length: most hits of one list; ``maxTotalHits`` may let a node give fewer.
        plain: whether duplicates of the queries' own ``distinct`` are left in them.
        last: whether nothing better can be asked for.
    """

    length: int
    plain: bool = False
    last: bool = False


class IndexAnswers(NamedTuple):
    """What the nodes answered for one index."""

    case: FederatedCase
    answers: tuple[Mapping[str, Any], ...]


def check_window(federation: Federation, indexes: Sequence[IndexRules]) -> None:
    """Refuse a window beyond what is merged of a federated list, where the indexes would give more.

    Raises:
        InvalidSearchError: its hits would not all be there, in silence.
    """
    window, most = federation.window(), sum(rules.hits_max for rules in indexes)
    if not window.limit or min(window.offset + window.limit, most) <= FEDERATED_HITS_MAX:
        return
    message = (
        f"A federated list has at most {FEDERATED_HITS_MAX} hits: its page ends at {window.offset + window.limit}, and"
        f" the `pagination.maxTotalHits` of its indexes, {most} in all, would let it."
    )
    raise InvalidSearchError("invalid_search_limit", message)


def federated_body(case: FederatedCase, _ask: Ask, part: Part) -> dict[str, Any]:
    """Return the body of the multi-search that a part's node is asked."""
    length = _length(case)
    paging = {"page": 1, "hitsPerPage": length} if case.federation.is_paged else {"offset": 0, "limit": length}
    federation: dict[str, Any] = dict(paging)
    if case.federation.distinct is not None and not _is_plain(case):
        federation["distinct"] = case.federation.distinct
    facets = case.federation.facets.get(case.rules.index)
    if facets is not None:
        federation["facetsByIndex"] = {case.node_index: facet_patterns(facets, case.rules)}
    return {"federation": federation, "queries": [_query_body(case, query, part) for query in case.queries]}


def decide_federated(case: FederatedCase, _route: Sequence[Part], rounds: Sequence[Round]) -> Ask | IndexAnswers:
    """Return the one question, then what was answered."""
    if not rounds:
        return Ask(Purpose.HEADS)
    return IndexAnswers(case, tuple(answer for _, answer in rounds[-1].answers))


def further_reach(federation: Federation, indexes: Sequence[IndexAnswers]) -> Reach | None:
    """Return how far nodes are to be asked once more: ``distinct`` has left the window wanting; None where it has not.

    As in a plain search (``query/rounds.py``): longer lists where one ended although its node has more, and all the
    duplicates where a hit that was refused may have hidden others on its own node. No node gives more of an index than
    its ``maxTotalHits``: where duplicates fill that, nodes are asked once more to leave them out.
    """
    attributes = (
        distinct_attribute(query.search, found.case.rules) for found in indexes for query in found.case.queries
    )
    if not any(attributes):
        return None
    end = _end(federation)
    reached, plain, last = indexes[0].case.reach or Reach(end)
    if last or (reached >= FEDERATED_HITS_MAX and not plain):
        return None
    merged = _merge(federation, indexes)
    if merged.orphaned and not plain and not any(found.case.rules.distinct for found in indexes):
        return Reach(min(max(end * LONGER_FACTOR, PLAIN_HITS_MIN), FEDERATED_HITS_MAX), plain=True)
    if not merged.short:
        return None
    spent = [_length(case) >= min(case.rules.hits_max, FEDERATED_HITS_MAX) for case in merged.short]
    if plain and any(spent):
        # More duplicates than a node gives hits: then the lists that nodes made are the better ones.
        return Reach(reached, last=True)
    if all(spent):
        return None
    farthest = reached >= end * LONGER_FACTOR ** (LONGER_MAX - 1)
    return Reach(FEDERATED_HITS_MAX if farthest else min(reached * LONGER_FACTOR, FEDERATED_HITS_MAX), plain)


def merge_federated(federation: Federation, indexes: Sequence[IndexAnswers]) -> dict[str, Any]:
    """Return the answer of the whole federated search, without time and id."""
    merged = _merge(federation, indexes)
    total = sum(_total(answer) for found in indexes for answer in found.answers) - merged.duplicates
    page = merged.hits[federation.window().offset :]
    body: dict[str, Any] = {"hits": [_shown(hit) for hit in page], "processingTimeMs": 0}
    body |= _paging(federation, max(total, 0))
    if any(query.search.kind is not SearchKind.WORDS for found in indexes for query in found.case.queries):
        body["semanticHitCount"] = sum(_is_similar(hit) for hit in page)
    facets, inexact = _facets(federation, indexes)
    told: dict[str, Any] = {"inexactFacets": inexact} if inexact else {}
    if federation.is_paged and any(_counts_values_apart(found) for found in indexes):
        told["inexactTotal"] = True
    return body | facets | ({"_miroir": told} if told else {})


def _counts_values_apart(found: IndexAnswers) -> bool:
    """Return whether nodes keep a document of each value of ``distinct`` each for itself."""
    attributes = (distinct_attribute(query.search, found.case.rules) for query in found.case.queries)
    return len(found.answers) > 1 and any(attributes)


def _end(federation: Federation) -> int:
    window = federation.window()
    return min(window.offset + window.limit, FEDERATED_HITS_MAX)


def _length(case: FederatedCase) -> int:
    """Return how many hits of the index a node is asked for: no more than it would give."""
    length = _end(case.federation) if case.reach is None else case.reach.length
    return min(length, case.rules.hits_max)


def _is_plain(case: FederatedCase) -> bool:
    return case.reach is not None and case.reach.plain


def _query_body(case: FederatedCase, query: Query, part: Part) -> dict[str, Any]:
    shards = None if len(part.shards) == case.shards else part.shards
    body = rewrite(query.search, rules=case.rules, shards=shards).body
    own = () if case.federation.distinct is None and not _is_plain(case) else ("distinct",)
    for name in ("offset", "limit", "page", "hitsPerPage", "facets", *own):
        body.pop(name, None)
    if "*" not in body["attributesToRetrieve"]:
        needed = (case.rules.primary_key, distinct_attribute(query.search, case.rules))
        more = (name for name in needed if name is not None)
        body["attributesToRetrieve"] = list(dict.fromkeys((*body["attributesToRetrieve"], *more)))
    body |= {"showRankingScore": True, "showRankingScoreDetails": True}
    return {"indexUid": case.node_index, **body, "federationOptions": {"weight": query.weight}}


class _Candidate(NamedTuple):
    """A hit and what it is compared by."""

    hit: Hit
    case: FederatedCase
    query: Query
    score: float


def _candidate(case: FederatedCase, hit: Hit) -> _Candidate:
    query = case.queries[hit["_federation"]["queriesPosition"]]
    return _Candidate(hit, case, query, hit["_rankingScore"] * query.weight)


class _Merged(NamedTuple):
    """The first hits of all lists.

    Attributes:
        hits: up to the window's end.
        duplicates: how many were left out as duplicates of another node's.
        short: of which indexes a list ended before the window did although its node has more; one may be named twice.
        orphaned: whether nodes may have left out hits that are no duplicates in the whole (``query.distinct``).
    """

    hits: Sequence[_Candidate]
    duplicates: int
    short: Sequence[FederatedCase]
    orphaned: bool


def _merge(federation: Federation, indexes: Sequence[IndexAnswers]) -> _Merged:
    lists = [[_candidate(found.case, hit) for hit in answer["hits"]] for found in indexes for answer in found.answers]
    own_lists = [_OwnList(found.case) for found in indexes]
    owners = [own for own, found in zip(own_lists, indexes, strict=True) for _ in found.answers]
    order, end = cmp_to_key(_Comparison()), _end(federation)
    heads = {source: 0 for source, found in enumerate(lists) if found}
    shown = None if federation.distinct is None else DistinctValues(federation.distinct)
    merged: list[_Candidate] = []
    short: list[FederatedCase] = []
    duplicates = 0
    while heads and len(merged) < end:
        source = min(heads, key=lambda number: order(lists[number][heads[number]]))
        candidate, own = lists[source][heads[source]], owners[source]
        if own.takes(candidate) and (shown is None or shown.add(candidate.hit)):
            merged.append(candidate)
        else:
            duplicates += 1
        heads[source] += 1
        if own.is_full:
            heads = {other: place for other, place in heads.items() if owners[other] is not own}
        elif heads[source] == len(lists[source]):
            del heads[source]
            if len(lists[source]) >= _length(own.case) and len(merged) < end:
                short.append(own.case)
    return _Merged(merged, duplicates, short, any(own.orphaned for own in own_lists))


class _OwnList:
    """How much the merged list has taken of one index's list.

    Meilisearch 1.50 (``SearchByIndex::execute``) makes a list of each index first, of all its queries together: without
    duplicates within the index, and no longer than the window's end and ``maxTotalHits``. Only then it merges these
    lists. So a hit counts here also where the merged list refuses it, as another index has shown its value.
    """

    __slots__ = ("_left", "_seen", "case")

    def __init__(self, case: FederatedCase) -> None:
        self.case = case
        self._left = min(_end(case.federation), case.rules.hits_max)
        self._seen: dict[int | None, DistinctValues] = {}

    @property
    def is_full(self) -> bool:
        """Whether the list ends here; nodes may have more."""
        return not self._left

    @property
    def orphaned(self) -> bool:
        """Whether a refused hit may have hidden others on its own node."""
        return any(values.orphaned for values in self._seen.values())

    def takes(self, candidate: _Candidate) -> bool:
        """Return whether the next hit in order belongs to the list: no duplicate of one before."""
        attribute = distinct_attribute(candidate.query.search, self.case.rules)
        if attribute is not None:
            position = candidate.query.position if self.case.federation.distinct is None else None
            if not self._seen.setdefault(position, DistinctValues(attribute)).add(candidate.hit):
                return False
        self._left -= 1
        return True


class _Comparison:
    """Says which of two hits of different nodes comes first; negative is the left one."""

    def __init__(self) -> None:
        self._keys: dict[int, RankingKeys] = {}

    def __call__(self, left: _Candidate, right: _Candidate) -> int:
        if left.query.position != right.query.position:
            found = compare_weighted(_weighted(left), _weighted(right))
            if found is None:
                found = compare_scores(left.score, right.score)
            return found or left.query.position - right.query.position
        keys = self._keys.setdefault(left.query.position, RankingKeys())
        mine, other = (_identity(each) for each in (left, right))
        if left.query.search.kind is SearchKind.BOTH:
            found = compare_weighted(_by_both(left), _by_both(right))
            return found or (mine > other) - (mine < other)
        ranks = [keys.key_of(each.hit["_rankingScoreDetails"]) for each in (left, right)]
        return ((ranks[0], mine) > (ranks[1], other)) - ((ranks[0], mine) < (ranks[1], other))


def _weighted(candidate: _Candidate) -> Sequence[Item]:
    return weighted_items(candidate.hit, candidate.query.weight)


def _by_both(candidate: _Candidate) -> Sequence[Item]:
    """Return what a hit is compared by with others of its own query, which asks for words and similarity."""
    words, similarity = weights(candidate.query.search)
    return weighted_items(candidate.hit, similarity if _is_similar(candidate) else words)


def _is_similar(candidate: _Candidate) -> bool:
    """Return whether a hit is there for its similarity."""
    return "vectorSort" in candidate.hit["_rankingScoreDetails"]


def _identity(candidate: _Candidate) -> tuple[bool, Any]:
    return identity_key(candidate.hit, candidate.case.rules.primary_key or "")


def _shown(candidate: _Candidate) -> dict[str, Any]:
    """Return the hit as its user sees it."""
    case, query = candidate.case, candidate.query
    federation = {
        "indexUid": case.rules.index,
        "queriesPosition": query.position,
        "weightedRankingScore": candidate.score,
    }
    hit = {**candidate.hit, "_federation": federation}
    return strip_hit(hit, view_of(query.search, case.rules))


def _total(answer: Mapping[str, Any]) -> int:
    total: int = answer["totalHits"] if "totalHits" in answer else answer["estimatedTotalHits"]
    return total


def _paging(federation: Federation, total: int) -> dict[str, int]:
    if not federation.is_paged:
        return {"limit": federation.limit, "offset": federation.offset, "estimatedTotalHits": total}
    size = LIMIT_DEFAULT if federation.hits_per_page is None else federation.hits_per_page
    page = 1 if federation.page is None else federation.page
    pages = -(-total // size) if size else 0
    return {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": total}


def _facets(federation: Federation, indexes: Sequence[IndexAnswers]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the facets as they stand in the answer, and by index the names of those that are not exact."""
    by_index: dict[str, dict[str, Any]] = {}
    inexact: dict[str, list[str]] = {}
    orders: dict[str, str] = {}
    for found in sorted(indexes, key=lambda found: found.case.rules.index):
        case, answers, rules = found.case, found.answers, found.case.rules
        if federation.facets.get(rules.index) is None:
            continue
        parts = [_without_marker(answer.get("facetsByIndex", {}).get(case.node_index) or {}) for answer in answers]
        merged = merge_facets(
            [part["distribution"] for part in parts],
            [part["stats"] for part in parts],
            rules=replace(rules, distinct=None),
            candidates=sum(map(_total, answers)),
        )
        by_index[rules.index] = {"distribution": merged.distribution, "stats": merged.stats}
        if names := merged.distribution if _counts_values_apart(found) else merged.inexact:
            inexact[rules.index] = list(names)
        for name in merged.distribution:
            orders.setdefault(name, rules.facet_order(name))
    if not by_index:
        return {}, {}
    if federation.merges_facets:
        return add_facets(by_index, orders, federation.values_max), inexact
    return {"facetsByIndex": by_index}, inexact


def _without_marker(part: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        kind: {name: found for name, found in part.get(kind, {}).items() if name != MARKER_FIELD}
        for kind in ("distribution", "stats")
    }
