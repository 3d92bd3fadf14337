"""The vectors of a document in one form, whichever way they are written.

A document may give an embedder one vector, several, an object with ``embeddings``, or null; a node gives back an object
with several, in numbers of 32 bits, and of a quantized embedder only whether each number is above 0. What always holds:
of a node that has indexed a document ``node_form`` is what ``log_form`` is of that document, or ``log_form`` is None.
Measured on Meilisearch 1.50. Who calls it: whoever compares a node with the log. It must not know: anything else of a
document.

A node reads a decimal with an error in its last bits, so a number that lies between two of 32 bits may become either:
of a document with one, about 1 in 50,000,000 numbers, nothing can be said. Nor can it be of numbers that 32 bits do not
hold, and of vectors that are to be generated again: a node forgets them with their embedder.
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from schemas.meilisearch_embedders import SOURCE, shown_embedders

Embedders = Mapping[str, bool]
"""Name → whether its vectors are quantized: the embedders whose vectors the user provides."""

NO_EMBEDDERS: Embedders = {}

ERROR = 2.0**-50
"""Of a number that a node has read, at most, relative to it: four units in the last place of 64 bits."""

_VECTORS = "_vectors"


def user_embedders(settings: Mapping[str, Any]) -> Embedders:  # Meilisearch owns the shape
    """Return the embedders of an index's settings whose vectors can be compared."""
    shown = shown_embedders(settings.get("embedders") or {})
    return {
        name: bool(fields.get("binaryQuantized"))
        for name, fields in sorted(shown.items())
        if fields.get("source") == SOURCE
    }


def node_form(document: Mapping[str, Any], embedders: Embedders) -> bytes | None:  # a document is any JSON object
    """Return the vectors that a node gives back with a document; None where they are none."""
    return _form(_vectors(document, embedders), embedders, 1.0)


def log_form(document: Mapping[str, Any], embedders: Embedders) -> bytes | None:  # a document is any JSON object
    """Return what a node gives back of a document in the log; None where that cannot be told."""
    vectors = _vectors(document, embedders)
    if any(isinstance(value, dict) and value.get("regenerate") for value in vectors.values()):
        return None
    low, high = (_form(vectors, embedders, 1.0 + error) for error in (-ERROR, ERROR))
    return low if low == high else None


def _vectors(document: Mapping[str, Any], embedders: Embedders) -> Mapping[str, Any]:
    """Return what a document says of each embedder, if it says anything; vectors of others are no vectors."""
    given = document.get(_VECTORS)
    return {name: given.get(name) for name in embedders} if isinstance(given, dict) else {}


def _form(vectors: Mapping[str, Any], embedders: Embedders, factor: float) -> bytes | None:
    """Return the vectors, each number times ``factor``, as bytes: equal ones for equal vectors of equal embedders."""
    parts: list[bytes] = []
    try:
        for name, value in vectors.items():
            singles = [array("f", [number * factor for number in vector]) for vector in _list(value)]
            if not all(math.isfinite(number) for single in singles for number in single):
                return None
            parts += [orjson.dumps([name, *map(len, singles)])] if singles else []
            parts += [
                bytes(number > 0 for number in single) if embedders[name] else single.tobytes() for single in singles
            ]
    except (TypeError, KeyError, OverflowError):
        # No lists, no numbers, or such as even 64 bits do not hold.
        return None
    return b"".join(parts)


def _list(value: Any) -> Sequence[Any]:  # JSON
    """Return the vectors of one embedder."""
    found = value.get("embeddings") if isinstance(value, dict) else value
    if not found:
        return ()
    return found if isinstance(found[0], list) else (found,)
