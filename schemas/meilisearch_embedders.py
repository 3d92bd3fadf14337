"""The embedders of an index: those whose vectors the user provides, what is refused, how a change is laid over them.

A *change* maps an embedder's name to the fields that change, or to null where it goes. Settings keep the names of those
that went, with null: a node is sent whole settings, and forgets an embedder only when it is told its name.

What always holds: merging a change twice changes nothing more; every embedder that is there has a source and
dimensions. Who calls it: the settings of an index, and what shows or sends them. It must not know: nodes.
"""

from collections.abc import Mapping
from typing import Any

from schemas.errors import InvalidRequestError
from schemas.meilisearch_values import (
    check_fields,
    read_boolean,
    read_count,
    read_object,
    read_one_of,
    wrong_type,
    wrong_value,
)

SOURCE = "userProvided"

_SOURCES = ("openAi", "huggingFace", "ollama", SOURCE, "rest", "composite")
_FIELDS = (
    *("source", "model", "revision", "pooling", "apiKey", "dimensions", "binaryQuantized", "documentTemplate"),
    *("documentTemplateMaxBytes", "url", "indexingFragments", "searchFragments", "request", "response", "headers"),
    *("searchEmbedder", "indexingEmbedder", "distribution"),
)
_OWN_FIELDS = ("source", "dimensions", "distribution", "binaryQuantized")
_CODE = "invalid_settings_embedders"

Embedders = Mapping[str, Mapping[str, Any] | None]


def read_embedders(value: Any, code: str, path: str) -> dict[str, Any]:
    """Return a body's embedders as a change.

    Raises:
        InvalidRequestError: no such embedder can be; or it would not be the user who provides the vectors.
    """
    fields = read_object(value, code, path)
    return {
        name: None if part is None else _read_embedder(part, code, f"{path}.{name}") for name, part in fields.items()
    }


def merge_embedders(embedders: Embedders, change: Embedders | None) -> dict[str, Any]:
    """Return embedders with a change laid over them, null for those that went; no change at all takes every one away.

    Raises:
        InvalidRequestError: an embedder would lack its source or dimensions, or get back what quantization has lost.
    """
    if change is None:
        return dict.fromkeys(embedders)
    merged = dict(embedders)
    for name, fields in change.items():
        merged[name] = None if fields is None else _merge_embedder(name, embedders.get(name), fields)
    return {name: merged[name] for name in sorted(merged)}


def shown_embedders(embedders: Embedders) -> dict[str, Any]:
    """Return the embedders that are there, as their user sees them."""
    return {name: fields for name, fields in embedders.items() if fields is not None}


def node_embedders(embedders: Embedders) -> dict[str, Any]:
    """Return what nodes are sent: whatever they had under these names does not matter."""
    return {name: None if fields is None else {"distribution": None, **fields} for name, fields in embedders.items()}


def _read_embedder(value: Any, code: str, path: str) -> dict[str, Any]:
    fields = read_object(value, code, path)
    check_fields(fields, _FIELDS, path, code)
    source = fields.get("source")
    if source is not None and read_one_of(_SOURCES, source, code, f"{path}.source") != SOURCE:
        raise InvalidRequestError(
            "miroir_not_supported", f"`{path}`: source `{source}` is not supported by miroir yet."
        )
    for name in fields:
        if name not in _OWN_FIELDS:
            listed = ", ".join(f"`{own}`" for own in _OWN_FIELDS)
            note = f"note: available fields for source `{SOURCE}`: {listed}"
            raise InvalidRequestError(code, f"`{path}`: Field `{name}` unavailable for source `{SOURCE}`.\n  - {note}")
    read: dict[str, Any] = {} if source is None else {"source": source}
    if fields.get("dimensions") is not None:
        read["dimensions"] = _dimensions(fields["dimensions"], code, f"{path}.dimensions")
    if fields.get("binaryQuantized") is not None:
        read["binaryQuantized"] = read_boolean(fields["binaryQuantized"], code, f"{path}.binaryQuantized")
    if "distribution" in fields:
        found = fields["distribution"]
        read["distribution"] = None if found is None else _distribution(found, code, f"{path}.distribution")
    return read


def _dimensions(value: Any, code: str, path: str) -> int:
    count = read_count(value, code, path)
    if not count:
        raise InvalidRequestError(code, f"`{path}`: `dimensions` cannot be zero")
    return count


def _distribution(value: Any, code: str, path: str) -> dict[str, float]:
    fields = read_object(value, code, path)
    check_fields(fields, ("mean", "sigma"), path, code)
    read: dict[str, float] = {}
    for name in ("mean", "sigma"):
        if name not in fields:
            raise InvalidRequestError(code, f"Missing field `{name}` inside `{path}`")
        number = fields[name]
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise wrong_type(code, f"{path}.{name}", "a number", number)
        read[name] = number
    if not 0 <= read["mean"] <= 1:
        raise wrong_value(code, path, f"the distribution mean must be in the range [0, 1], got {read['mean']}")
    if not 0 < read["sigma"] <= 1:
        raise wrong_value(code, path, f"the distribution sigma must be in the range ]0, 1], got {read['sigma']}")
    return read


def _merge_embedder(name: str, old: Mapping[str, Any] | None, change: Mapping[str, Any]) -> dict[str, Any]:
    path = f".embedders.{name}"
    if old is None and "source" not in change:
        raise InvalidRequestError("miroir_not_supported", f"`{path}`: source `openAi` is not supported by miroir yet.")
    merged = {**(old or {}), **change}
    if "dimensions" not in merged:
        note = f"note: this field is mandatory for source `{SOURCE}`"
        raise InvalidRequestError(_CODE, f"`{path}`: Missing field `dimensions` ({note})")
    if (old or {}).get("binaryQuantized") and not merged["binaryQuantized"]:
        text = (
            f"`{path}.binaryQuantized`: Cannot disable the binary quantization.\n"
            " - Note: Binary quantization is a lossy operation that cannot be reverted.\n"
            " - Hint: Add a new embedder that is non-quantized and regenerate the vectors."
        )
        raise InvalidRequestError(_CODE, text)
    # Meilisearch's own order; what is not set does not show.
    return {field: merged[field] for field in _SHOWN if merged.get(field) is not None}


_SHOWN = ("source", "dimensions", "binaryQuantized", "distribution")
