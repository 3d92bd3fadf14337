"""Words and similarity in one search: both lists merged over the nodes, then into one as a single node merges its own.

A node that is asked for both decides alone whether words were good enough to leave similarity out, and which of its
hits come from where; lists of several such nodes would not make one node's. So words are asked first, then, unless
every hit is good enough, similarity; each is a search like any other (``query/rounds.py``). A node that holds the whole
index is asked the user's own question.

What always holds: a hit shows once, at the better of its two places; totals and facets are those of similarity, which
finds every document, unless words were good enough. Who calls it: the search path. It must not know: how nodes are
asked.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from query.distinct import DistinctValues
from query.identity import identity_of
from query.merge import MergedAnswer, paging, total_of
from query.rewrite import distinct_attribute, shown_attributes
from query.rounds import Ask, Purpose, Round, SearchCase, body_of, decide_round
from query.routing import Part
from query.search import SearchKind, SearchRequest
from query.strip import strip_hit, view_of
from query.weighted_scores import Hit, Item, compare_weighted, weighted_items

GOOD_ENOUGH_SCORE = 0.45
"""Meilisearch leaves similarity out where every hit's words score, times their share, at least this."""


@dataclass(frozen=True, slots=True)
class HybridCase:
    """One search by both, as its user wrote it, and the two that it is made of."""

    both: SearchCase
    words: SearchCase
    similar: SearchCase


def hybrid_case(case: SearchCase) -> HybridCase:
    """Return the searches that one by words and similarity is made of."""
    assert case.search.hybrid is not None, "only such a search compares by both"
    whole = case.search.hybrid._replace(ratio=1.0)
    words = replace(_unstripped(case), hybrid=None, vector=None)
    rules = case.rules.opened()
    similar = replace(_unstripped(case), hybrid=whole)
    return HybridCase(case, SearchCase(words, rules, case.shards), SearchCase(similar, rules, case.shards))


def decide_hybrid(case: HybridCase, route: Sequence[Part], rounds: Sequence[Round]) -> Ask | MergedAnswer:
    """Return what to ask next, or the answer; see ``query.rounds.decide_round``."""
    if any(len(part.shards) == case.both.shards for part in route):
        if not rounds:
            return Ask(Purpose.HEADS, kind=SearchKind.BOTH)
        if any(len(part.shards) == case.both.shards for part, _ in rounds[0].answers):
            return decide_round(case.both, route, rounds[:1])
        # Several nodes have answered instead of the one: what they say of both is of no use.
        rounds = rounds[1:]
    for number in range(len(rounds) + 1):
        words = decide_round(case.words, route, rounds[:number])
        if isinstance(words, MergedAnswer):
            break
    if isinstance(words, Ask):
        return replace(words, kind=SearchKind.WORDS)
    if not route or case.both.search.vector is None or _is_good_enough(case, words):
        return _shown(case, words.body["hits"], words, similar=0)
    similar = decide_round(case.similar, route, rounds[number:])
    if isinstance(similar, Ask):
        return replace(similar, kind=SearchKind.SIMILARITY)
    return _fused(case, words, similar)


def hybrid_body(case: HybridCase, ask: Ask, part: Part) -> dict[str, Any]:
    """Return the body of the search that a part's node is asked."""
    match ask.kind:
        case SearchKind.SIMILARITY:
            return body_of(case.similar, ask, part)
        case SearchKind.WORDS:
            return body_of(case.words, ask, part)
        case _:
            return body_of(case.both, ask, part)


def weights(search: SearchRequest) -> tuple[float, float]:
    """Return what scores of words and of similarity are multiplied with, as a node reckons: in single precision."""
    ratio = _single(search.hybrid.ratio if search.hybrid is not None else 0.0)
    return _single(1.0 - ratio), ratio


def unstripped(search: SearchRequest, *attributes: str | None) -> SearchRequest:
    """Return the search with what a second merge needs: scores, their details, and some attributes."""
    retrieved = search.attributes_to_retrieve
    if retrieved is not None and "*" not in retrieved:
        retrieved = tuple(dict.fromkeys((*retrieved, *(name for name in attributes if name is not None))))
    return replace(search, attributes_to_retrieve=retrieved, show_ranking_score=True, show_ranking_score_details=True)


def _unstripped(case: SearchCase) -> SearchRequest:
    """Return the search for everything up to the window's end, whole."""
    search, rules = case.search, case.rules
    window = search.window(rules.hits_max)
    end = window.offset + window.limit
    shown = replace(search, attributes_to_retrieve=shown_attributes(search, rules))
    found = unstripped(shown, rules.primary_key, distinct_attribute(search, rules))
    if search.is_paged:
        return replace(found, page=1, hits_per_page=end)
    return replace(found, offset=0, limit=end)


def _is_good_enough(case: HybridCase, words: MergedAnswer) -> bool:
    window = case.both.search.window(case.both.rules.hits_max)
    share, _ = weights(case.both.search)
    hits = words.body["hits"]
    enough = len(hits) >= window.offset + window.limit
    return enough and all(hit["_rankingScore"] * share >= GOOD_ENOUGH_SCORE for hit in hits)


def _fused(case: HybridCase, words: MergedAnswer, similar: MergedAnswer) -> MergedAnswer:
    search, rules = case.both.search, case.both.rules
    window = search.window(rules.hits_max)
    end = window.offset + window.limit
    by_words, by_similarity = (
        [(hit, weighted_items(hit, weight)) for hit in found.body["hits"]]
        for found, weight in zip((words, similar), weights(search), strict=True)
    )
    attribute = distinct_attribute(search, rules)
    values = None if attribute is None else DistinctValues(attribute)
    known: set[Any] = set()
    kept: list[tuple[Hit, bool]] = []
    for hit, is_similar in _merged(by_words, by_similarity):
        identity = identity_of(hit, rules.primary_key or "")
        if len(kept) >= end:
            break
        if identity in known or (values is not None and not values.add(hit)):
            continue
        known.add(identity)
        kept.append((hit, is_similar))
    page = kept[window.offset :]
    return _shown(case, [hit for hit, _ in kept], similar, similar=sum(is_similar for _, is_similar in page))


def _merged(
    words: Sequence[tuple[Hit, Sequence[Item]]], similar: Sequence[tuple[Hit, Sequence[Item]]]
) -> Sequence[tuple[Hit, bool]]:
    """Return all hits, the better one first, of equal ones the similar one; and whether each is a similar one."""
    merged: list[tuple[Hit, bool]] = []
    at = 0
    for hit, items in words:
        while at < len(similar) and (compare_weighted(similar[at][1], items) or 0) <= 0:
            merged.append((similar[at][0], True))
            at += 1
        merged.append((hit, False))
    return [*merged, *((hit, True) for hit, _ in similar[at:])]


def _shown(case: HybridCase, hits: Sequence[Hit], counted: MergedAnswer, *, similar: int) -> MergedAnswer:
    """Return the answer with the window's hits as their user sees them, and the counts of one of the searches."""
    search, rules = case.both.search, case.both.rules
    window = search.window(rules.hits_max)
    view = view_of(search, rules)
    page = [strip_hit(hit, view) for hit in hits[window.offset : window.offset + window.limit]]
    total = total_of(counted.body)
    body = {**counted.body, "hits": page, **paging(search, total), "semanticHitCount": similar}
    inexact = counted.inexact_facets
    if search.ranking_score_threshold is not None and search.facets:
        # Documents that only the other list found are not counted.
        inexact = tuple(body["facetDistribution"])
    return replace(counted, body=body, inexact_facets=inexact)


def _single(number: float) -> float:
    found: float = struct.unpack("f", struct.pack("f", number))[0]
    return found
