"""Values in query strings: taking them apart with Meilisearch's words for what is wrong.

What always holds: a reader returns a value of the type its name says, or raises ``ApiError`` with the code its caller
gave. Who calls it: the routes and the parsers of what they carry; bodies are read with ``schemas.meilisearch_values``.
"""

import re
from collections.abc import Iterable, Mapping

from miroir.node.protocol.errors import ApiError
from schemas.meilisearch_values import unknown_name

SIZE_MAX = 2**64 - 1
"""The largest count a real node takes."""

UID_MAX = 2**32 - 1
"""The largest uid a task or a batch can have."""

_INTEGER = re.compile(r"\+?\d{1,18}")


def parse_digits(text: str, largest: int) -> int | None:
    """Return the integer that digits stand for, None for any other text and beyond ``largest``."""
    if not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0") or "0"
    # Python refuses to make a number of thousands of digits.
    if len(digits) > len(str(largest)):
        return None
    number = int(digits)
    return number if number <= largest else None


def check_parameters(query: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse a query string that holds a parameter outside ``known``."""
    names = tuple(known)
    for name in query:
        if name not in names:
            raise ApiError("bad_request", unknown_name("parameter", name, names))


def parameter_count(query: Mapping[str, str], name: str, code: str, default: int) -> int:
    """Return the query parameter ``name`` as an integer not below zero."""
    text = query.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        raise ApiError(code, f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer")
    return int(text)


def parameter_boolean(query: Mapping[str, str], name: str, code: str) -> bool | None:
    """Return the query parameter ``name`` as a boolean, None where it is absent."""
    text = query.get(name)
    if text is None:
        return None
    if text not in {"true", "false"}:
        reason = f"could not parse `{text}` as a boolean, expected either `true` or `false`"
        raise ApiError(code, f"Invalid value in parameter `{name}`: {reason}")
    return text == "true"


def parameter_list(query: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """Return the comma-separated query parameter ``name``, None where it is absent."""
    text = query.get(name)
    return None if text is None else tuple(text.split(","))
