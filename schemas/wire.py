"""How the frozen values of ``schemas/`` become bytes in the log and come back.

What always holds: ``parse(kind, build(value)) == value``; an unknown field, a missing one or one of a wrong type is an
``InvalidInputError`` that names kind, field and reason, never a value half read. A reader of a newer writer's record
stops loudly therefore: upgrade readers first (``docs/wire.md``). Who calls it: the modules of the records. It must not
know: any particular record.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from schemas.errors import InvalidInputError

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
"""The pydantic configuration of every record that we own: set as ``__pydantic_config__`` of its dataclass."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # a type or a union of types: they share no type of their own
    return TypeAdapter(kind)


def build(value: object) -> bytes:
    """Return a frozen value as JSON.

    Raises:
        InvalidInputError: an integer in it has more than 64 bits, or a text is none of Unicode.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise InvalidInputError(str(error)) from error


def parse(kind: type[T], data: bytes, *, name: str | None = None) -> T:
    """Return the value of ``kind`` that ``data`` holds.

    Args:
        kind: what it is to be.
        data: JSON.
        name: what errors call it; the kind's own name where it has one.

    Raises:
        InvalidInputError: it is not JSON, or not of this form.
    """
    try:
        value: T = _adapter(cast("Hashable", kind)).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "value"
        raise InvalidInputError(f"{name or kind.__name__}: {where}: {first['msg']}") from error
    return value
