"""Deep pages: which few hits of each node make up a window that lies deep in the merged list.

A page at offset 980 of three nodes' lists needs the first 1,000 hits of each to be placed, and 20 of them to be shown.
So keys come first: ids and ``_rankingScore`` of each head, a tenth of a hit. The score alone does not order hits of
different nodes (its maxima are a node's own), but it says nearly where the window lies, and within one node equal
scores are ties. Then each node is asked for its part of the window and a few hits around it, whole; their score details
decide, as ever. Where a sort is in play scores say nothing, and with ``distinct`` every hit before the window counts:
then score details are the keys.

What always holds: the page is the very page that merging whole heads gives, or none is given and whole heads are asked
for. Who calls it: the rounds of a search. It must not know: nodes, HTTP.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain, groupby, takewhile
from operator import neg
from typing import Any, NamedTuple

from query.identity import identities_of
from query.merge import MergedHits, merge_hits
from query.ranking import RankingKey, RankingKeys
from query.rewrite import distinct_attribute, head_length, rewrite_keys
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchRequest, Window
from query.tie_order import Run, TieOrder
from schemas.ids import ShardId

WASTE_HITS_MIN = 600
"""Whole hits fetched for nothing from which on a second round is cheaper: they cost 4 µs each and more, the round some
milliseconds, most of them the nodes' own."""

MARGIN_HITS = 3
"""Hits asked for on either side of a node's part: scores of different nodes are wrong about one hit in a hundred."""


class KeyList(NamedTuple):
    """One node's head: hits, each with its id and its score or score details.

    Attributes:
        hits: as the node gave them.
        scores: of all hits, where they rank; else empty.
        is_whole: whether no hit behind it can be in the window; else the node may have more that are.
    """

    hits: Sequence[Mapping[str, Any]]
    scores: Sequence[float]
    is_whole: bool


KeyLists = Sequence[KeyList]


class WindowPlan(NamedTuple):
    """What the keys say of a window.

    Attributes:
        lists: the keys, one list of each node.
        windows: each node's part of the window.
        order: where hits stand that tie.
        page: the keys of the window's hits, where they decide its order; None where only whole hits do.
    """

    lists: KeyLists
    windows: Sequence[Window]
    order: TieOrder
    page: MergedHits | None = None


def is_deep(search: SearchRequest, rules: IndexRules, *, parts: int, length: int) -> bool:
    """Return whether two rounds are cheaper than one for this window over so many nodes, each asked for a head."""
    window = search.window(rules.hits_max)
    fetched = length * parts
    return parts > 1 and rules.primary_key is not None and fetched - window.limit >= WASTE_HITS_MIN


def ranks_by_score(search: SearchRequest, rules: IndexRules) -> bool:
    """Return whether a node's list is in the order of ``_rankingScore``: nothing sorts, nothing is left out."""
    sorts = bool(search.sort) or any(":" in rule for rule in rules.ranking_rules)
    return not sorts and distinct_attribute(search, rules) is None


def key_body(
    search: SearchRequest, rules: IndexRules, shards: Sequence[ShardId], *, length: int | None = None
) -> dict[str, Any]:
    """Return what a node is asked for its keys: of so many hits, or of all up to the window's end."""
    return rewrite_keys(search, rules=rules, shards=shards, details=not ranks_by_score(search, rules), length=length)


def key_lists(
    search: SearchRequest, rules: IndexRules, answers: Sequence[tuple[Part, Any]], *, length: int | None = None
) -> KeyLists:
    """Return the heads that nodes answered to ``key_body`` with this length."""
    by_score = ranks_by_score(search, rules)
    end = head_length(search, rules)
    asked = length or end
    heads = (answer["hits"] for _, answer in answers)
    return [
        KeyList(hits, [hit["_rankingScore"] for hit in hits] if by_score else (), asked >= end or len(hits) < asked)
        for hits in heads
    ]


def plan_windows(search: SearchRequest, rules: IndexRules, lists: KeyLists) -> WindowPlan | None:
    """Return each node's part of the window, or None where keys do not tell."""
    window = search.window(rules.hits_max)
    name = rules.primary_key or ""
    order = TieOrder([keys.hits for keys in lists], name)
    if ranks_by_score(search, rules):
        planned = _windows_by_score(lists, window, order)
        parts = zip(lists, planned, strict=True)
        if any(not keys.is_whole and own.offset + own.limit >= len(keys.hits) for keys, own in parts):
            return None
        return WindowPlan(lists, planned, order)
    merged = merge_hits(
        [keys.hits for keys in lists],
        window,
        primary_key=name,
        distinct=distinct_attribute(search, rules),
        asked=[len(keys.hits) + keys.is_whole for keys in lists],
    )
    if merged.short or merged.orphaned:
        return None
    found: list[list[int]] = [[] for _ in lists]
    for source, place in zip(merged.sources, merged.places, strict=True):
        found[source].append(place)
    windows = [Window(own[0], own[-1] + 1 - own[0]) if own else Window(0, 0) for own in found]
    return WindowPlan(lists, windows, order, merged)


def cut_page(
    search: SearchRequest, rules: IndexRules, plan: WindowPlan, answers: Sequence[Sequence[Mapping[str, Any]]]
) -> MergedHits | None:
    """Return the window's hits, whole, or None where keys and hits do not fit or do not decide.

    Args:
        search: the user's search.
        rules: the user's settings.
        plan: what the nodes were asked for.
        answers: the hits that each gave.
    """
    name = rules.primary_key or ""
    for keys, asked, hits in zip(plan.lists, plan.windows, answers, strict=True):
        head = keys.hits[asked.offset : asked.offset + asked.limit]
        if identities_of(hits, name) != identities_of(head, name):
            return None
    if plan.page is None:
        page = _page_by_score(plan, answers, search.window(rules.hits_max))
        return None if page is None else MergedHits(tuple(page), ())
    entries = zip(plan.page.sources, plan.page.places, strict=True)
    whole = (answers[source][place - plan.windows[source].offset] for source, place in entries)
    return replace(plan.page, hits=tuple(whole))


_Ties = Sequence[Sequence[Run]]
"""Best first: what ties, of all lists."""


def _windows_by_score(lists: KeyLists, window: Window, order: TieOrder) -> Sequence[Window]:
    """Return where the window lies in each list if scores are right, and a margin."""
    ranked = sorted(chain.from_iterable(keys.scores for keys in lists), reverse=True)
    scores = ranked[window.offset : window.offset + window.limit]
    if not scores:
        return [Window(len(keys.hits), 0) for keys in lists]
    best, worst = scores[0], scores[-1]
    places = [bisect_left(keys.scores, -best, key=neg) for keys in lists]
    ties: dict[float, list[Run]] = {}
    for source, keys in enumerate(lists):
        place, end = places[source], bisect_right(keys.scores, -worst, key=neg)
        while place < end:
            score = keys.scores[place]
            tied = bisect_right(keys.scores, -score, place, end, key=neg) - place
            ties.setdefault(score, []).append(Run(source, place, tied))
            place += tied
    first, page = _slice(order, [ties[score] for score in sorted(ties, reverse=True)], places, window)
    counts = Counter(source for source, _ in page)
    planned = []
    for source, keys in enumerate(lists):
        start = max(0, first[source] - MARGIN_HITS)
        end = min(len(keys.hits), first[source] + counts[source] + MARGIN_HITS)
        planned.append(Window(start, end - start))
    return planned


def _slice(order: TieOrder, ties: _Ties, places: list[int], window: Window) -> tuple[list[int], list[tuple[int, int]]]:
    """Return how many hits of each list come before the window, and list and place of those within it.

    Args:
        order: of hits that tie.
        ties: all hits from ``places`` on.
        places: how many hits of each list come before the ties.
        window: in ranks among all hits.
    """
    rank, end = sum(places), window.offset + window.limit
    page: list[tuple[int, int]] = []
    for tie in ties:
        size = sum(run.size for run in tie)
        if rank + size <= window.offset:
            for run in tie:
                places[run.source] += run.size
        elif rank < end:
            first = max(0, window.offset - rank)
            before, within = order.cut(tie, Window(first, min(end - rank, size) - first))
            for run, count in zip(tie, before, strict=True):
                places[run.source] += count
            page += within
        else:
            break
        rank += size
    return places, page


class _Zone(NamedTuple):
    """The stretch of one list whose ranking is known: its window, and the ties that reach beyond it.

    Attributes:
        first: place in the list of the first entry.
        end: behind the last.
        runs: ranking, place and number of hits that tie.
    """

    first: int
    end: int
    runs: Sequence[tuple[RankingKey, Run]]


def _zone(source: int, keys: KeyList, asked: Window, rankings: Sequence[RankingKey]) -> _Zone:
    if not rankings:
        return _Zone(asked.offset, asked.offset, ())
    first, end = asked.offset, asked.offset + len(rankings)
    low = first - _tied(reversed(keys.scores[:first]), keys.scores[first])
    high = end + _tied(keys.scores[end:], keys.scores[end - 1])
    runs: list[tuple[RankingKey, Run]] = []
    place = low
    # A hit that ranks better than the one in front of it waits for that one all the same.
    for key, tie in groupby(accumulate(rankings, max)):
        size = len(list(tie)) + (first - low if place == low else 0)
        size += high - end if place + size == end else 0
        runs.append((key, Run(source, place, size)))
        place += size
    return _Zone(low, high, runs)


def _tied(scores: Iterable[float], score: float) -> int:
    """Return how many of the scores, from the first on, are this one."""
    return len(list(takewhile(score.__eq__, scores)))


def _page_by_score(
    plan: WindowPlan, answers: Sequence[Sequence[Mapping[str, Any]]], window: Window
) -> Sequence[Mapping[str, Any]] | None:
    keys_of = RankingKeys()
    lists, windows = plan.lists, plan.windows
    zones = [
        _zone(source, keys, asked, [keys_of.key_of(hit["_rankingScoreDetails"]) for hit in hits])
        for source, (keys, asked, hits) in enumerate(zip(lists, windows, answers, strict=True))
    ]
    # From this ranking on the place in every list is known: what a zone leaves out before it ranks better.
    start = max((zone.runs[0][0] for zone in zones if zone.first and zone.runs), default=())
    places = [zone.first + sum(run.size for key, run in zone.runs if key < start) for zone in zones]
    if sum(places) > window.offset:
        return None
    ties: dict[RankingKey, list[Run]] = {}
    for key, run in (entry for zone in zones for entry in zone.runs if entry[0] >= start):
        ties.setdefault(key, []).append(run)
    places, page = _slice(plan.order, [ties[key] for key in sorted(ties)], places, window)
    for source, (zone, keys) in enumerate(zip(zones, lists, strict=True)):
        # Behind the zone come hits that nobody knows the ranking of: they matter unless the page is full by then.
        unknown = zone.end < len(keys.hits) or not keys.is_whole
        if unknown and (places[source] >= zone.end or (source, zone.end - 1) in page[: window.limit - 1]):
            return None
    found: list[Mapping[str, Any]] = []
    for source, place in page:
        within = place - windows[source].offset
        if not 0 <= within < len(answers[source]):
            return None
        found.append(answers[source][within])
    return found
