"""Reading the values of a JSON body, and Meilisearch's words for those that are wrong.

What always holds: a reader returns the value in our type or raises with the code of its field and the message a
Meilisearch 1.50 gives, place included (``.limit``, ``.sort[0]``). Who calls it: whatever parses a body of Meilisearch's
API. It does not know which fields a body has.
"""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from schemas.errors import InvalidSearchError
from schemas.near_names import expected_one_of


def read_string(value: object, code: str, place: str) -> str:
    """Return the value of a field that is text."""
    if isinstance(value, str):
        return value
    raise wrong_type(value, code, place, "a string")


def read_count(value: object, code: str, place: str) -> int:
    """Return the value of a field that is a number of things, 0 or more."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise wrong_type(value, code, place, "a positive integer")


def read_number(value: object, code: str, place: str) -> float:
    """Return the value of a field that is any number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise wrong_type(value, code, place, "a number")


def read_flag(value: object, code: str, place: str) -> bool:
    """Return the value of a field that is true or false."""
    if isinstance(value, bool):
        return value
    raise wrong_type(value, code, place, "a boolean")


def read_strings(value: object, code: str, place: str) -> tuple[str, ...]:
    """Return the value of a field that is a list of texts."""
    if not isinstance(value, list):
        raise wrong_type(value, code, place, "an array")
    return tuple(read_string(item, code, f"{place}[{number}]") for number, item in enumerate(value))


def read_numbers(value: object, code: str, place: str) -> tuple[float, ...]:
    """Return the value of a field that is a list of numbers."""
    if not isinstance(value, list):
        raise wrong_type(value, code, place, "an array")
    return tuple(read_number(item, code, f"{place}[{number}]") for number, item in enumerate(value))


def read_object(value: object, code: str, place: str) -> Mapping[str, object]:
    """Return the value of a field that is an object."""
    if isinstance(value, dict):
        return value
    raise wrong_type(value, code, place, "an object")


def read_choice(value: object, code: str, place: str, choices: Sequence[str]) -> str:
    """Return the value of a field that is one of a few words."""
    text = read_string(value, code, place)
    if text in choices:
        return text
    raise InvalidSearchError(code, f"Unknown value `{text}` at `{place}`: {expected_one_of(text, choices)}")


def show(value: object) -> str:
    """Return the JSON of a parsed value; of one that is nested too deeply to be written, its kind."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return "[…]" if isinstance(value, list) else "{…}"


def wrong_type(value: object, code: str, place: str, expected: str) -> InvalidSearchError:
    """Return the error for a value of another type; ``place`` is empty for the body itself."""
    at = f" at `{place}`" if place else ""
    return InvalidSearchError(code, f"Invalid value type{at}: expected {expected}, but found {_description(value)}")


def unknown_field(name: str, fields: Iterable[str]) -> InvalidSearchError:
    """Return the error for a field that the body does not have."""
    return InvalidSearchError("bad_request", f"Unknown field `{name}`: {expected_one_of(name, tuple(fields))}")


def _description(value: object) -> str:
    if value is None:
        return "null"
    return f"{_kind(value)}: `{show(value)}`"


def _kind(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case int():
            return "a negative integer" if value < 0 else "a positive integer"
        case float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
