"""What surrounds every route: request ids, CORS, keys, errors, and the time before the log has been read.

One middleware: each one more costs every search. What always holds: every answer carries ``X-Request-Id`` and, where a
browser asked, Meilisearch's CORS headers; nothing but ``/health`` is answered without the key, where there is one;
nothing is answered out of a log that has not been read; an error nobody expected is logged with its id and shows
nothing of itself. Who calls it: the application. It must not know: what any route does.
"""

import hmac
import logging
import re
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from query.http.clock import new_uuid7
from query.http.errors import Fault, fault_response, to_fault
from query.http.service import service_of
from schemas.errors import InvalidRequestError, MiroirError

OPEN_PATHS = ("/health",)
"""Answered without a key, as in Meilisearch."""

UNREAD_PATHS = ("/health", "/version", "/metrics", "/_miroir/metrics", "/_miroir/status")
"""Answered before the log has been read: they say so themselves, or ask nothing of it. All others would tell of a
cluster without indexes."""

EXPOSED = "X-Request-Id, X-Miroir-Token, X-Miroir-Degraded, Retry-After"
PREFLIGHT_AGE_S = 86_400

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD"
_SERVER_FAULTS = range(500, 600)

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered."""

_log = logging.getLogger(__name__)


def make_middleware(master_key: str | None) -> Middleware:
    """Return the middleware of a service with this key; None lets everybody do everything."""
    expected = None if master_key is None else master_key.encode()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_uuid7()
        REQUEST_ID.set(request_id)
        response = (
            _preflight(request) if _is_preflight(request) else await _answer(request, handler, expected, request_id)
        )
        response.headers["X-Request-Id"] = request_id
        if "Origin" in request.headers:
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response

    return middleware


async def _answer(
    request: web.Request, handler: Handler, expected: bytes | None, request_id: str
) -> web.StreamResponse:
    try:
        if request.match_info.http_exception is None:
            if expected is not None and request.path not in OPEN_PATHS:
                _check_key(request.headers.get("Authorization"), expected)
            if request.path not in UNREAD_PATHS:
                service_of(request).views.require_ready()
        return await handler(request)
    except MiroirError as error:
        return _fault(request, to_fault(error), error, request_id)
    except web.HTTPException as error:
        # Meilisearch answers unknown routes and methods with an empty body.
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.Response(status=error.status, headers=headers)
    except Exception:  # noqa: BLE001 - the top of the process as far as one request is concerned
        _log.exception("a request failed unexpectedly", extra={"request": request_id, "path": request.path})
        return fault_response(Fault(500, "internal", "An internal error has occurred."))


def _fault(request: web.Request, fault: Fault, error: MiroirError, request_id: str) -> web.Response:
    if fault.status in _SERVER_FAULTS and fault.code != "miroir_not_supported":
        extra = {"request": request_id, "path": request.path, "code": fault.code, "error": str(error)}
        _log.warning("a request could not be answered", extra=extra)
    return fault_response(fault)


def _check_key(header: str | None, expected: bytes) -> None:
    scheme, _, key = (header or "").partition(" ")
    if scheme != "Bearer":
        message = "The Authorization header is missing. It must use the bearer authorization method."
        raise InvalidRequestError("missing_authorization_header", message)
    if not hmac.compare_digest(key.strip().encode("utf-8", "surrogateescape"), expected):
        raise InvalidRequestError("invalid_api_key", "The provided API key is invalid.")


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _preflight(request: web.Request) -> web.Response:
    headers = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": str(PREFLIGHT_AGE_S)}
    asked = request.headers.get("Access-Control-Request-Headers")
    if asked is not None:
        headers["Access-Control-Allow-Headers"] = asked
    return web.Response(status=200, headers=headers)
