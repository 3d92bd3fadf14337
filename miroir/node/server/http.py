"""What all routes share: reading requests, writing answers, turning errors into answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from miroir.node.protocol.errors import ApiError, as_api_error
from miroir.node.protocol.payload import JSON, check_content_type, parse_body
from miroir.node.server.node import Node
from schemas.compressed_bodies import decompress, incomplete, too_large
from schemas.errors import InvalidRequestError

PAYLOAD_BYTES_MAX = 104_857_600
"""The real node's default ``--http-payload-size-limit``."""

NODE: web.AppKey[Node] = web.AppKey("node", Node)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BUSY = 503

_log = logging.getLogger(__name__)


def answer(body: Any, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(body), status=status, content_type=JSON)


def node_of(request: web.Request) -> Node:
    """Return the node that serves a request."""
    return request.app[NODE]


async def read_bytes(request: web.Request) -> bytes:
    """Return the whole body, decompressed.

    Raises:
        InvalidRequestError: it ended before its ``Content-Length``, is no valid compression, or is too large.
    """
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(PAYLOAD_BYTES_MAX) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise incomplete() from error
    encoding = request.headers.get("Content-Encoding")
    if encoding is None:
        return body
    return await asyncio.to_thread(decompress, body, encoding, PAYLOAD_BYTES_MAX)


async def read_json(request: web.Request) -> Any:
    """Return the body as JSON."""
    check_content_type(request.headers.get("Content-Type"), (JSON,))
    return parse_body(await read_bytes(request))


@web.middleware
async def errors_to_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors the way Meilisearch does."""
    try:
        return await handler(request)
    except InvalidRequestError as refused:
        error = as_api_error(refused)
        refusal = answer(error.to_wire(), error.status)
        if error.status == _BUSY:
            refusal.headers["Retry-After"] = "10"
        return refusal
    except web.HTTPException as error:
        # The real node answers unknown routes and methods without a body.
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.Response(status=error.status, headers=headers)
    except Exception:  # noqa: BLE001 - the top of the front: a request that broke must not end the node
        _log.exception("request failed", extra={"path": request.path})
        error_body = ApiError("internal", "An internal error has occurred.").to_wire()
        return answer(error_body, 500)
