"""The id of a hit: what tells documents of one index apart.

What always holds: a primary key such as ``meta.id`` is found within objects, as it is when a document is written. Who
calls it: whatever merges hits. It must not know: where hits come from.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from schemas.document_ids import find_ids


def identity_of(hit: Mapping[str, Any], primary_key: str) -> Any:
    """Return the hit's id; None where it has none. Costs next to nothing unless the primary key has a dot."""
    found = hit.get(primary_key)
    if found is not None or "." not in primary_key:
        return found
    values = find_ids(hit, primary_key)
    return values[0] if values else None


def identities_of(hits: Sequence[Mapping[str, Any]], primary_key: str) -> list[Any]:
    """Return the ids of many hits."""
    if "." in primary_key:
        return [identity_of(hit, primary_key) for hit in hits]
    try:
        return list(map(itemgetter(primary_key), hits))
    except KeyError:  # a hit without one
        return [hit.get(primary_key) for hit in hits]


def identity_key(hit: Mapping[str, Any], primary_key: str) -> tuple[bool, Any]:
    """Return the id as what orders equal hits: numbers before texts."""
    identity = identity_of(hit, primary_key)
    return (isinstance(identity, str), 0 if identity is None else identity)
