"""The order of listed documents: by sort criteria, over lists of several nodes.

Nodes sort their own lists; what is left is which of the lists' heads comes first, and nodes do not tell the values they
sorted by, so they are read from the documents again. Numbers come before texts, documents without a value last in both
directions, texts compare without case, of several values the least counts, or going down the greatest.
What always holds: no order within one list is changed; the list's place decides between equal heads, so that pages line
up. Who calls it: the listing of documents. It must not know: shards.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Any, NamedTuple

Document = Mapping[str, Any]

SortKey = tuple[tuple[int, Any], ...]

_NUMBER, _TEXT, _NOTHING = range(3)
_EARTH_M = 6_371_000.0
_INVERTED = bytes(255 - byte for byte in range(256))
_POINT = re.compile(r"_geoPoint\(\s*([^,()\s]+)\s*,\s*([^,()\s]+)\s*\)")


class Criterion(NamedTuple):
    """One criterion of a sort.

    Attributes:
        field: whose values are compared; ``_geo`` where a point is given.
        descending: greatest, or farthest, first.
        point: latitude and longitude in degrees, where documents are sorted by their distance from it.
    """

    field: str
    descending: bool
    point: tuple[float, float] | None = None


def parse_criteria(sort: Sequence[str]) -> tuple[Criterion, ...]:
    """Return the criteria of texts such as ``year:asc`` and ``_geoPoint(1, 2):desc``, validated before."""
    criteria = []
    for text in sort:
        name, _, direction = text.rpartition(":")
        match = _POINT.fullmatch(name)
        try:
            point = (float(match[1]), float(match[2])) if match is not None else None
        except ValueError:
            point = None
        field = "_geo" if point is not None else name
        criteria.append(Criterion(field, direction == "desc", point))
    return tuple(criteria)


def merge_sorted(
    lists: Sequence[Sequence[Document]], criteria: Sequence[Criterion], *, offset: int, limit: int
) -> list[Document]:
    """Return the window of the merged list; each list begins at its best document and is sorted already."""
    heads = [(sort_key(documents[0], criteria), at, 0) for at, documents in enumerate(lists) if documents]
    heapify(heads)
    merged: list[Document] = []
    while heads and len(merged) < offset + limit:
        _, at, place = heads[0]
        merged.append(lists[at][place])
        if place + 1 < len(lists[at]):
            heapreplace(heads, (sort_key(lists[at][place + 1], criteria), at, place + 1))
        else:
            heappop(heads)
    return merged[offset:]


def sort_key(document: Document, criteria: Sequence[Criterion]) -> SortKey:
    """Return what documents are compared by: a smaller key comes first."""
    return tuple(_part(document, criterion) for criterion in criteria)


def _part(document: Document, criterion: Criterion) -> tuple[int, Any]:
    if criterion.point is not None:
        return _distance_part(document.get("_geo"), criterion.point, descending=criterion.descending)
    best = max if criterion.descending else min
    numbers: list[float] = []
    texts: list[bytes] = []
    for value in _leaves(document, criterion.field):
        if isinstance(value, bool):
            texts.append(b"true" if value else b"false")
        elif isinstance(value, (int, float)):
            numbers.append(value)
        elif isinstance(value, str) and (folded := fold_text(value)):
            texts.append(folded.encode("utf-8", "surrogatepass"))
    if numbers:
        return _NUMBER, -best(numbers) if criterion.descending else best(numbers)
    if texts:
        # Inverted, and closed by the largest byte, bytes compare the other way round, prefixes included.
        return _TEXT, best(texts).translate(_INVERTED) + b"\xff" if criterion.descending else best(texts)
    return _NOTHING, 0


def fold_text(text: str) -> str:
    """Return the text as it is compared: without case and outer blanks, accents behind their letters."""
    return unicodedata.normalize("NFKD", text.strip()).lower()


def _leaves(value: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path such as ``a.b``, through lists, and also under a name with a dot in it."""
    if not path:
        if isinstance(value, list):
            for item in value:
                yield from _leaves(item, "")
        else:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == path:
                yield from _leaves(inner, "")
            elif path.startswith(f"{name}."):
                yield from _leaves(inner, path[len(name) + 1 :])


def _distance_part(geo: Any, point: tuple[float, float], *, descending: bool) -> tuple[int, float]:
    try:
        latitude, longitude = math.radians(float(geo["lat"])), math.radians(float(geo["lng"]))
    except (KeyError, TypeError, ValueError):
        return _NOTHING, 0
    own_latitude, own_longitude = map(math.radians, point)
    half = math.sin((latitude - own_latitude) / 2) ** 2
    half += math.cos(latitude) * math.cos(own_latitude) * math.sin((longitude - own_longitude) / 2) ** 2
    distance = 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(half)))
    return _NUMBER, -distance if descending else distance
