"""Buckets by value and by distance: sort criteria, custom ranking rules, geo sort.

What always holds: numbers before texts, documents without a value last in both directions. Source: ``ranking.md``
section 4.8. Who calls it: the bucket sort.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import NUMBER, STRING
from miroir.node.engine.flatten import flatten
from miroir.node.engine.geo import Point, distance_m, plain_number
from miroir.node.engine.reader import IndexReader
from miroir.node.engine.tokens import facet_form
from miroir.node.protocol.errors import ApiError

BY_DOCUMENT_MAX = 300
"""Up to so many documents reading each one's value beats walking through all values in order."""

GEO_BUCKET_M = 1.0
GEO_BUCKET_MAX = 1000


@dataclass(frozen=True, slots=True)
class FieldSort:
    """Order by a field's values."""

    field: str
    ascending: bool

    @property
    def key(self) -> str:
        """Name in score details."""
        return f"{self.field}:{'asc' if self.ascending else 'desc'}"


@dataclass(frozen=True, slots=True)
class GeoSort:
    """Order by distance from a point."""

    point: Point
    ascending: bool

    @property
    def key(self) -> str:
        """Name in score details."""
        lat, lng = plain_number(self.point.lat), plain_number(self.point.lng)
        return f"_geoPoint({lat}, {lng}):{'asc' if self.ascending else 'desc'}"


Criterion = FieldSort | GeoSort


class SortedBucket(NamedTuple):
    """Documents that share a place in the order, and what the details say about it."""

    numbers: int
    detail: dict[str, Any]


def parse_criterion(text: str, code: str = "invalid_search_sort") -> Criterion:
    """Return a sort criterion of text such as ``year:asc`` or ``_geoPoint(1,2):desc``."""
    name, separator, order = text.rpartition(":")
    if not separator or order not in {"asc", "desc"}:
        shown = f"expected expression ending by `:asc` or `:desc`, found `{text}`."
        raise ApiError(code, f"Invalid syntax for the sort parameter: {shown}")
    if name.startswith("_geoPoint(") and name.endswith(")"):
        return GeoSort(_geo_point(name, code), order == "asc")
    _refuse_reserved(name, code)
    return FieldSort(name, order == "asc")


_RESERVED = ("_geo", "_geoPoint", "_geoDistance", "_geoRadius", "_geoBoundingBox")
_HINT = " Use the _geoPoint(latitude, longitude) built-in rule to sort on _geo field coordinates."


def _refuse_reserved(name: str, code: str) -> None:
    called = name.partition("(")[0]
    if name not in _RESERVED and (called == name or called not in _RESERVED or called == "_geoPoint"):
        return
    if called == "_geoPoint":
        raise _bad_point(name, code)
    shown = called if called in {"_geoRadius", "_geoBoundingBox"} else name
    hint = _HINT if name == "_geo" or shown != name or called in {"_geoRadius", "_geoBoundingBox"} else ""
    raise ApiError(code, f"`{shown}` is a reserved keyword and thus can't be used as a sort expression.{hint}")


def _bad_point(name: str, code: str) -> ApiError:
    form = "`_geoPoint(latitude, longitude)` and ending by `:asc` or `:desc`"
    return ApiError(
        code, f"Invalid syntax for the geo parameter: expected expression formated like {form}, found `{name}`."
    )


def _geo_point(name: str, code: str) -> Point:
    lat_text, comma, lng_text = name.removeprefix("_geoPoint(")[:-1].partition(",")
    try:
        lat, lng = float(lat_text), float(lng_text)
    except ValueError:
        raise _bad_point(name, code) from None
    if not comma or "_" in lat_text + lng_text:
        raise _bad_point(name, code)
    if not -90 <= lat <= 90:  # noqa: PLR2004 - degrees
        text = f"Bad latitude `{plain_number(lat)}`. Latitude must be contained between -90 and 90 degrees."
        raise ApiError(code, text)
    if not -180 <= lng <= 180:  # noqa: PLR2004 - degrees
        text = f"Bad longitude `{plain_number(lng)}`. Longitude must be contained between -180 and 180 degrees."
        raise ApiError(code, text)
    return Point(lat, lng)


def check_sortable(criterion: Criterion, reader: IndexReader, prefix: str, code: str = "invalid_search_sort") -> None:
    """Refuse a criterion whose field is not sortable."""
    name = "_geo" if isinstance(criterion, GeoSort) else criterion.field
    sortable = reader.settings.sortable
    if any(name == entry or name.startswith(entry + ".") for entry in sortable):
        return
    if sortable:
        tail = f"Available sortable attributes are: `{reader.settings.list_displayed(sortable)}`."
    else:
        tail = "This index does not have configured sortable attributes."
    raise ApiError(code, f"{prefix}Attribute `{name}` is not sortable. {tail}")


def sort_buckets(criterion: Criterion, universe: int, reader: IndexReader) -> Iterator[SortedBucket]:
    """Yield the universe's documents in the criterion's order; together the buckets are the universe."""
    if isinstance(criterion, GeoSort):
        yield from _geo_buckets(criterion, universe, reader)
    elif universe.bit_count() <= BY_DOCUMENT_MAX:
        yield from _buckets_by_document(criterion, universe, reader)
    else:
        yield from _buckets_by_value(criterion, universe, reader)


def _buckets_by_value(criterion: FieldSort, universe: int, reader: IndexReader) -> Iterator[SortedBucket]:
    remaining = universe
    for kind in (NUMBER, STRING):
        for value, numbers in reader.facet_values(criterion.field, kind, descending=not criterion.ascending):
            found = numbers & remaining
            if found:
                remaining &= ~found
                yield SortedBucket(found, {"value": value})
            if not remaining:
                return
    yield SortedBucket(remaining, {"value": None})


def _buckets_by_document(criterion: FieldSort, universe: int, reader: IndexReader) -> Iterator[SortedBucket]:
    groups: dict[Any, int] = {}
    for number in bitmaps.members(universe):
        value = field_value(reader.document(number), criterion.field, ascending=criterion.ascending)
        groups[value] = groups.get(value, 0) | 1 << number
    without = groups.pop(None, 0)
    for kind in (float, str):
        for value in sorted((v for v in groups if isinstance(v, kind)), reverse=not criterion.ascending):
            yield SortedBucket(groups[value], {"value": value})
    if without:
        yield SortedBucket(without, {"value": None})


def field_value(document: Mapping[str, Any], field: str, *, ascending: bool) -> float | str | None:
    """Return the value a document is sorted by, None where it has none."""
    numbers: list[float] = []
    texts: list[str] = []
    top = field.split(".", maxsplit=1)[0]
    part = {name: value for name, value in document.items() if name == top or name.startswith(top) or field == name}
    for leaf in flatten(part).get(field, ()):
        if isinstance(leaf, bool):
            texts.append("true" if leaf else "false")
        elif isinstance(leaf, str):
            if form := facet_form(leaf):
                texts.append(form)
        elif leaf is not None:
            numbers.append(float(leaf))
    best = min if ascending else max
    if numbers:
        return best(numbers)
    return best(texts, key=lambda text: text.encode()) if texts else None


def _geo_buckets(criterion: GeoSort, universe: int, reader: IndexReader) -> Iterator[SortedBucket]:
    points = reader.points()
    placed = []
    rest = universe
    for number in bitmaps.members(universe):
        point = points.get(number)
        if point is not None:
            placed.append((distance_m(criterion.point, point), number, point))
            rest &= ~(1 << number)
    placed.sort(key=lambda entry: (entry[0] if criterion.ascending else -entry[0], entry[1]))
    start = 0
    while start < len(placed):
        first_m, _, point = placed[start]
        end = start
        while end < len(placed) and end - start < GEO_BUCKET_MAX and abs(placed[end][0] - first_m) < GEO_BUCKET_M:
            end += 1
        numbers = bitmaps.from_numbers([number for _, number, _ in placed[start:end]])
        yield SortedBucket(numbers, {"value": {"lat": point.lat, "lng": point.lng}, "distance": first_m})
        start = end
    if rest:
        yield SortedBucket(rest, {"value": None, "distance": None})
