"""Request bodies and parameters in, JSON answers out.

What always holds: a body is bounded, also after decompression; an unknown parameter or field is refused in
Meilisearch's words. Who calls it: the routes. It must not know: what a body means.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from aiohttp import web

from query.body import wrong_type
from query.counts import parse_count
from schemas.compressed_bodies import decompress, incomplete, too_large
from schemas.errors import InvalidRequestError
from schemas.malformed import explain_malformed
from schemas.near_names import expected_one_of

JSON = "application/json"


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer with a JSON body."""
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)


async def read_body(request: web.Request) -> bytes:
    """Return the body, decompressed.

    Raises:
        InvalidRequestError: it is too large, cut short, or no valid compression.
    """
    bytes_max = request.app._client_max_size  # noqa: SLF001 - aiohttp has no reader for it
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large(bytes_max) from error
    except web.RequestPayloadError as error:
        raise incomplete() from error
    encoding = request.headers.get("Content-Encoding")
    return body if encoding is None else await asyncio.to_thread(decompress, body, encoding, bytes_max)


async def read_json(request: web.Request) -> Any:
    """Return the value of a JSON body.

    Raises:
        InvalidRequestError: another content type, too large, or no JSON.
    """
    header = request.headers.get("Content-Type")
    accepted = f"Accepted values for the Content-Type header are: `{JSON}`"
    if header is None:
        raise InvalidRequestError("missing_content_type", f"A Content-Type header is missing. {accepted}")
    kind = header.partition(";")[0].strip().lower()
    if kind != JSON:
        raise InvalidRequestError("invalid_content_type", f"The Content-Type `{kind}` is invalid. {accepted}")
    return parse_json(await read_body(request))


def parse_json(body: bytes) -> Any:
    """Return the value of JSON bytes.

    Raises:
        InvalidRequestError: there are none, or they are no JSON.
    """
    if not body:
        raise InvalidRequestError("missing_payload", "A json payload is missing.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        reason = explain_malformed(body)
        message = f"The json payload provided is malformed. `{reason}`."
        raise InvalidRequestError("malformed_payload", message) from None


def read_parameters(request: web.Request, known: Collection[str]) -> Mapping[str, str]:
    """Return the query parameters.

    Raises:
        InvalidRequestError: one is not known.
    """
    for name in request.query:
        if name not in known:
            expected = expected_one_of(name, tuple(known)) if known else "there is none"
            raise InvalidRequestError("bad_request", f"Unknown parameter `{name}`: {expected}")
    return request.query


def read_fields(body: Any, known: Iterable[str]) -> Mapping[str, Any]:
    """Return a body that is an object of known fields.

    Raises:
        InvalidRequestError: it is no object, or has another field.
    """
    names = tuple(known)
    if not isinstance(body, dict):
        error = wrong_type(body, "bad_request", "", "an object")
        raise InvalidRequestError(error.code, str(error))
    for name in body:
        if name not in names:
            raise InvalidRequestError("bad_request", f"Unknown field `{name}`: {expected_one_of(name, names)}")
    return body


def read_count(parameters: Mapping[str, str], name: str, default: int, code: str) -> int:
    """Return a parameter that is a number of things.

    Raises:
        InvalidRequestError: it is none; with ``code``.
    """
    text = parameters.get(name)
    if text is None:
        return default
    if (count := parse_count(text)) is not None:
        return count
    message = f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer"
    raise InvalidRequestError(code, message)
