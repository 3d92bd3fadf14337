"""Errors as Meilisearch writes them: a message, a code, a type and a link.

What always holds: the code alone decides HTTP status and type. Who calls it: every parser of this package raises
``ApiError``; the HTTP shell turns it into an answer and the indexer into a task's ``error``.
"""

from typing import Any

from schemas.errors import InvalidRequestError

_LINK = "https://docs.meilisearch.com/errors#"

_STATUS = {
    "missing_authorization_header": 401,
    "missing_master_key": 401,
    "invalid_api_key": 403,
    "index_not_found": 404,
    "document_not_found": 404,
    "task_not_found": 404,
    "batch_not_found": 404,
    "api_key_not_found": 404,
    "api_key_already_exists": 409,
    "index_already_exists": 409,
    "payload_too_large": 413,
    "invalid_content_type": 415,
    "missing_content_type": 415,
    "too_many_search_requests": 503,
    "internal": 500,
    "miroir_not_supported": 501,
}
"""Codes whose status is not 400."""

_TYPE = {
    "missing_authorization_header": "auth",
    "missing_master_key": "auth",
    "invalid_api_key": "auth",
    "internal": "internal",
    "too_many_search_requests": "system",
}
"""Codes whose type is not ``invalid_request``."""


class ApiError(InvalidRequestError):
    """A refusal in Meilisearch's words.

    Attributes:
        code: Meilisearch's error code.
        message: its text.
        status: the HTTP status, where it is not the code's own.
    """

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(code, message)
        self.message = message
        self._status = status

    @property
    def status(self) -> int:
        """The HTTP status of an answer that carries this error."""
        return _STATUS.get(self.code, 400) if self._status is None else self._status

    def to_wire(self) -> dict[str, Any]:
        """Return the error as an answer body or as a task's ``error``."""
        kind = _TYPE.get(self.code, "invalid_request")
        return {"message": self.message, "code": self.code, "type": kind, "link": _LINK + self.code}


def as_api_error(error: InvalidRequestError, *, inside: str = "") -> ApiError:
    """Return a refusal as this node answers it.

    Args:
        error: raised here, or by what all parts of the project read bodies with.
        inside: put before the message.
    """
    status = error.status if isinstance(error, ApiError) else None
    return ApiError(error.code, f"{inside}{error}", status=status)


def index_not_found(uid: str) -> ApiError:
    """Return the error for an index that does not exist."""
    return ApiError("index_not_found", f"Index `{uid}` not found.")


def document_not_found(document_id: str) -> ApiError:
    """Return the error for a document that does not exist."""
    return ApiError("document_not_found", f"Document `{document_id}` not found.")


def not_supported(route: str) -> ApiError:
    """Return the error for a route an embedded node does not have."""
    return ApiError("miroir_not_supported", f"The embedded node does not support `{route}`.")


def feature_not_enabled(what: str, feature: str, discussion: int, suffix: str = "") -> ApiError:
    """Return Meilisearch's error for an experimental feature that is off."""
    link = f"https://github.com/orgs/meilisearch/discussions/{discussion}"
    text = f"{what} requires enabling the `{feature}` experimental feature. See {link}{suffix}"
    return ApiError("feature_not_enabled", text)
