"""Searches of every kind, made of words and values that an index's own documents hold.

What always holds: the same seed makes the same searches. Who calls it: the oracle's benchmark and its test. It must not
know: who answers them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

Document = Mapping[str, Any]


class _Shape(NamedTuple):
    """What one index can be asked for."""

    texts: Sequence[str]
    """Fields that words are taken from."""
    values: Sequence[str]
    """Filterable fields of texts."""
    numbers: Sequence[str]
    """Filterable fields of numbers."""
    sorts: Sequence[str]
    distinct: Sequence[str]
    geo: bool = False


_SHAPES: Mapping[str, _Shape] = {
    "movies": _Shape(
        ("title", "director"),
        ("genre", "mpaa", "distributor", "director"),
        ("year", "imdb_rating", "us_gross"),
        ("year", "imdb_rating", "us_gross", "title", "release_date"),
        ("director", "year", "genre"),
    ),
    "movies_tuned": _Shape(
        ("title", "director"), ("genre", "mpaa"), ("year",), ("year", "imdb_rating"), ("genre", "director")
    ),
    "cities": _Shape(
        ("name",),
        ("country", "continent", "timezone"),
        ("population",),
        ("population", "name"),
        ("country", "timezone", "alternates"),
        geo=True,
    ),
    "wordnet": _Shape(("words", "definition"), ("pos", "lexfile"), (), ("lexfile",), ("pos", "words")),
}

ALIKE = 0.7
"""How many of the searches are made of one document; words and values of several seldom meet in any."""

GEO_LIST_MAX = 1000
"""Documents of a list by distance that a node gives in order."""

_POINTS = ((48.85, 2.35), (40.7, -74.0), (-33.9, 151.2), (35.7, 139.7))


def build_searches(name: str, documents: Sequence[Document], count: int, random: Random) -> Iterator[dict[str, Any]]:
    """Yield ``count`` searches of an index: half of them with a text, each with up to three more wishes."""
    shape = _SHAPES[name]
    wishes: list[Callable[[_Shape, Sequence[Document], Random], dict[str, Any]]] = [
        _filter, _filter, _sort, _sort, _page, _window, _facets, _facets, _distinct, _strategy, _threshold, _format
    ]  # fmt: skip
    for number in range(count):
        pool = _pool(shape, documents, random)
        body: dict[str, Any] = {"q": _text(shape, pool, random)} if number % 2 else {}
        for wish in random.sample(wishes, random.randint(0, 3)):
            body |= wish(shape, pool, random)
        yield body


def _pool(shape: _Shape, documents: Sequence[Document], random: Random) -> Sequence[Document]:
    """Return whose words and values a search has: mostly those of one document, which it then finds as a rule."""
    if random.random() > ALIKE:
        return documents
    while True:
        document = random.choice(documents)
        if any(document.get(field) for field in shape.texts):
            return [document]


def _words(shape: _Shape, documents: Sequence[Document], random: Random) -> list[str]:
    while True:
        value = random.choice(documents).get(random.choice(shape.texts))
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        if words := text.split():
            return words


def _text(shape: _Shape, documents: Sequence[Document], random: Random) -> str:
    words = _words(shape, documents, random)
    kind = random.randrange(6)
    at = random.randrange(len(words))
    if kind == 0:
        return words[at]
    if kind == 1:
        return words[at][: random.randint(1, 4)]
    if kind == 2:
        word = words[at]
        cut = random.randrange(len(word))
        return word[:cut] + random.choice("aeiost") + word[cut + 1 :]
    if kind == 3:
        return f'"{" ".join(words[at : at + 2])}"'
    if kind == 4:
        return " ".join((words[at], random.choice(_words(shape, documents, random))))
    return " ".join(words[at : at + 3])


def _value(documents: Sequence[Document], field: str, random: Random) -> Any:
    for _ in range(50):
        value = random.choice(documents).get(field)
        if isinstance(value, list):
            value = random.choice(value) if value else None
        if value is not None:
            return value
    return 0


def _filter(shape: _Shape, documents: Sequence[Document], random: Random) -> dict[str, Any]:
    parts = []
    for _ in range(random.randint(1, 2)):
        if shape.numbers and random.random() < 0.4:
            field = random.choice(shape.numbers)
            parts.append(f"{field} {random.choice(('>', '<=', '!='))} {_value(documents, field, random)}")
        elif shape.geo and random.random() < 0.3:
            lat, lng = random.choice(_POINTS)
            parts.append(f"_geoRadius({lat}, {lng}, {random.choice((200_000, 2_000_000))})")
        else:
            field = random.choice(shape.values)
            value = str(_value(documents, field, random)).replace('"', "")
            parts.append(f'{field} {random.choice(("=", "!=", "="))} "{value}"')
    return {"filter": random.choice((parts, " OR ".join(parts)))}


def _sort(shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    fields = random.sample(shape.sorts, min(len(shape.sorts), random.randint(1, 2)))
    criteria = [f"{field}:{random.choice(('asc', 'desc'))}" for field in fields]
    if shape.geo and random.random() < 0.5:
        lat, lng = random.choice(_POINTS)
        criteria[0] = f"_geoPoint({lat}, {lng}):{random.choice(('asc', 'desc'))}"
    return {"sort": criteria}


def _page(_shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    return {"page": random.randint(1, 12), "hitsPerPage": random.choice((1, 5, 20, 100))}


def _window(_shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    return {"offset": random.choice((0, 3, 50, 400, 980)), "limit": random.choice((0, 1, 7, 20, 100))}


def _facets(shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    names = (*shape.values, *shape.numbers)
    return {"facets": ["*"] if random.random() < 0.2 else random.sample(names, min(2, len(names)))}


def _distinct(shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    return {"distinct": random.choice(shape.distinct)}


def _strategy(_shape: _Shape, _documents: Sequence[Document], _random: Random) -> dict[str, Any]:
    return {"matchingStrategy": "all"}


def _threshold(_shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    return {"rankingScoreThreshold": random.choice((0.2, 0.5, 0.9))}


def _format(shape: _Shape, _documents: Sequence[Document], random: Random) -> dict[str, Any]:
    field = random.choice(shape.texts)
    return {"attributesToHighlight": ["*"], "attributesToCrop": [field], "attributesToRetrieve": ["id", field]}


def build_facet_searches(
    name: str, documents: Sequence[Document], count: int, random: Random
) -> Iterator[dict[str, Any]]:
    """Yield ``count`` searches in the values of an index's facets."""
    shape = _SHAPES[name]
    for _ in range(count):
        pool, field = _pool(shape, documents, random), random.choice(shape.values)
        body: dict[str, Any] = {"facetName": field}
        if random.random() < 0.7:
            body["facetQuery"] = str(_value(pool, field, random))[: random.randint(1, 6)]
        if random.random() < 0.4:
            body |= _filter(shape, pool, random)
        if random.random() < 0.3:
            body["q"] = _text(shape, pool, random)
        yield body


def build_lists(name: str, documents: Sequence[Document], count: int, random: Random) -> Iterator[dict[str, Any]]:
    """Yield ``count`` questions for an index's documents themselves: filtered, sorted, in pages.

    Of those by distance none goes beyond a thousand documents, where Meilisearch 1.50 begins with the nearest anew, and
    none has a second criterion: whatever lies within a metre of the nearest is equally far for a node, and the nearest
    of one node is not that of all.
    """
    shape = _SHAPES[name]
    for _ in range(count):
        body: dict[str, Any] = {"offset": random.choice((0, 0, 7, 300)), "limit": random.choice((1, 20, 100, 1000))}
        if random.random() < 0.7:
            body |= _filter(shape, _pool(shape, documents, random), random)
        if random.random() < 0.5:
            body |= _sort(shape, documents, random)
            if body["sort"][0].startswith("_geoPoint"):
                body["sort"] = body["sort"][:1]
                body["limit"] = min(body["limit"], GEO_LIST_MAX - body["offset"])
        yield body


def build_federated(name: str, documents: Sequence[Document], count: int, random: Random) -> Iterator[dict[str, Any]]:
    """Yield ``count`` federated searches of two or three queries, which name no index yet."""
    shape = _SHAPES[name]
    for _ in range(count):
        queries = []
        for _ in range(random.randint(2, 3)):
            pool = _pool(shape, documents, random)
            query: dict[str, Any] = {"q": _text(shape, pool, random)}
            if random.random() < 0.5:
                query |= _filter(shape, pool, random)
            if random.random() < 0.5:
                query["federationOptions"] = {"weight": random.choice((0.3, 1.0, 2.0))}
            queries.append(query)
        window = {"offset": random.choice((0, 0, 5, 40)), "limit": random.choice((5, 20, 100))}
        yield {"federation": window, "queries": queries}
