"""One search over one index: filter, match, rank, page, show.

What always holds: the answer has Meilisearch's shape, without the fields that only the HTTP shell knows (time, query,
request id). Source: ``ranking.md``. Who calls it: search and multi-search routes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from miroir.node.engine.display import displayed_names, select
from miroir.node.engine.entries import NUMBER, STRING
from miroir.node.engine.facet_search import find_values
from miroir.node.engine.facets import check_facets, distribution
from miroir.node.engine.filter_evaluation import ErrorStyle, evaluate_filter
from miroir.node.engine.filters import parse_filter
from miroir.node.engine.flatten import flatten
from miroir.node.engine.formatting import Formatter
from miroir.node.engine.geo import distance_m, read_point
from miroir.node.engine.ranking.bucket_sort import (
    Bucket,
    Hit,
    Rule,
    Sorted,
    bucket_sort,
    first_of_each,
    score_of,
)
from miroir.node.engine.ranking.matching import Match, match_query, search_fields
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.search_request import SearchRequest
from miroir.node.engine.sorting import Criterion, FieldSort, GeoSort, check_sortable, parse_criterion, sort_buckets
from miroir.node.engine.tokens import facet_form
from miroir.node.protocol.errors import ApiError
from schemas.attribute_patterns import is_within

EVERYTHING = 1 << 60
"""An end no window reaches."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, before it is shown.

    Attributes:
        criteria: the request's sort criteria.
        match: how the query text matched, for highlighting.
        hidden: names of sort rules whose values are not shown, with the names that stand for them.
    """

    sorted: Sorted
    criteria: tuple[Criterion, ...]
    match: Match | None
    hidden: Mapping[str, str]


def search(reader: IndexReader, request: SearchRequest, prefix: str = "") -> dict[str, Any]:
    """Return the answer to a search.

    Args:
        reader: the index.
        request: the search.
        prefix: written before error messages (multi-search says which query it was).

    Raises:
        ApiError: the index's settings do not allow what is asked.
    """
    start, end = window(request, reader.settings.max_total_hits)
    found = find(reader, request, start, end, explore=request.is_paged)
    answer: dict[str, Any] = {"hits": show_hits(found.sorted.hits, found, reader, request)}
    answer.update(_totals(request, found.sorted.candidates.bit_count()))
    if request.facets:
        check_facets(request.facets, reader, prefix)
        counts, stats = distribution(request.facets, found.sorted.candidates, reader)
        answer["facetDistribution"] = counts
        answer["facetStats"] = stats
    return answer


def window(request: SearchRequest, hits_max: int) -> tuple[int, int]:
    """Return the first hit wanted and the end, exclusive, neither beyond ``maxTotalHits``."""
    if request.is_paged:
        page = 1 if request.page is None else request.page
        size = 20 if request.hits_per_page is None else request.hits_per_page
        if page == 0:
            return 0, 0
        start, end = (page - 1) * size, page * size
    else:
        start, end = request.offset, request.offset + request.limit
    return min(start, hits_max), min(end, hits_max)


def _totals(request: SearchRequest, total: int) -> dict[str, Any]:
    if not request.is_paged:
        return {"limit": request.limit, "offset": request.offset, "estimatedTotalHits": total}
    size = 20 if request.hits_per_page is None else request.hits_per_page
    pages = -(-total // size) if size else 0
    page = 1 if request.page is None else request.page
    return {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": total}


def find(reader: IndexReader, request: SearchRequest, start: int, end: int, *, explore: bool = False) -> Found:
    """Return the hits ``[start, end)``; with ``explore`` totals are exact."""
    prefix = f"Index `{reader.uid}`: "
    tree, _ = parse_filter(request.filter)
    if request.embedder is not None:
        raise ApiError("invalid_search_embedder", f"Cannot find embedder with name `{request.embedder}`.")
    criteria = tuple(parse_criterion(text) for text in request.sort)
    fields = search_fields(reader, request)
    distinct = _distinct_field(request, reader, prefix)
    universe = evaluate_filter(tree, reader, ErrorStyle("invalid_search_filter", prefix))
    _check_criteria(criteria, reader, prefix)
    universe, match = match_query(reader, request, universe, fields)
    rules = tuple(_rules(reader, request, criteria, match))
    exact = explore and request.threshold is not None
    duplicates = None if distinct is None else _duplicates(distinct, reader)
    result = bucket_sort(
        rules,
        universe,
        None if match is None else match.state,
        start=start,
        end=EVERYTHING if exact else end,
        duplicates=duplicates,
        threshold=request.threshold,
    )
    if exact:
        result.hits = result.hits[: max(end - start, 0)]
    if explore and duplicates is not None:
        result.candidates, _ = first_of_each(result.candidates, duplicates)
    hidden = {rule.key: rule.hidden for rule in rules if isinstance(rule, _SortRule) and rule.hidden is not None}
    return Found(result, criteria, match, hidden)


def _check_criteria(criteria: tuple[Criterion, ...], reader: IndexReader, prefix: str) -> None:
    for criterion in criteria:
        check_sortable(criterion, reader, prefix)
    if criteria and "sort" not in reader.settings.ranking_rules:
        text = (
            f"{prefix}You must specify where `sort` is listed in the rankingRules setting to use the sort parameter at"
            " search time."
        )
        raise ApiError("invalid_search_sort", text)


def _distinct_field(request: SearchRequest, reader: IndexReader, prefix: str) -> str | None:
    if request.distinct is None:
        return reader.settings.distinct
    check_distinct(request.distinct, reader, prefix)
    return request.distinct


def check_distinct(field: str, reader: IndexReader, prefix: str) -> None:
    """Refuse to tell documents apart by an attribute that is not filterable."""
    settings = reader.settings
    entry = settings.filter_pattern(field)
    if entry is None or not entry.is_filterable:
        listed = settings.list_displayed(p for own in settings.filterable if own.is_filterable for p in own.patterns)
        tail = (
            f"Available filterable attributes patterns are: `{listed}`."
            if listed
            else "This index does not have configured filterable attributes."
        )
        if entry is not None:
            place = settings.filterable.index(entry)
            tail = (
                f"Note: this attribute matches rule #{place} in filterableAttributes, but this rule does not enable"
                " filtering.\nHint: enable filtering in rule"
                f" #{place} by adding appropriate filter features.\nHint: prepend another rule matching {field} with"
                f" filter features before rule #{place}"
            )
        text = f"{prefix}Attribute `{field}` is not filterable and thus, cannot be used as distinct attribute. {tail}"
        raise ApiError("invalid_search_distinct", text)


def distinct_values(document: Mapping[str, Any], field: str) -> set[str | float]:
    """Return what tells a document apart from others: the values of a field, texts in facet form."""
    part = {name: document[name] for name in (field, field.partition(".")[0]) if name in document}
    found: set[str | float] = set()
    for leaf in flatten(part).get(field, ()):
        if isinstance(leaf, bool):
            found.add("true" if leaf else "false")
        elif leaf is not None:
            found.add(facet_form(leaf) if isinstance(leaf, str) else float(leaf))
    return found


def _duplicates(field: str, reader: IndexReader) -> Callable[[int], int]:
    known: dict[int, int] = {}

    def duplicates(number: int) -> int:
        found = known.get(number)
        if found is None:
            found = 0
            for value in distinct_values(reader.document(number), field):
                found |= reader.facet(field, STRING if isinstance(value, str) else NUMBER, value)
            known[number] = found
        return found

    return duplicates


class _SortRule:
    def __init__(self, criterion: Criterion, reader: IndexReader, hidden: str | None) -> None:
        self._criterion = criterion
        self._reader = reader
        self.key = criterion.key
        self.hidden = hidden

    def buckets(self, universe: int, state: Any) -> Iterator[Bucket]:
        # Values come with their documents also where they are not shown: federated lists are merged by them.
        for numbers, detail in sort_buckets(self._criterion, universe, self._reader):
            yield Bucket(numbers, state, (), ((self.key, detail),))


_TEXT_RULES = frozenset(("typo", "proximity", "attribute", "attributeRank", "wordPosition", "exactness"))


def _rules(
    reader: IndexReader, request: SearchRequest, criteria: tuple[Criterion, ...], match: Match | None
) -> Iterator[Rule]:
    used: set[str] = set()
    shown = 0
    for name in _rule_names(reader.settings.ranking_rules):
        if name == "sort" or ":" in name:
            for criterion in criteria if name == "sort" else (parse_criterion(name),):
                key = criterion.key if isinstance(criterion, GeoSort) else f"field {criterion.field}"
                if key not in used:
                    used.add(key)
                    yield _sort_rule(criterion, reader, shown)
                    shown += 1
        elif match is not None and not _is_used(name, used):
            used.add(name)
            if name != "words" or request.strategy != "all":
                yield from match.rules(name)
                shown += 1


def _rule_names(configured: Sequence[str]) -> list[str]:
    """Return the rules' names, ``words`` before the first rule that works on what it leaves over."""
    names = list(configured)
    place = next((place for place, name in enumerate(names) if name in _TEXT_RULES), len(names))
    if place < len(names) and "words" not in names[:place]:
        names.insert(place, "words")
    return names


def _is_used(name: str, used: set[str]) -> bool:
    if name in {"attributeRank", "wordPosition"}:
        return name in used or "attribute" in used
    if name == "attribute":
        return bool(used & {"attribute", "attributeRank", "wordPosition"})
    return name in used


def _sort_rule(criterion: Criterion, reader: IndexReader, place: int) -> _SortRule:
    displayed = reader.settings.displayed
    # The places of documents are told even where ``_geo`` is not displayed, as on the real node.
    is_hidden = (
        isinstance(criterion, FieldSort)
        and "*" not in displayed
        and not any(is_within(criterion.field, own) for own in displayed)
    )
    return _SortRule(criterion, reader, f"<hidden-rule-{place}>" if is_hidden else None)


def number_details(hit: Hit, hidden: Mapping[str, str]) -> dict[str, Any]:
    """Return score details as answers show them: the parts of one rule merged, ``order`` put in, some values hidden."""
    shown: dict[str, Any] = {}
    for name, detail in hit.details:
        if name in hidden:
            shown[hidden[name]] = {"order": len(shown), "value": "<hidden>"}
        elif name in shown:
            shown[name].update(detail)
        else:
            shown[name] = {"order": len(shown), **detail}
    if "attribute" in shown:
        _add_attribute_score(shown["attribute"], hit)
    exactness = shown.get("exactness")
    if exactness is not None:
        if exactness["matchType"] == "noExactMatch":
            exactness["score"] = (exactness["matchingWords"] + 1) / (3 * (exactness["maxMatchingWords"] + 1))
        else:
            for name in ("matchingWords", "maxMatchingWords"):
                exactness.pop(name, None)
    return shown


def _add_attribute_score(detail: dict[str, Any], hit: Hit) -> None:
    ranked = [name for name, own in hit.details if "value" not in own]
    place = ranked.index("attribute")
    detail["score"] = score_of(hit.ranks[place : place + 2])


def show_hits(hits: Sequence[Hit], found: Found, reader: IndexReader, request: SearchRequest) -> list[dict[str, Any]]:
    """Return hits as the answer shows them."""
    names = displayed_names(request.retrieve, reader.settings.displayed)
    formatter = None
    if request.highlight or request.crop or request.show_positions:
        formatter = Formatter(reader, request, names, found.match)
    return [_show_hit(hit, found, reader, request, names, formatter) for hit in hits]


def _show_hit(
    hit: Hit,
    found: Found,
    reader: IndexReader,
    request: SearchRequest,
    names: Sequence[str] | None,
    formatter: Formatter | None,
) -> dict[str, Any]:
    document = reader.document(hit.number)
    shown = select(document, names)
    if request.show_vectors and not {"*", "_vectors"}.isdisjoint(reader.settings.displayed):
        shown["_vectors"] = {}
    _add_distance(shown, found.criteria)
    if formatter is not None:
        shown.update(formatter.format(document))
    if request.show_score:
        shown["_rankingScore"] = score_of(hit.ranks)
    if request.show_details:
        shown["_rankingScoreDetails"] = number_details(hit, found.hidden)
    return shown


def _add_distance(shown: dict[str, Any], criteria: tuple[Criterion, ...]) -> None:
    for criterion in criteria:
        if isinstance(criterion, GeoSort):
            point = read_point(shown.get("_geo"))
            if point is not None:
                shown["_geoDistance"] = round(distance_m(criterion.point, point))
            return


def search_facet(reader: IndexReader, facet: str, query: str | None, request: SearchRequest) -> list[dict[str, Any]]:
    """Return the values of a facet that a facet search finds."""
    tree, source = parse_filter(request.filter)
    universe = evaluate_filter(tree, reader, ErrorStyle("invalid_search_filter", "", source or None))
    candidates, _ = match_query(reader, request, universe, search_fields(reader, request))
    return find_values(reader, facet, query, candidates)
