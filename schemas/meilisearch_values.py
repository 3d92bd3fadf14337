"""Values in bodies that Meilisearch owns: taken apart with Meilisearch's words for what is wrong.

What always holds: a reader returns a value of the type its name says, or raises ``InvalidRequestError`` with the code
its caller gave. Who calls it: the parsers of settings, and of what the embedded node is asked. It must not know: any
route or setting.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from schemas.errors import InvalidRequestError
from schemas.near_names import expected_one_of


def wrong_type(code: str, path: str, expected: str, value: Any) -> InvalidRequestError:
    """Return the error for a value of another type than ``expected``."""
    where = f" at `{path}`" if path else ""
    found = describe(value)
    return InvalidRequestError(code, f"Invalid value type{where}: expected {expected}, but found {found}")


def wrong_value(code: str, path: str, text: str) -> InvalidRequestError:
    """Return the error for a value of the right type that no index can have."""
    where = f" at `{path}`" if path else ""
    return InvalidRequestError(code, f"Invalid value{where}: {text}")


def check_fields(body: Mapping[str, Any], known: Iterable[str], path: str = "", code: str = "bad_request") -> None:
    """Refuse a body that holds a field outside ``known``."""
    names = tuple(known)
    for name in body:
        if name not in names:
            inside = f" inside `{path}`" if path else ""
            raise InvalidRequestError(code, unknown_name("field", name, names, inside=inside))


def read_object(value: Any, code: str = "bad_request", path: str = "") -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object."""
    if not isinstance(value, Mapping):
        raise wrong_type(code, path, "an object", value)
    return value


def read_string(value: Any, code: str, path: str) -> str:
    """Return ``value`` if it is a string."""
    if not isinstance(value, str):
        raise wrong_type(code, path, "a string", value)
    return value


def read_boolean(value: Any, code: str, path: str) -> bool:
    """Return ``value`` if it is a boolean."""
    if not isinstance(value, bool):
        raise wrong_type(code, path, "a boolean", value)
    return value


def read_count(value: Any, code: str, path: str) -> int:
    """Return ``value`` if it is an integer not below zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise wrong_type(code, path, "a positive integer", value)
    return value


def read_array(value: Any, code: str, path: str) -> list[Any]:
    """Return ``value`` if it is an array."""
    if not isinstance(value, list | tuple):
        raise wrong_type(code, path, "an array", value)
    return list(value)


def read_strings(value: Any, code: str, path: str) -> list[str]:
    """Return ``value`` if it is an array of strings."""
    return [read_string(item, code, f"{path}[{at}]") for at, item in enumerate(read_array(value, code, path))]


def read_one_of(names: Iterable[str], value: Any, code: str, path: str) -> str:
    """Return ``value`` if it is one of the names."""
    text = read_string(value, code, path)
    if text not in (known := tuple(names)):
        where = f" at `{path}`" if path else ""
        raise InvalidRequestError(code, unknown_name("value", text, known, inside=where))
    return text


def unknown_name(kind: str, name: str, names: Iterable[str], *, inside: str = "") -> str:
    """Return what Meilisearch says about a name it does not know, with the one that may have been meant."""
    return f"Unknown {kind} `{name}`{inside}: {expected_one_of(name, tuple(names))}"


def show_json(value: Any) -> str:
    """Return ``value`` as compact JSON text, the way error messages quote it."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # An integer beyond 64 bits.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def describe(value: Any) -> str:
    """Return kind and text of a JSON value, as Meilisearch quotes it."""
    match value:
        case None:
            return "null"
        case bool():
            kind = "a boolean"
        case int():
            kind = "a negative integer" if value < 0 else "a positive integer"
        case float():
            kind = "a number"
        case str():
            kind = "a string"
        case list() | tuple():
            kind = "an array"
        case _:
            kind = "an object"
    return f"{kind}: `{show_json(value)}`"
