"""The answers of several nodes, as the one a single node with all documents would give.

A k-way merge over the heads of the nodes' lists, rule by rule (``query/ranking.py``). What always holds: hits of one
node keep that node's order, also where they tie, since a page cut from re-sorted ties shows documents twice and others
never; between equal heads of different nodes the id decides, so that the same answers always merge alike.
Who calls it: the search path, once a search. It knows no node, no clock and no HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heapreplace
from typing import Any

from query.distinct import DistinctValues
from query.facets import Distribution, MergedFacets, merge_facets
from query.identity import identity_key
from query.ranking import RankingKeys
from query.rewrite import distinct_attribute, head_length
from query.rules import IndexRules
from query.search import SearchKind, SearchRequest, Window
from query.strip import strip_hit, view_of
from streams.marker import MARKER_FIELD, strip_plane_15

Hit = Mapping[str, Any]
Answer = Mapping[str, Any]

_NO_FACETS = MergedFacets({}, {}, ())


@dataclass(frozen=True, slots=True)
class MergedHits:
    """One list out of several.

    Attributes:
        hits: the window's hits, in order, as the nodes gave them.
        sources: for each hit, the number of the list it came from.
        places: for each hit, its place in that list.
        duplicates: how many hits were left out because a better one has the same distinct value.
        short: numbers of the lists that ended before the window was full although their node has more: the hits from
            there on may be others. Ask these nodes for more.
        orphaned: whether nodes may have left out, as duplicates, hits that are none in the whole (``query.distinct``).
        exhausted: whether every hit of every list was looked at.
    """

    hits: tuple[Hit, ...]
    sources: tuple[int, ...]
    places: tuple[int, ...] = ()
    duplicates: int = 0
    short: tuple[int, ...] = ()
    orphaned: bool = False
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class MergedAnswer:
    """A search's whole answer.

    Attributes:
        body: what the user gets.
        short: as in ``MergedHits``.
        inexact_facets: facets whose counts or cut a node's own cut may have changed.
        orphaned: as in ``MergedHits``.
        doubtful: as in ``query.facets.MergedFacets``.
        inexact_total: whether the total, which pages promise to be exact, counts what ``distinct`` may leave out.
    """

    body: dict[str, Any]
    short: tuple[int, ...] = ()
    inexact_facets: tuple[str, ...] = ()
    orphaned: bool = False
    doubtful: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inexact_total: bool = False


def merge_hits(
    lists: Sequence[Sequence[Hit]],
    window: Window,
    *,
    primary_key: str | None,
    distinct: str | None = None,
    asked: int | Sequence[int] | None = None,
) -> MergedHits:
    """Return the window of the merged list.

    Args:
        lists: each node's hits from its best on, in its order, with ``_rankingScoreDetails``.
        window: which hits of the merged list are wanted.
        primary_key: the field that tells equal heads apart.
        distinct: the attribute whose values show up once only.
        asked: how many hits the nodes were asked for, all or each; a shorter list is all its node has. None: all lists
            are whole.
    """
    lengths = [asked] * len(lists) if isinstance(asked, int) else asked
    end = window.offset + window.limit
    keys = RankingKeys()
    seen = DistinctValues(distinct) if distinct is not None else None
    heads = [(_key(keys, hits[0], primary_key), source, 0) for source, hits in enumerate(lists) if hits]
    heapify(heads)
    merged: list[Hit] = []
    sources: list[int] = []
    places: list[int] = []
    short: list[int] = []
    duplicates = 0
    while heads and len(merged) < end:
        _, source, place = heads[0]
        hits = lists[source]
        hit = hits[place]
        if seen is None or seen.add(hit):
            merged.append(hit)
            sources.append(source)
            places.append(place)
        else:
            duplicates += 1
        place += 1
        if place < len(hits):
            heapreplace(heads, (_key(keys, hits[place], primary_key), source, place))
            continue
        heappop(heads)
        if lengths is not None and len(hits) >= lengths[source] and len(merged) < end:
            short.append(source)
    return MergedHits(
        tuple(merged[window.offset :]),
        tuple(sources[window.offset :]),
        tuple(places[window.offset :]),
        duplicates,
        tuple(short),
        orphaned=seen is not None and seen.orphaned,
        exhausted=not heads,
    )


def merge_answers(
    search: SearchRequest,
    answers: Sequence[Answer],
    *,
    rules: IndexRules,
    processing_time_ms: int = 0,
    request_uid: str | None = None,
    asked: int | Sequence[int] | None = None,
) -> MergedAnswer:
    """Return one answer out of those to ``query.rewrite.rewrite(search, …)`` with shards.

    Args:
        search: the user's search.
        answers: one of each node asked, in any order that is the same for the same nodes.
        rules: the user's settings.
        processing_time_ms: how long it took, for the answer's field.
        request_uid: the answer's own id, if it is to have one.
        asked: the ``length`` nodes were asked for, all or each, where it was not the usual one.
    """
    window = search.window(rules.hits_max)
    merged = merge_hits(
        [answer["hits"] for answer in answers],
        window,
        primary_key=rules.primary_key,
        distinct=distinct_attribute(search, rules),
        asked=asked or head_length(search, rules),
    )
    return _merged(search, merged, answers, rules=rules, processing_time_ms=processing_time_ms, request_uid=request_uid)


def merge_page(
    search: SearchRequest, page: MergedHits, answers: Sequence[Answer], *, rules: IndexRules
) -> MergedAnswer:
    """Return the answer whose hits are known already, counts and facets of the nodes' answers added up.

    Args:
        search: the user's search.
        page: the window's hits, in order, as the nodes gave them.
        answers: one of each node asked, with its totals.
        rules: the user's settings.
    """
    return _merged(search, page, answers, rules=rules)


def with_total(search: SearchRequest, merged: MergedAnswer, total: int) -> MergedAnswer:
    """Return the answer with another total, an exact one."""
    return replace(merged, body={**merged.body, **paging(search, total)}, inexact_total=False)


def with_facets(merged: MergedAnswer, facets: MergedFacets) -> MergedAnswer:
    """Return the answer with other facets."""
    body = {**merged.body, "facetDistribution": facets.distribution, "facetStats": facets.stats}
    return replace(merged, body=body, inexact_facets=facets.inexact, doubtful={})


def facets_of(
    answers: Sequence[Answer], *, rules: IndexRules, candidates: int, refined: Sequence[Distribution] = ()
) -> MergedFacets:
    """Return the merged facets of nodes' answers; ``refined`` as in ``merge_facets``."""
    return merge_facets(
        [_without_marker(answer.get("facetDistribution")) for answer in answers],
        [_without_marker(answer.get("facetStats")) for answer in answers],
        rules=rules,
        candidates=candidates,
        refined=refined,
    )


def pass_through(
    search: SearchRequest,
    answer: Answer,
    *,
    rules: IndexRules,
    processing_time_ms: int = 0,
    request_uid: str | None = None,
) -> MergedAnswer:
    """Return the answer of the one node that holds all shards (``rewrite`` without shards), stripped and cut."""
    view = view_of(search, rules)
    hits = [strip_hit(hit, view) for hit in answer["hits"]]
    body, _ = _body(search, [answer], hits, total_of(answer), rules=rules, processing_time_ms=processing_time_ms)
    if request_uid is not None:
        body["requestUid"] = request_uid
    # Whatever the node cut: a single node would have cut it.
    return MergedAnswer(body)


def _merged(
    search: SearchRequest,
    merged: MergedHits,
    answers: Sequence[Answer],
    *,
    rules: IndexRules,
    processing_time_ms: int = 0,
    request_uid: str | None = None,
) -> MergedAnswer:
    """Return the answer of these hits, counts and facets of the nodes' answers added up."""
    view = view_of(search, rules)
    hits = [strip_hit(hit, view) for hit in merged.hits]
    total = sum(map(total_of, answers))
    body, facets = _body(
        search,
        answers,
        hits,
        max(total - merged.duplicates, 0),
        rules=rules,
        processing_time_ms=processing_time_ms,
    )
    if request_uid is not None:
        body["requestUid"] = request_uid
    inexact, inexact_total = facets.inexact, False
    if len(answers) > 1 and distinct_attribute(search, rules) is not None:
        # Each node counts a value of ``distinct`` for itself: known to fit only where all their hits were looked at.
        known = merged.exhausted and not merged.orphaned and total == sum(len(answer["hits"]) for answer in answers)
        inexact_total = search.is_paged and not known
        if not known or merged.duplicates:
            inexact = tuple(body.get("facetDistribution", ()))
    return MergedAnswer(body, merged.short, inexact, merged.orphaned, facets.doubtful, inexact_total)


def _body(
    search: SearchRequest,
    answers: Sequence[Answer],
    hits: list[dict[str, Any]],
    total: int,
    *,
    rules: IndexRules,
    processing_time_ms: int,
) -> tuple[dict[str, Any], MergedFacets]:
    """Return the answer's fields in Meilisearch's order, and the facets in it."""
    body: dict[str, Any] = {
        "hits": hits,
        "query": strip_plane_15(search.q or ""),
        "processingTimeMs": processing_time_ms,
        **paging(search, total),
        **_similarity(search, answers, hits),
    }
    facets = _NO_FACETS
    if search.facets:
        facets = facets_of(answers, rules=rules, candidates=total)
        body["facetDistribution"] = facets.distribution
        body["facetStats"] = facets.stats
    if any(answer.get("degraded") for answer in answers):
        # A node that hit its cut-off says so; its answer is right as far as it goes.
        body["degraded"] = True
    return body, facets


def _similarity(search: SearchRequest, answers: Sequence[Answer], hits: Sequence[Hit]) -> dict[str, Any]:
    """Return how many hits are there for their vectors, and the vector they were compared with where it is shown."""
    if search.kind is SearchKind.WORDS:
        return {}
    vector = next((answer["queryVector"] for answer in answers if "queryVector" in answer), None)
    shown = {} if vector is None else {"queryVector": vector}
    if search.kind is SearchKind.SIMILARITY:
        return {**shown, "semanticHitCount": len(hits)}
    # By words as well: of the one node that holds everything (``query/hybrid.py`` merges several).
    return {**shown, "semanticHitCount": sum(answer.get("semanticHitCount", 0) for answer in answers)}


def paging(search: SearchRequest, total: int) -> dict[str, int]:
    """Return the fields of an answer that say which page it is, and of how many hits."""
    if not search.is_paged:
        return {"limit": search.limit, "offset": search.offset, "estimatedTotalHits": total}
    size = search.page_size()
    return {
        "hitsPerPage": size,
        "page": search.page_number(),
        "totalPages": -(-total // size) if size else 0,
        "totalHits": total,
    }


def total_of(answer: Answer) -> int:
    """Return how many hits an answer says there are."""
    total: int = answer["totalHits"] if "totalHits" in answer else answer["estimatedTotalHits"]
    return total


def _key(keys: RankingKeys, hit: Hit, primary_key: str | None) -> tuple[Any, ...]:
    """Return the key among heads: the ranking, then the id, numbers before texts."""
    details = hit.get("_rankingScoreDetails")
    ranking = keys.key_of(details) if details else ()
    return (ranking, *identity_key(hit, primary_key or ""))


def _without_marker(facets: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if not facets:
        return {}
    return {name: part for name, part in facets.items() if name != MARKER_FIELD}
