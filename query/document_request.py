"""A request to list documents, parsed, from parameters or from a body.

What always holds: the types are those Meilisearch 1.50 asks for, and what is wrong is said with its codes and words.
Who calls it: the listing routes. It must not know: settings, or nodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from query.body import read_count, read_flag, read_strings, unknown_field, wrong_type
from query.counts import parse_count
from query.documents import invalid_id
from query.parameters import parse_condition, parse_sort
from schemas.document_ids import parse_id
from schemas.errors import InvalidDocumentError, InvalidRequestError

LIMIT_DEFAULT = 20
FIELDS = ("offset", "limit", "fields", "retrieveVectors", "ids", "filter", "sort", "useNetwork")
"""Of a body and of the parameters alike, in the order in which Meilisearch's message lists them."""


@dataclass(frozen=True, slots=True)
class DocumentsRequest:
    """Which documents are wanted, and what of them.

    Attributes:
        fields: None is all of them.
        vectors: whether embeddings are asked for.
        ids: each once; None is no matter which.
        condition: the filter, as it was given.
        sort: criteria; empty is the nodes' own order.
        network: whether other Meilisearches are to be asked, too.
    """

    offset: int = 0
    limit: int = LIMIT_DEFAULT
    fields: tuple[str, ...] | None = None
    vectors: bool = False
    ids: tuple[str, ...] | None = None
    condition: object = None
    sort: tuple[str, ...] = ()
    network: bool = False


def parse_fetch(body: object) -> DocumentsRequest:
    """Return the request of a POST body.

    Raises:
        InvalidSearchError: a field is unknown or wrong.
        InvalidRequestError: an id is.
    """
    if not isinstance(body, dict):
        raise wrong_type(body, "bad_request", "", "an object")
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name not in FIELDS:
            raise unknown_field(name, FIELDS)
        place = f".{name}"
        match name:
            case "offset" | "limit":
                found[name] = read_count(value, f"invalid_document_{name}", place)
            case "fields" | "sort" if value is not None:
                found[name] = read_strings(value, f"invalid_document_{name}", place)
            case "ids" if value is not None:
                found[name] = _ids(value)
            case "retrieveVectors":
                found["vectors"] = read_flag(value, "invalid_document_retrieve_vectors", place)
            case "useNetwork" if value is not None:
                found["network"] = read_flag(value, "invalid_document_use_network", place)
            case "filter":
                found["condition"] = value
    return _request(found)


def parse_list(parameters: Mapping[str, str]) -> DocumentsRequest:
    """Return the request of a GET's parameters.

    Raises:
        InvalidRequestError: a parameter is wrong; unknown ones were refused before.
    """
    found: dict[str, Any] = {}
    for name in ("offset", "limit"):
        if name in parameters:
            found[name] = _count(name, parameters[name])
    if "fields" in parameters:
        found["fields"] = split_list(parameters["fields"])
    if "sort" in parameters:
        found["sort"] = parse_sort(parameters["sort"])
    if "ids" in parameters:
        found["ids"] = _checked_ids(split_list(parameters["ids"]))
    if "filter" in parameters:
        found["condition"] = parse_condition(parameters["filter"])
    for name, target in (("retrieveVectors", "vectors"), ("useNetwork", "network")):
        if name in parameters:
            found[target] = parse_document_flag(name, parameters[name])
    return _request(found)


def parse_document_flag(name: str, text: str) -> bool:
    """Return the value of a parameter that is ``true`` or ``false``.

    Raises:
        InvalidRequestError: it is neither.
    """
    if text not in ("true", "false"):
        expected = f"could not parse `{text}` as a boolean, expected either `true` or `false`"
        code = {"retrieveVectors": "invalid_document_retrieve_vectors", "useNetwork": "invalid_document_use_network"}
        raise InvalidRequestError(code[name], f"Invalid value in parameter `{name}`: {expected}")
    return text == "true"


def split_list(text: str) -> tuple[str, ...]:
    """Return the items of a parameter that is a list, split as Meilisearch does; empty text is no item."""
    return tuple(text.split(",")) if text else ()


def _request(found: Mapping[str, Any]) -> DocumentsRequest:
    wanted = dict(found)
    if wanted.get("fields") is not None and "*" in wanted["fields"]:
        del wanted["fields"]
    return DocumentsRequest(**wanted)


def _ids(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong_type(value, "invalid_document_ids", ".ids", "an array")
    return _checked_ids(value)


def _checked_ids(values: Sequence[object]) -> tuple[str, ...]:
    """Return the ids as record keys, each once; a value that no document can have as its id is refused."""
    ids: dict[str, None] = {}
    for number, value in enumerate(values):
        try:
            ids[parse_id(value)] = None
        except InvalidDocumentError:
            raise InvalidRequestError("invalid_document_ids", f"In `.ids[{number}]`: {invalid_id(value)}") from None
    return tuple(ids)


def _count(name: str, text: str) -> int:
    if (count := parse_count(text.removeprefix("+"))) is not None:
        return count
    message = f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer"
    raise InvalidRequestError(f"invalid_document_{name}", message)
