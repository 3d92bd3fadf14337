"""A multi-search as its user wrote it: several searches, each on its own or all as one list.

What always holds: what is wrong is said with Meilisearch's own code and words, with the query's place. Who calls it:
the multi-search route. It must not know: settings, nodes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from query.body import (
    read_count,
    read_number,
    read_object,
    read_string,
    read_strings,
    show,
    unknown_field,
    wrong_type,
)
from query.search import FIELDS, LIMIT_DEFAULT, SearchRequest, Window, parse_search
from schemas.errors import InvalidSearchError
from schemas.meilisearch_requests import FEDERATION_FIELDS

QUERIES_MAX = 100
"""Searches in one request; Meilisearch has no limit, but each is a scatter."""

FEDERATED_HITS_MAX = 10_000
"""How deep a federated list may be asked for, and is refused beyond: every node gives its head up to there, whole."""

_FIELDS = ("queries", "federation")
_REMOTE_OPTIONS = ("remote", "queryPosition")
_OPTIONS = ("weight", *_REMOTE_OPTIONS)
_MERGE_OPTIONS = ("maxValuesPerFacet",)
_PAGINATION = ("limit", "offset", "page", "hitsPerPage")

_PLACE = re.compile(r"(\A[^`]*`\.queries\[)(\d{1,3})(?=\])")
"""Where a fault of one query is told: at the beginning. What follows may quote the user."""

_COMPARISON = re.compile(r"\A[^`]*`\.queries\[\d+\]`: The results of queries #")
_COMPARED = re.compile(r"(`\.?queries\[| quer(?:y|ies) #| and #)(\d{1,3})(?!\d)")
"""Two queries whose ranking rules cannot be compared are named again and again, and nothing of the user is quoted."""


@dataclass(frozen=True, slots=True)
class Query:
    """One of the searches.

    Attributes:
        position: its place in the request.
        index: the index's uid as it was written.
        search: the search itself.
        weight: what its scores are multiplied with in a federation.
        remote: the option, if any, that is about other Meilisearches.
    """

    position: int
    index: str
    search: SearchRequest
    weight: float = 1.0
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class Federation:
    """How the lists become one.

    Attributes:
        facets: by index the facets to count, None where they are only named.
        merges_facets: whether facets of all indexes are added up.
        values_max: values of each added up facet, None is all.
        distinct: the attribute whose values show up once only, whichever query finds them.
        unsupported: options that cannot be honoured.
    """

    offset: int = 0
    limit: int = LIMIT_DEFAULT
    page: int | None = None
    hits_per_page: int | None = None
    facets: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    merges_facets: bool = False
    values_max: int | None = None
    distinct: str | None = None
    unsupported: tuple[str, ...] = ()

    @property
    def is_paged(self) -> bool:
        """Whether the answer has pages and exact totals."""
        return self.page is not None or self.hits_per_page is not None

    def window(self) -> Window:
        """Return which hits of the one list are wanted."""
        if not self.is_paged:
            return Window(self.offset, self.limit)
        size = LIMIT_DEFAULT if self.hits_per_page is None else self.hits_per_page
        page = 1 if self.page is None else self.page
        return Window((page - 1) * size, size) if page else Window(0, 0)


@dataclass(frozen=True, slots=True)
class MultiSearch:
    """Several searches; without a federation each has its own list."""

    queries: tuple[Query, ...]
    federation: Federation | None = None


def parse_multi_search(body: object) -> MultiSearch:
    """Return what the body asks for.

    Raises:
        InvalidSearchError: it is malformed.
    """
    if not isinstance(body, dict):
        raise wrong_type(body, "bad_request", "", "an object")
    for name in body:
        if name not in _FIELDS:
            raise unknown_field(name, _FIELDS)
    if "queries" not in body:
        raise InvalidSearchError("bad_request", "Missing field `queries`")
    items = body["queries"]
    if not isinstance(items, list):
        raise wrong_type(items, "bad_request", ".queries", "an array")
    if len(items) > QUERIES_MAX:
        raise InvalidSearchError("bad_request", f"Too many queries: expected at most {QUERIES_MAX}")
    federation = None if body.get("federation") is None else _parse_federation(body["federation"])
    queries = tuple(_parse_query(item, at, federated=federation is not None) for at, item in enumerate(items))
    if federation is not None and federation.distinct is not None:
        queries = tuple(_with_distinct(query, federation.distinct) for query in queries)
    return MultiSearch(queries, federation)


def place_queries(message: str, positions: Sequence[int]) -> str:
    """Return what a node says of queries with their places in the user's request.

    Args:
        message: it numbers the queries that the node was asked, from 0.
        positions: of these, in order.
    """

    def placed(found: re.Match[str]) -> str:
        number = int(found[2])
        return f"{found[1]}{positions[number] if number < len(positions) else number}"

    pattern = _COMPARED if _COMPARISON.match(message) else _PLACE
    return pattern.sub(placed, message)


def _with_distinct(query: Query, attribute: str) -> Query:
    """Return the query with the federation's attribute, which must be one that its index allows."""
    if query.search.distinct is None:
        return replace(query, search=replace(query.search, distinct=attribute))
    message = (
        f"Inside `.queries[{query.position}]`: Using `distinct` options is not allowed in federated queries when it"
        " also appears in `.federation.distinct`.\n"
        " - Hint: remove `distinct` from the query or remove `federation` from the request\n"
        "  - Note: `distinct` at the query level is discouraged in federated search."
    )
    raise InvalidSearchError("invalid_multi_search_distinct", message)


def _parse_query(item: object, position: int, *, federated: bool) -> Query:
    place = f".queries[{position}]"
    inside = f"Inside `{place}`: "
    if not isinstance(item, dict):
        raise wrong_type(item, "bad_request", place, "an object")
    if "indexUid" not in item:
        raise InvalidSearchError("missing_index_uid", f"Missing field `indexUid` inside `{place}`")
    index = read_string(item["indexUid"], "invalid_index_uid", f"{place}.indexUid")
    rest = {name: value for name, value in item.items() if name not in ("indexUid", "federationOptions")}
    try:
        search = parse_search(rest)
    except InvalidSearchError as error:
        if str(error).startswith("Unknown field"):
            raise _unknown(rest, place) from None
        raise InvalidSearchError(error.code, str(error).replace("`.", f"`{place}.", 1)) from None
    options = item.get("federationOptions")
    if not federated:
        if options is not None:
            raise InvalidSearchError("invalid_multi_search_federation_options", f"{inside}{_NO_OPTIONS}")
        return Query(position, index, search)
    _refuse_in_federation(item, search, inside)
    found = read_object({} if options is None else options, "bad_request", f"{place}.federationOptions")
    for name in found:
        if name not in _OPTIONS:
            raise _unknown_inside(name, _OPTIONS, f"{place}.federationOptions")
    weight = read_number(found.get("weight", 1.0), "invalid_multi_search_weight", f"{place}.federationOptions.weight")
    if weight < 0:
        message = f"Invalid value at `{place}.federationOptions.weight`: {_WEIGHT}"
        raise InvalidSearchError("invalid_multi_search_weight", message)
    remote = next((name for name in _REMOTE_OPTIONS if found.get(name) is not None), None)
    return Query(position, index, search, weight, remote)


_WEIGHT = "the value of `weight` is invalid, expected a positive float (>= 0.0)."


_NO_OPTIONS = (
    "Using `federationOptions` is not allowed in a non-federated search.\n - Hint: remove `federationOptions`"
    " from the query or add `federation` to the request."
)


def _unknown(rest: Mapping[str, Any], place: str) -> InvalidSearchError:
    name = next(name for name in rest if name not in FIELDS)
    return _unknown_inside(name, ("indexUid", *FIELDS, "federationOptions"), place)


def _unknown_inside(name: str, accepted: tuple[str, ...], place: str) -> InvalidSearchError:
    error = unknown_field(name, accepted)
    return InvalidSearchError(error.code, str(error).replace(f"`{name}`:", f"`{name}` inside `{place}`:", 1))


def _refuse_in_federation(item: Mapping[str, Any], search: SearchRequest, inside: str) -> None:
    for name in _PAGINATION:
        if item.get(name) is not None:
            message = (
                f"{inside}Using pagination options is not allowed in federated queries.\n"
                f" - Hint: remove `{name}` from the query or remove `federation` from the request\n"
                " - Hint: pass `federation.limit` and `federation.offset` for pagination in federated search"
            )
            raise InvalidSearchError("invalid_multi_search_query_pagination", message)
    if search.facets is not None:
        message = (
            f"{inside}Using facet options is not allowed in federated queries.\n"
            " - Hint: remove `facets` from the query or remove `federation` from the request\n"
            f" - Hint: pass `federation.facetsByIndex.{item['indexUid']}: {_listed(search.facets)}` for facets in"
            " federated search"
        )
        raise InvalidSearchError("invalid_multi_search_query_facets", message)


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(show, names))}]"


def _parse_federation(value: object) -> Federation:
    place = ".federation"
    fields = read_object(value, "bad_request", place)
    for name in fields:
        if name not in FEDERATION_FIELDS:
            raise _unknown_inside(name, FEDERATION_FIELDS, place)
    merge = fields.get("mergeFacets")
    values_max = None
    if merge is not None:
        merged = read_object(merge, "invalid_multi_search_merge_facets", f"{place}.mergeFacets")
        for name in merged:
            if name not in _MERGE_OPTIONS:
                error = _unknown_inside(name, _MERGE_OPTIONS, f"{place}.mergeFacets")
                raise InvalidSearchError("invalid_multi_search_merge_facets", str(error))
        if (given := merged.get("maxValuesPerFacet")) is not None:
            code = "invalid_multi_search_max_values_per_facet"
            values_max = read_count(given, code, f"{place}.mergeFacets.maxValuesPerFacet")
    counts = {
        target: read_count(fields[name], code, f"{place}.{name}")
        for name, target, code in (
            ("offset", "offset", "invalid_search_offset"),
            ("limit", "limit", "invalid_search_limit"),
            ("page", "page", "invalid_search_page"),
            ("hitsPerPage", "hits_per_page", "invalid_search_hits_per_page"),
        )
        if fields.get(name) is not None
    }
    distinct = fields.get("distinct")
    unsupported = [name for name in ("personalize",) if fields.get(name) is not None]
    unsupported += ["showPerformanceDetails"] if fields.get("showPerformanceDetails") else []
    return Federation(
        **counts,
        facets=_parse_facets(fields.get("facetsByIndex"), f"{place}.facetsByIndex"),
        merges_facets=merge is not None,
        values_max=values_max,
        distinct=None if distinct is None else read_string(distinct, "invalid_search_distinct", f"{place}.distinct"),
        unsupported=tuple(unsupported),
    )


def _parse_facets(value: object, place: str) -> dict[str, tuple[str, ...] | None]:
    code = "invalid_multi_search_facets_by_index"
    named = read_object(value or {}, code, place)
    return {uid: None if names is None else read_strings(names, code, f"{place}.{uid}") for uid, names in named.items()}
