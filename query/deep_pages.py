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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain, groupby, repeat
from operator import neg
from typing import Any, NamedTuple

from query.identity import identities_of, identity_of
from query.merge import MergedHits, merge_hits
from query.ranking import RankingKey, RankingKeys
from query.rewrite import distinct_attribute, head_length, rewrite_keys
from query.routing import Part
from query.rules import IndexRules
from query.search import SearchRequest, Window
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
    """

    hits: Sequence[Mapping[str, Any]]
    scores: Sequence[float]


KeyLists = Sequence[KeyList]


def is_deep(search: SearchRequest, rules: IndexRules, *, parts: int) -> bool:
    """Return whether two rounds are cheaper than one for this window over so many nodes."""
    window = search.window(rules.hits_max)
    fetched = head_length(search, rules) * parts
    return parts > 1 and rules.primary_key is not None and fetched - window.limit >= WASTE_HITS_MIN


def ranks_by_score(search: SearchRequest, rules: IndexRules) -> bool:
    """Return whether a node's list is in the order of ``_rankingScore``: nothing sorts, nothing is left out."""
    sorts = bool(search.sort) or any(":" in rule for rule in rules.ranking_rules)
    return not sorts and distinct_attribute(search, rules) is None


def key_body(search: SearchRequest, rules: IndexRules, shards: Sequence[ShardId]) -> dict[str, Any]:
    """Return what a node is asked for its keys."""
    return rewrite_keys(search, rules=rules, shards=shards, details=not ranks_by_score(search, rules))


def key_lists(search: SearchRequest, rules: IndexRules, answers: Sequence[tuple[Part, Any]]) -> KeyLists:
    """Return the heads that nodes answered to ``key_body``."""
    by_score = ranks_by_score(search, rules)
    heads = (answer["hits"] for _, answer in answers)
    return [KeyList(hits, [hit["_rankingScore"] for hit in hits] if by_score else ()) for hits in heads]


def plan_windows(search: SearchRequest, rules: IndexRules, lists: KeyLists) -> Sequence[Window] | None:
    """Return each node's part of the window, or None where keys do not tell."""
    window = search.window(rules.hits_max)
    name = rules.primary_key or ""
    if ranks_by_score(search, rules):
        return _windows_by_score(lists, window, name)
    merged = merge_hits(
        [keys.hits for keys in lists],
        window,
        primary_key=name,
        distinct=distinct_attribute(search, rules),
        asked=head_length(search, rules),
    )
    if merged.short or merged.orphaned:
        return None
    places = [{identity_of(hit, name): place for place, hit in enumerate(keys.hits)} for keys in lists]
    found: list[list[int]] = [[] for _ in lists]
    for hit, source in zip(merged.hits, merged.sources, strict=True):
        found[source].append(places[source][identity_of(hit, name)])
    return [Window(own[0], own[-1] + 1 - own[0]) if own else Window(0, 0) for own in found]


def cut_page(
    search: SearchRequest,
    rules: IndexRules,
    lists: KeyLists,
    windows: Sequence[Window],
    answers: Sequence[Sequence[Mapping[str, Any]]],
) -> MergedHits | None:
    """Return the window's hits, whole, or None where keys and hits do not fit or do not decide.

    Args:
        search: the user's search.
        rules: the user's settings.
        lists: the keys, one of each node.
        windows: what each node was asked for.
        answers: the hits it gave.
    """
    name = rules.primary_key or ""
    for keys, asked, hits in zip(lists, windows, answers, strict=True):
        head = keys.hits[asked.offset : asked.offset + asked.limit]
        if [identity_of(hit, name) for hit in hits] != [identity_of(hit, name) for hit in head]:
            return None
    window = search.window(rules.hits_max)
    if ranks_by_score(search, rules):
        page = _page_by_score(lists, windows, answers, window, name)
        return None if page is None else MergedHits(tuple(page), ())
    by_id = [{identity_of(hit, name): hit for hit in hits} for hits in answers]
    merged = merge_hits(
        [keys.hits for keys in lists], window, primary_key=name, distinct=distinct_attribute(search, rules)
    )
    whole = (by_id[source][identity_of(hit, name)] for hit, source in zip(merged.hits, merged.sources, strict=True))
    return replace(merged, hits=tuple(whole))


class _Run(NamedTuple):
    """Hits of one list that tie, one behind the other."""

    source: int
    """The list's number."""
    first: int
    """The first one's place."""
    size: int


_Ties = Sequence[Sequence[_Run]]
"""Best first: what ties, of all lists."""


def _windows_by_score(lists: KeyLists, window: Window, name: str) -> Sequence[Window]:
    """Return where the window lies in each list if scores are right, and a margin."""
    ranked = sorted(chain.from_iterable(keys.scores for keys in lists), reverse=True)
    scores = ranked[window.offset : window.offset + window.limit]
    if not scores:
        return [Window(len(keys.hits), 0) for keys in lists]
    best, worst = scores[0], scores[-1]
    places = [bisect_left(keys.scores, -best, key=neg) for keys in lists]
    ties: dict[float, list[_Run]] = {}
    for source, keys in enumerate(lists):
        place = places[source]
        for score, tie in groupby(keys.scores[place : bisect_right(keys.scores, -worst, key=neg)]):
            size = len(list(tie))
            ties.setdefault(score, []).append(_Run(source, place, size))
            place += size
    first, page = _slice(lists, [ties[score] for score in sorted(ties, reverse=True)], places, window, name)
    counts = Counter(source for source, _ in page)
    planned = []
    for source, keys in enumerate(lists):
        start = max(0, first[source] - MARGIN_HITS)
        end = min(len(keys.hits), first[source] + counts[source] + MARGIN_HITS)
        planned.append(Window(start, end - start))
    return planned


def _slice(
    lists: KeyLists, ties: _Ties, places: list[int], window: Window, name: str
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return how many hits of each list come before the window, and list and place of those within it.

    Args:
        lists: the keys.
        ties: all hits from ``places`` on.
        places: how many hits of each list come before the ties.
        window: in ranks among all hits.
        name: the id's field.
    """
    rank, end = sum(places), window.offset + window.limit
    page: list[tuple[int, int]] = []
    for tie in ties:
        size = sum(run.size for run in tie)
        if rank + size <= window.offset:
            for run in tie:
                places[run.source] += run.size
        elif rank < end:
            order = _tie_order(lists, tie, name)
            for source, _ in order[: max(0, window.offset - rank)]:
                places[source] += 1
            page += order[max(0, window.offset - rank) : end - rank]
        else:
            break
        rank += size
    return places, page


def _tie_order(lists: KeyLists, tie: Sequence[_Run], name: str) -> list[tuple[int, int]]:
    """Return list and place of hits that tie, in the order in which heads merge.

    The smaller id goes first, but none goes before the one in front of it in its own list: it counts as the largest id
    up to it.
    """
    identities = [identities_of(lists[run.source].hits[run.first : run.first + run.size], name) for run in tie]
    if len(set(map(type, chain.from_iterable(identities)))) > 1:
        identities = [[(isinstance(identity, str), identity) for identity in own] for own in identities]
    ranks: list[Any] = []
    entries: list[tuple[int, int]] = []
    for run, own in zip(tie, identities, strict=True):
        # Mostly they rise already, which is seen ten times faster than the largest so far is found.
        ranks += own if own == sorted(own) else accumulate(own, max)
        entries += zip(repeat(run.source), range(run.first, run.first + run.size))
    # Equal ids stay in the order of the lists: sorting is stable.
    return [entries[number] for number in sorted(range(len(ranks)), key=ranks.__getitem__)]


class _Zone(NamedTuple):
    """The stretch of one list whose ranking is known: its window, and the ties that reach beyond it.

    Attributes:
        first: place in the list of the first entry.
        end: behind the last.
        runs: ranking, place and number of hits that tie.
    """

    first: int
    end: int
    runs: Sequence[tuple[RankingKey, _Run]]


def _zone(source: int, keys: KeyList, asked: Window, rankings: Sequence[RankingKey]) -> _Zone:
    if not rankings:
        return _Zone(asked.offset, asked.offset, ())
    first, end = asked.offset, asked.offset + len(rankings)
    low, high = first, end
    while low > 0 and keys.scores[low - 1] == keys.scores[first]:
        low -= 1
    while high < len(keys.hits) and keys.scores[high] == keys.scores[end - 1]:
        high += 1
    runs: list[tuple[RankingKey, _Run]] = []
    place = low
    # A hit that ranks better than the one in front of it waits for that one all the same.
    for key, tie in groupby(accumulate(rankings, max)):
        size = len(list(tie)) + (first - low if place == low else 0)
        size += high - end if place + size == end else 0
        runs.append((key, _Run(source, place, size)))
        place += size
    return _Zone(low, high, runs)


def _page_by_score(
    lists: KeyLists,
    windows: Sequence[Window],
    answers: Sequence[Sequence[Mapping[str, Any]]],
    window: Window,
    name: str,
) -> Sequence[Mapping[str, Any]] | None:
    keys_of = RankingKeys()
    zones = [
        _zone(source, keys, asked, [keys_of.key_of(hit["_rankingScoreDetails"]) for hit in hits])
        for source, (keys, asked, hits) in enumerate(zip(lists, windows, answers, strict=True))
    ]
    # From this ranking on the place in every list is known: what a zone leaves out before it ranks better.
    start = max((zone.runs[0][0] for zone in zones if zone.first and zone.runs), default=())
    places = [zone.first + sum(run.size for key, run in zone.runs if key < start) for zone in zones]
    if sum(places) > window.offset:
        return None
    ties: dict[RankingKey, list[_Run]] = {}
    for key, run in (entry for zone in zones for entry in zone.runs if entry[0] >= start):
        ties.setdefault(key, []).append(run)
    places, page = _slice(lists, [ties[key] for key in sorted(ties)], places, window, name)
    for source, (zone, keys) in enumerate(zip(zones, lists, strict=True)):
        # Behind the zone come hits that nobody knows the ranking of: they matter unless the page is full by then.
        unknown = zone.end < len(keys.hits)
        if unknown and (places[source] >= zone.end or (source, zone.end - 1) in page[: window.limit - 1]):
            return None
    found: list[Mapping[str, Any]] = []
    for source, place in page:
        within = place - windows[source].offset
        if not 0 <= within < len(answers[source]):
            return None
        found.append(answers[source][within])
    return found
