"""Reading the values of a JSON body, and Meilisearch's words for those that are wrong.

What always holds: a reader returns the value in our type or raises with the code of its field and the message a
Meilisearch 1.50 gives, place included (``.limit``, ``.sort[0]``). Who calls it: whatever parses a body of Meilisearch's
API. It does not know which fields a body has.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

import orjson

from schemas.errors import InvalidSearchError

_TYPO_BUDGETS = ((3, 0), (7, 1), (12, 2), (17, 3), (24, 4))
"""Up to this many bytes, so many typos are forgiven when a name is guessed; beyond the last row, five."""


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


def expected_one_of(given: str, accepted: Sequence[str]) -> str:
    """Return the end of a message about an unknown name: a guess where one is near, and all names."""
    names = ", ".join(f"`{name}`" for name in accepted)
    return f"{_guess(given, accepted)}expected one of {names}"


def _guess(given: str, accepted: Sequence[str]) -> str:
    length_bytes = len(given.encode("utf-8", "replace"))
    budget = next((typos for bytes_max, typos in _TYPO_BUDGETS if length_bytes <= bytes_max), 5)
    if not budget:
        return ""
    # Others are farther than the budget whatever their letters are, and a name may be as long as a body.
    near = (name for name in accepted if abs(len(name) - len(given)) <= budget)
    distance, nearest = min(
        ((_distance(given, name), name) for name in near), key=itemgetter(0), default=(budget + 1, "")
    )
    return f"did you mean `{nearest}`? " if distance <= budget else ""


def _distance(left: str, right: str) -> int:
    """Return how many letters must change, come, go, or change places with their neighbour."""
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]


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
