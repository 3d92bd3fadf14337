"""Multi-search: several queries in one request, as lists of their own or as one federated list.

What always holds: one bad query fails the whole request and is named. Source: ``ranking.md`` section 8. Who calls it:
the multi-search route.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Any, NamedTuple

from miroir.node.engine.facets import check_facets, distribution
from miroir.node.engine.merged_facets import merge_facets
from miroir.node.engine.ranking.bucket_sort import Hit, Rank, score_of
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.search import Found, check_distinct, distinct_values, find, show_hits
from miroir.node.engine.search_request import FIELDS, SearchRequest, parse_search
from miroir.node.protocol.errors import ApiError, feature_not_enabled
from miroir.node.protocol.index_uids import check_index_uid
from schemas.errors import InvalidRequestError
from schemas.meilisearch_requests import FEDERATION_FIELDS
from schemas.meilisearch_values import check_fields, read_count, read_object, read_string, read_strings, wrong_type

_SAME = 2.220446049250313e-16
_QUERY_FIELDS = ("indexUid", *FIELDS, "federationOptions")


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a multi-search."""

    index_uid: str
    request: SearchRequest
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Federation:
    """How the lists become one."""

    offset: int
    limit: int
    page: int | None
    hits_per_page: int | None
    facets_by_index: Mapping[str, tuple[str, ...] | None]
    merges_facets: bool
    values_max: int | None
    distinct: str | None


@dataclass(frozen=True, slots=True)
class MultiSearch:
    """A multi-search; ``federation`` is None for lists of their own."""

    queries: tuple[Query, ...]
    federation: Federation | None


def parse_multi_search(body: Any) -> MultiSearch:
    """Return what a multi-search body asks for."""
    fields = read_object(body)
    check_fields(fields, ("queries", "federation"))
    if "queries" not in fields:
        raise ApiError("bad_request", "Missing field `queries`")
    items = fields["queries"]
    if not isinstance(items, list):
        raise wrong_type("bad_request", ".queries", "an array", items)
    federation = _parse_federation(fields.get("federation"))
    queries = []
    for place, item in enumerate(items):
        try:
            queries.append(_parse_query(item, place, federated=federation is not None))
        except InvalidRequestError as error:
            if str(error).startswith("Inside"):
                raise
            text = str(error)
            if f"at `.queries[{place}]" not in text:
                text = text.replace("at `.", f"at `.queries[{place}].", 1)
            raise ApiError(error.code, text) from None
    return MultiSearch(tuple(queries), federation)


def _parse_query(item: Any, place: int, *, federated: bool) -> Query:
    fields = read_object(item, path=f".queries[{place}]")
    check_fields(fields, _QUERY_FIELDS, f".queries[{place}]")
    if "indexUid" not in fields:
        raise ApiError("missing_index_uid", f"Missing field `indexUid` inside `.queries[{place}]`")
    uid = check_index_uid(read_string(fields["indexUid"], "invalid_index_uid", ".indexUid"), ".indexUid")
    rest = {key: value for key, value in fields.items() if key not in {"indexUid", "federationOptions"}}
    request = parse_search(rest)
    options = fields.get("federationOptions")
    inside = f"Inside `.queries[{place}]`: "
    if not federated and options is not None:
        text = (
            "Using `federationOptions` is not allowed in a non-federated search.\n - Hint: remove `federationOptions`"
        )
        hint = "from the query or add `federation` to the request."
        raise ApiError("invalid_multi_search_federation_options", f"{inside}{text} {hint}")
    if federated:
        _refuse_in_federation(fields, request, inside)
    weight = 1.0
    if options is not None:
        weight = _parse_weight(options, f".queries[{place}].federationOptions", inside)
    return Query(uid, request, weight)


def _parse_weight(options: Any, path: str, inside: str) -> float:
    given = read_object(options, path=path)
    check_fields(given, ("weight", "remote", "queryPosition"), path)
    for name in ("remote", "queryPosition"):
        if given.get(name) is not None:
            raise feature_not_enabled(f"{inside}Using `federationOptions.{name}`", "network", 805)
    weight = given.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise wrong_type("invalid_multi_search_weight", f"{path}.weight", "a number", weight)
    if weight < 0:
        text = "the value of `weight` is invalid, expected a positive float (>= 0.0)."
        raise ApiError("invalid_multi_search_weight", f"Invalid value at `{path}.weight`: {text}")
    return float(weight)


def _refuse_in_federation(fields: Mapping[str, Any], request: SearchRequest, inside: str) -> None:
    for name in ("limit", "offset", "page", "hitsPerPage"):
        if fields.get(name) is not None:
            text = (
                "Using pagination options is not allowed in federated queries.\n"
                f" - Hint: remove `{name}` from the query or remove `federation` from the request\n"
                f" - Hint: pass `federation.limit` and `federation.offset` for pagination in federated search"
            )
            raise ApiError("invalid_multi_search_query_pagination", inside + text)
    if request.facets is not None:
        text = "Using facet options is not allowed in federated queries.\n - Hint: remove `facets` from the query or"
        hint = (
            "remove `federation` from the request\n - Hint: pass"
            f" `federation.facetsByIndex.{fields['indexUid']}: {_listed(request.facets)}` for facets in federated"
            " search"
        )
        raise ApiError("invalid_multi_search_query_facets", f"{inside}{text} {hint}")


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _parse_federation(value: Any) -> Federation | None:
    if value is None:
        return None
    fields = read_object(value, path=".federation")
    check_fields(fields, FEDERATION_FIELDS, ".federation")
    facets: dict[str, tuple[str, ...] | None] = {}
    by_index = read_object(fields.get("facetsByIndex") or {}, "invalid_multi_search_facets_by_index", ".federation")
    for uid, names in by_index.items():
        path = f".federation.facetsByIndex.{uid}"
        facets[uid] = (
            None if names is None else tuple(read_strings(names, "invalid_multi_search_facets_by_index", path))
        )
    merge = fields.get("mergeFacets")
    values_max = None if merge is None else _values_max(merge)
    distinct = fields.get("distinct")
    if distinct is not None:
        read_string(distinct, "invalid_search_distinct", ".federation.distinct")
    return Federation(
        offset=_number(fields, "offset", 0),
        limit=_number(fields, "limit", 20),
        page=None if fields.get("page") is None else _number(fields, "page", 1),
        hits_per_page=None if fields.get("hitsPerPage") is None else _number(fields, "hitsPerPage", 20),
        facets_by_index=facets,
        merges_facets=merge is not None,
        values_max=values_max,
        distinct=distinct,
    )


def _values_max(value: Any) -> int | None:
    code, path = "invalid_multi_search_merge_facets", ".federation.mergeFacets"
    options = read_object(value, code, path)
    try:
        check_fields(options, ("maxValuesPerFacet",), path)
    except InvalidRequestError as error:
        raise ApiError(code, str(error)) from None
    given = options.get("maxValuesPerFacet")
    if given is None:
        return None
    return read_count(given, "invalid_multi_search_max_values_per_facet", f"{path}.maxValuesPerFacet")


def _number(fields: Mapping[str, Any], name: str, default: int) -> int:
    value = fields.get(name)
    code = "invalid_search_" + "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return default if value is None else read_count(value, code, f".federation.{name}")


class _Candidate(NamedTuple):
    place: int
    query: Query
    reader: IndexReader
    found: Found
    hit: Hit
    key: tuple[tuple[str, Any], ...]
    score: float


def federate(multi: MultiSearch, open_index: Callable[[str], IndexReader]) -> dict[str, Any]:
    """Return the one list of a federated search."""
    federation = multi.federation
    assert federation is not None
    start, end = _window(federation)
    lists: dict[str, list[_Candidate]] = {}
    totals: dict[str, int] = {}
    readers: dict[str, IndexReader] = {}
    for place, given in enumerate(multi.queries):
        query = given
        try:
            reader = readers.setdefault(query.index_uid, open_index(query.index_uid))
            _check_index_facets(query.index_uid, federation, reader)
            if federation.distinct is not None:
                check_distinct(federation.distinct, reader, f"Index `{reader.uid}`: ")
                # Each list by itself is rid of duplicates first: so the page is filled from behind them.
                query = replace(given, request=replace(given.request, distinct=federation.distinct))
            found = find(reader, query.request, 0, _own_end(end, reader))
        except ApiError as error:
            raise ApiError(error.code, f"Inside `.queries[{place}]`: {error.message}", status=400) from None
        totals[query.index_uid] = totals.get(query.index_uid, 0) | found.sorted.candidates
        own = lists.setdefault(query.index_uid, [])
        own.extend(_candidate(place, query, reader, found, hit) for hit in found.sorted.hits)
    for uid, names in federation.facets_by_index.items():
        if uid not in readers and names is not None:
            _check_unused(uid, open_index)
    heads: list[_Candidate] = []
    refused: list[_Candidate] = []
    for uid, own in lists.items():
        own.sort(key=cmp_to_key(_compare))
        head, duplicates = _distinct(_once_each(own), federation.distinct, _own_end(end, readers[uid]))
        heads += head
        refused += duplicates
    heads.sort(key=cmp_to_key(_compare))
    merged, duplicates = _distinct(heads, federation.distinct, len(heads))
    for candidate in refused + duplicates:
        totals[candidate.query.index_uid] &= ~(1 << candidate.hit.number)
    hits = [_show(candidate) for candidate in merged[start:end]]
    total = sum(numbers.bit_count() for numbers in totals.values())
    answer: dict[str, Any] = {"hits": hits, **_totals(federation, total)}
    answer.update(_facets(federation, totals, readers))
    return answer


def _own_end(end: int, reader: IndexReader) -> int:
    """Return where the list of one index ends, of each of its queries and of all together: totals count on."""
    return min(end, reader.settings.max_total_hits)


def _window(federation: Federation) -> tuple[int, int]:
    if federation.page is None and federation.hits_per_page is None:
        return federation.offset, federation.offset + federation.limit
    size = 20 if federation.hits_per_page is None else federation.hits_per_page
    page = 1 if federation.page is None else federation.page
    return ((page - 1) * size, page * size) if page else (0, 0)


def _totals(federation: Federation, total: int) -> dict[str, Any]:
    if federation.page is None and federation.hits_per_page is None:
        return {"limit": federation.limit, "offset": federation.offset, "estimatedTotalHits": total}
    size = 20 if federation.hits_per_page is None else federation.hits_per_page
    page = 1 if federation.page is None else federation.page
    pages = -(-total // size) if size else 0
    return {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": total}


def _check_index_facets(uid: str, federation: Federation, reader: IndexReader) -> None:
    names = federation.facets_by_index.get(uid)
    if names:
        check_facets(names, reader, f"Inside `.federation.facetsByIndex.{uid}`: ")


def _check_unused(uid: str, open_index: Callable[[str], IndexReader]) -> None:
    try:
        open_index(uid)
    except ApiError as error:
        note = f"\n - Note: index `{uid}` is not used in queries"
        text = f"Inside `.federation.facetsByIndex.{uid}`: {error.message}{note}"
        raise ApiError(error.code, text, status=400) from None


def _candidate(place: int, query: Query, reader: IndexReader, found: Found, hit: Hit) -> _Candidate:
    key = _sort_key(hit, query.weight)
    return _Candidate(place, query, reader, found, hit, key, score_of(hit.ranks) * query.weight)


def _sort_key(hit: Hit, weight: float) -> tuple[tuple[str, Any], ...]:
    """Consecutive ranked rules become one score, sort values stand alone."""
    items: list[tuple[str, Any]] = []
    ranked: list[Rank] = []
    ranks = list(hit.ranks)
    ranked_names = {"words", "typo", "proximity", "attributeRank", "wordPosition", "attribute", "exactness"}
    for name, detail in hit.details:
        if name in ranked_names:
            count = 1
            if ranks:
                ranked.extend(ranks[:count])
                del ranks[:count]
            continue
        if ranked:
            items.append(("score", score_of(ranked) * weight))
            ranked = []
        kind = "geo" if "distance" in detail else "sort"
        items.append((f"{kind}:{name.rpartition(':')[2]}", detail.get("distance", detail.get("value"))))
    ranked.extend(ranks)
    if ranked:
        items.append(("score", score_of(ranked) * weight))
    return tuple(items)


def _compare(left: _Candidate, right: _Candidate) -> int:
    for place, (mine, other) in enumerate(zip(left.key, right.key, strict=False)):
        if mine[0] != other[0]:
            rest = (len(right.key) - place) - (len(left.key) - place)
            return rest or _by_score(left.score, right.score)
        if mine[0] == "score":
            verdict = _by_score(mine[1], other[1])
        else:
            verdict = _by_value(mine[1], other[1], ascending=mine[0].endswith("asc"))
        if verdict:
            return verdict
    if len(left.key) != len(right.key):
        return len(right.key) - len(left.key)
    return left.place - right.place


def _by_score(left: float, right: float) -> int:
    if abs(left - right) <= _SAME:
        return 0
    return -1 if left > right else 1


def _by_value(left: Any, right: Any, *, ascending: bool) -> int:
    if left == right:
        return 0
    if left is None or right is None:
        return 1 if left is None else -1
    if isinstance(left, str) != isinstance(right, str):
        return 1 if isinstance(left, str) else -1
    return (-1 if left < right else 1) * (1 if ascending else -1)


def _once_each(candidates: list[_Candidate]) -> list[_Candidate]:
    """Keep the best hit of each document of one index."""
    best: dict[int, _Candidate] = {}
    for candidate in candidates:
        best.setdefault(candidate.hit.number, candidate)
    return list(best.values())


def _distinct(candidates: list[_Candidate], field: str | None, limit: int) -> tuple[list[_Candidate], list[_Candidate]]:
    """Return the first ``limit`` hits, each value once, and duplicates before their last; without a value all stay."""
    if field is None:
        return candidates[:limit], []
    seen: set[str | float] = set()
    kept: list[_Candidate] = []
    refused: list[_Candidate] = []
    for candidate in candidates:
        if len(kept) == limit:
            break
        values = distinct_values(candidate.reader.document(candidate.hit.number), field)
        if values & seen:
            refused.append(candidate)
        else:
            seen |= values
            kept.append(candidate)
    return kept, refused


def _show(candidate: _Candidate) -> dict[str, Any]:
    shown = show_hits([candidate.hit], candidate.found, candidate.reader, candidate.query.request)[0]
    federation = {
        "indexUid": candidate.query.index_uid,
        "queriesPosition": candidate.place,
        "weightedRankingScore": candidate.score,
    }
    details = shown.pop("_rankingScoreDetails", None)
    shown["_federation"] = federation
    if details is not None:
        shown["_rankingScoreDetails"] = details
    return shown


def _facets(federation: Federation, totals: Mapping[str, int], readers: Mapping[str, IndexReader]) -> dict[str, Any]:
    wanted = {uid: names for uid, names in federation.facets_by_index.items() if names is not None and uid in readers}
    if not wanted:
        return {}
    by_index = {}
    orders: dict[str, str] = {}
    for uid, names in wanted.items():
        counts, stats = distribution(names, totals[uid], readers[uid])
        by_index[uid] = {"distribution": counts, "stats": stats}
        orders |= {name: readers[uid].settings.facet_order(name) for name in counts}
    if not federation.merges_facets:
        return {"facetsByIndex": by_index}
    return merge_facets(list(by_index.values()), orders, federation.values_max)
