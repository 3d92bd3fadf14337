"""What an answer of a node must have for it to be one: at its address a proxy may answer, or another server.

What always holds: what passes can be read by whoever asked; everything deeper is taken as a Meilisearch gives it. Who
calls it: the client of nodes, for every success. It must not know: what was asked beyond its path.
"""

from collections.abc import Mapping
from typing import Any

_LISTS: Mapping[str, tuple[str, ...]] = {
    "search": ("hits",),
    "similar": ("hits",),
    "facet-search": ("facetHits",),
    "multi-search": ("hits", "results"),
    "fetch": ("results",),
}
"""Last part of a path, and the list of objects that its answer has; one of several: federated, or not."""

_FIELDS: Mapping[str, str] = {"health": "status", "version": "pkgVersion"}
"""The same for a field that is there."""

_COUNTS: Mapping[str, str] = {"stats": "numberOfDocuments"}
"""The same for a number, of one index."""


_OBJECTS = frozenset((dict,))


def shape_fault(path: str, answer: object) -> str:
    """Return why this is no answer of a Meilisearch to a question of this path; empty where it is one."""
    if not isinstance(answer, dict):
        return f"an object expected, {type(answer).__name__} found: is this a Meilisearch?"
    before, _, last = path.partition("?")[0].rpartition("/")
    if before.endswith("/documents") and last != "fetch":
        return ""  # one document, whose id may be any of the words below
    if last in _LISTS and not any(_has_objects(answer, name) for name in _LISTS[last]):
        return _lacks(" or ".join(_LISTS[last]))
    if last in _FIELDS and _FIELDS[last] not in answer:
        return _lacks(_FIELDS[last])
    if last in _COUNTS and before and not isinstance(answer.get(_COUNTS[last]), int):
        return _lacks(_COUNTS[last])
    return ""


def _has_objects(answer: Mapping[str, Any], name: str) -> bool:
    found = answer.get(name)
    return isinstance(found, list) and _OBJECTS.issuperset(map(type, found))


def _lacks(name: str) -> str:
    return f"answered without {name}, as no Meilisearch does"
