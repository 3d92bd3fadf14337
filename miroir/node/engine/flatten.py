"""A document to its leaves: which values stand under which dotted name.

What always holds: the leaves of a name come in the document's order; an array's leaves stand under the array's own
name. Source: ``ranking.md`` section 1.3. Who calls it: postings, facets, formatting.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

Leaf = str | int | float | bool | None


def flatten(document: Mapping[str, Any]) -> dict[str, list[Leaf]]:
    """Return the leaves of every dotted name; empty objects and arrays at the top give none."""
    leaves: dict[str, list[Leaf]] = {}
    for name, value in document.items():
        _walk(name, value, leaves, keyed=False)
    for name in _COORDINATES:
        if name in leaves:
            leaves[name] = [_coordinate(leaf) for leaf in leaves[name]]
    return leaves


_COORDINATES = ("_geo.lat", "_geo.lng")


def _coordinate(leaf: Leaf) -> Leaf:
    """Return a coordinate as a number, which it may also be given as a text of."""
    try:
        return float(leaf) if isinstance(leaf, str) else leaf
    except ValueError:
        return leaf


def _walk(name: str, value: Any, leaves: dict[str, list[Leaf]], *, keyed: bool) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _walk(f"{name}.{key}", item, leaves, keyed=True)
    elif isinstance(value, list):
        if keyed:
            # The real node counts an array held by a key inside an object as a first, empty leaf.
            leaves.setdefault(name, []).append(None)
        for item in value:
            _walk(name, item, leaves, keyed=False)
    else:
        leaves.setdefault(name, []).append(value)


def values_at(document: Mapping[str, Any], path: str) -> list[Any]:
    """Return every value found under a dotted name, arrays of objects walked through; arrays are not opened."""
    found: list[Any] = []
    _descend(document, path, found)
    return found


def _descend(value: Mapping[str, Any], path: str, found: list[Any]) -> None:
    if path in value:
        found.append(value[path])
    for name, item in value.items():
        if path.startswith(name) and path[len(name) : len(name) + 1] == ".":
            rest = path[len(name) + 1 :]
            for inner in _objects(item):
                _descend(inner, rest, found)


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def is_under(name: str, entries: Sequence[str]) -> int | None:
    """Return the place of the first entry that is ``name`` or a parent of it, 0 for ``*``, None for none."""
    for place, entry in enumerate(entries):
        if entry in {"*", name} or name.startswith(entry + "."):
            return place
    return None


def leaf_text(leaf: Leaf) -> str | None:
    """Return the text that is searched for a leaf, None for null."""
    match leaf:
        case None:
            return None
        case bool():
            return "true" if leaf else "false"
        case str():
            return leaf
        case int():
            return str(leaf)
        case _:
            return number_text(leaf)


def number_text(number: float) -> str:
    """Return the shortest text of a float; ``1.0`` stays ``1.0``, from 1e16 and below 1e-5 with an exponent."""
    text = repr(number)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    if int(exponent) == _PLAIN_EXPONENT:
        return format(Decimal(text), "f")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


_PLAIN_EXPONENT = -5
"""The smallest exponent the real node still writes out; Python does not."""
