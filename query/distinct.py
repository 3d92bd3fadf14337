"""Which documents share a value of the distinct attribute.

What always holds: values compare in the facet form, numbers and texts apart, as a node compares them; a document
without a value is never a duplicate. Who calls it: the merge of hits, for duplicates that live on different nodes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from query.facets import facet_form


class DistinctValues:
    """The values already shown.

    Attributes:
        orphaned: whether a document was refused that has values nobody else has shown. On its own node it may have
            stood in the way of others with these values, which nothing stands in the way of now.
    """

    __slots__ = ("_attribute", "_seen", "orphaned")

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute
        self._seen: set[float | str] = set()
        self.orphaned = False

    def add(self, document: Mapping[str, Any]) -> bool:
        """Return whether the document shares no value with those kept so far, and if so keep its own."""
        values = set(_forms(document, self._attribute))
        if not self._seen.isdisjoint(values):
            self.orphaned = self.orphaned or not values <= self._seen
            return False
        self._seen |= values
        return True


def _forms(document: Mapping[str, Any], path: str) -> Iterator[float | str]:
    for value in values_at(document, path):
        if isinstance(value, bool):
            yield "true" if value else "false"
        elif isinstance(value, (int, float)):
            yield float(value)
        elif isinstance(value, str) and (form := facet_form(value)):
            yield form


def values_at(value: object, path: str) -> Iterator[object]:
    """Return the leaves under a dotted name, through objects and arrays, as a node flattens documents."""
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, path)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name == path:
                yield from _leaves(part)
            elif path.startswith(f"{name}."):
                yield from values_at(part, path[len(name) + 1 :])


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, dict):
        yield value
