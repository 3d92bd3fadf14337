"""How what went wrong becomes an HTTP answer: the one place that knows status codes.

What always holds: every error miroir raises on purpose has a row, and its body is Meilisearch's: message, code, type,
link. Nothing of a node shows: neither its name for an index nor the marker. Who calls it: the outermost middleware. It
must not know: routes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson
from aiohttp import web

from query.strip import strip_report
from schemas import errors

MEILISEARCH_ERRORS = "https://docs.meilisearch.com/errors"
OWN_ERRORS = "docs/http-api.md"
RETRY_AFTER_S = 1
"""What a client is told to wait: a node or a broker that is back is noticed within about this."""

STATUSES: Mapping[str, int] = {
    "missing_authorization_header": 401,
    "invalid_api_key": 403,
    "index_not_found": 404,
    "document_not_found": 404,
    "task_not_found": 404,
    "payload_too_large": 413,
    "missing_content_type": 415,
    "invalid_content_type": 415,
    "internal": 500,
    "miroir_not_supported": 501,
    "miroir_unavailable": 503,
}
"""Error codes whose status is not 400."""

_AUTH = ("missing_authorization_header", "invalid_api_key")
_CALLERS = ("miroir_not_supported", "miroir_invalid_token", "miroir_node_not_found")
"""Codes of our own that are about the request; the others are about the system."""


class Row(NamedTuple):
    """What an error becomes; the code of an error that carries its own is taken from it."""

    status: int
    code: str


ROWS: Mapping[type[errors.MiroirError], Row] = {
    errors.InvalidDocumentError: Row(400, "invalid_document_fields"),
    errors.InvalidSearchError: Row(400, "bad_request"),
    errors.InvalidTokenError: Row(400, "miroir_invalid_token"),
    errors.InvalidRequestError: Row(400, "bad_request"),
    errors.ConfigurationError: Row(500, "internal"),
    errors.InvalidInputError: Row(400, "bad_request"),
    errors.NotFoundError: Row(404, "not_found"),
    errors.NoBrokerError: Row(503, "miroir_log_unavailable"),
    errors.NoTopicError: Row(503, "miroir_log_unavailable"),
    errors.NoLeaderError: Row(503, "miroir_log_unavailable"),
    errors.LogUnavailableError: Row(503, "miroir_log_unavailable"),
    errors.AnotherLogError: Row(500, "internal"),
    errors.MissedRecordsError: Row(500, "internal"),
    errors.FencedError: Row(500, "internal"),
    errors.RecordTooLargeError: Row(413, "payload_too_large"),
    errors.LogError: Row(500, "internal"),
    errors.NodeGarbledError: Row(503, "miroir_node_unavailable"),
    errors.NodeUnreachableError: Row(503, "miroir_node_unavailable"),
    errors.NodeTimeoutError: Row(503, "miroir_node_timeout"),
    errors.NodeFullError: Row(503, "too_many_search_requests"),
    errors.NodeBusyError: Row(503, "too_many_search_requests"),
    errors.NodeRejectedError: Row(502, "miroir_node_rejected"),
    errors.NodeForgotError: Row(503, "miroir_node_unavailable"),
    errors.NodeTaskFailedError: Row(500, "internal"),
    errors.NoReplicaError: Row(503, "miroir_shard_unavailable"),
    errors.ReplicaBehindError: Row(503, "miroir_replica_behind"),
}
"""Most specific first: the first row that an error is an instance of counts."""

NOT_FOUND_CODES: Mapping[str, tuple[str, str]] = {
    "index": ("index_not_found", "Index `{}` not found."),
    "document": ("document_not_found", "Document `{}` not found."),
    "task": ("task_not_found", "Task `{}` not found."),
    "node": ("miroir_node_not_found", "Node `{}` not found."),
}
"""Kinds of things not found: Meilisearch's code and words."""


class Fault(NamedTuple):
    """An error as a client sees it."""

    status: int
    code: str
    message: str


class FaultError(errors.MiroirError):
    """An error that a route has turned into what its client sees, against the tables here."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def to_fault(error: errors.MiroirError) -> Fault:
    """Return what a client is told of the error."""
    if isinstance(error, FaultError):
        return error.fault
    if isinstance(error, errors.NotFoundError):
        code, text = NOT_FOUND_CODES.get(error.kind, ("not_found", f"No {error.kind} `{{}}`."))
        return Fault(404, code, text.format(error.name))
    if isinstance(error, errors.InvalidSearchError | errors.InvalidRequestError):
        return Fault(STATUSES.get(error.code, 400), error.code, str(error))
    row = next((row for kind, row in ROWS.items() if isinstance(error, kind)), Row(500, "internal"))
    message = strip_report(str(error)) if isinstance(error, errors.NodeError) else str(error)
    return Fault(row.status, row.code, message)


def error_body(code: str, message: str) -> dict[str, str]:
    """Return the JSON object of an error."""
    return {"message": message, "code": code, "type": _type(code), "link": _link(code)}


def fault_response(fault: Fault) -> web.Response:
    """Return the answer."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if fault.status == STATUSES["miroir_unavailable"] else {}
    return web.Response(
        status=fault.status,
        body=orjson.dumps(error_body(fault.code, fault.message)),
        content_type="application/json",
        headers=headers,
    )


def not_supported(what: str) -> errors.InvalidRequestError:
    """Return the error for a route or parameter that Meilisearch has and miroir has not built yet."""
    return errors.InvalidRequestError("miroir_not_supported", f"{what} is not supported by miroir yet.")


def _type(code: str) -> str:
    if code in _AUTH:
        return "auth"
    if code == "internal":
        return "internal"
    own = code.startswith("miroir_") and code not in _CALLERS
    return "system" if own or code == "too_many_search_requests" else "invalid_request"


def _link(code: str) -> str:
    return f"{OWN_ERRORS}#{code}" if code.startswith("miroir_") else f"{MEILISEARCH_ERRORS}#{code}"
