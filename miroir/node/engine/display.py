"""Which parts of a document an answer shows.

What always holds: the document's own order of fields stays. Source: ``ranking.md`` section 7. Who calls it: searches,
document routes.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def select(document: Mapping[str, Any], names: Sequence[str] | None, *, strict: bool = False) -> dict[str, Any]:
    """Return the named parts of a document; None for all of it.

    Args:
        document: the document.
        names: attributes, also nested ones (``sub.a``).
        strict: leave out what has no nested attributes where one was named; else it stands for itself.
    """
    if names is None or "*" in names:
        return dict(document)
    return _select(document, "", set(names), strict=strict)


def _select(value: Mapping[str, Any], prefix: str, chosen: set[str], *, strict: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if name in chosen:
            shown[key] = item
        elif any(wanted.startswith(name + ".") for wanted in chosen) and not (strict and _is_leaf(item)):
            shown[key] = _inside(item, name + ".", chosen, strict=strict)
    return shown


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _inside(item: Any, prefix: str, chosen: set[str], *, strict: bool) -> Any:
    if isinstance(item, dict):
        return _select(item, prefix, chosen, strict=strict)
    if isinstance(item, list):
        parts = [_inside(inner, prefix, chosen, strict=strict) for inner in item if not (strict and _is_leaf(inner))]
        return [part for part in parts if part != {}] if strict else parts
    return item


def displayed_names(retrieve: Sequence[str] | None, displayed: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names both the request and the settings allow, None for all."""
    if "*" in displayed:
        return None if retrieve is None or "*" in retrieve else tuple(retrieve)
    if retrieve is None or "*" in retrieve:
        return tuple(displayed)
    return tuple(name for name in retrieve if name in displayed)
