"""Document ids: what may be one, and which field holds it.

What always holds: an id is an integer or a string of letters, digits, ``-`` and ``_``, at most 511 bytes; as text
``7`` and ``"7"`` are the same document. Who calls it: the indexer.
"""

import re
from collections.abc import Mapping
from typing import Any

from miroir.node.protocol.errors import ApiError
from schemas.meilisearch_values import show_json

BYTES_MAX = 511

_ID = re.compile(r"[a-zA-Z0-9_-]{1,511}")
_RULE = (
    "A document identifier can be of type integer or string, only composed of alphanumeric characters (a-z A-Z 0-9),"
    " hyphens (-) and underscores (_), and can not be more than 511 bytes."
)
_ADVICE = "Please specify the primary key manually using the `primaryKey` query parameter."
_MISSING = object()


def read_id(document: Mapping[str, Any], primary_key: str) -> str:
    """Return a document's id as text.

    Raises:
        ApiError: ``missing_document_id`` or ``invalid_document_id``.
    """
    value: Any = document.get(primary_key, _MISSING)
    if value is _MISSING:
        value = _nested(document, primary_key)
    if value is _MISSING:
        text = f"Document doesn't have a `{primary_key}` attribute: `{show_json(document)}`."
        raise ApiError("missing_document_id", text)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and _ID.fullmatch(value.strip()):
        return value.strip()
    raise ApiError("invalid_document_id", f"Document identifier `{show_json(value)}` is invalid. {_RULE}")


def infer_primary_key(document: Mapping[str, Any]) -> str:
    """Return the field of a first document that ends with ``id``.

    Raises:
        ApiError: no such field, or several.
    """
    fields = sorted(name for name in document if name.lower().endswith("id"))
    if len(fields) == 1:
        return fields[0]
    if not fields:
        text = "The primary key inference failed as the engine did not find any field ending with `id` in its name."
        raise ApiError("index_primary_key_no_candidate_found", f"{text} {_ADVICE}")
    text = (
        f"The primary key inference failed as the engine found {len(fields)} fields ending with `id` in their names:"
        f" '{fields[0]}' and '{fields[1]}'."
    )
    raise ApiError("index_primary_key_multiple_candidates_found", f"{text} {_ADVICE}")


def _nested(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _MISSING
        value = value[name]
    return value
