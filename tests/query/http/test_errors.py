"""How errors become answers."""

from collections.abc import Iterator

import pytest

from query.http.errors import ROWS, error_body, fault_response, to_fault
from schemas import errors
from schemas.errors import (
    InvalidRequestError,
    InvalidSearchError,
    LogUnavailableError,
    MiroirError,
    NoReplicaError,
    NotFoundError,
)


def _leaves(kind: type[MiroirError] = MiroirError) -> Iterator[type[MiroirError]]:
    children = kind.__subclasses__()
    if not children:
        yield kind
    for child in children:
        yield from _leaves(child)


def test_every_leaf_of_the_tree_has_a_row() -> None:
    """Whatever miroir raises on purpose has a status of its own, or of a row made for it."""
    ours = {leaf for leaf in _leaves() if leaf.__module__ == errors.__name__}

    assert ours - ROWS.keys() == set()


def test_rows_of_special_errors_come_before_general_ones() -> None:
    """The first row that fits counts, so that a general one must not hide a special one."""
    kinds = list(ROWS)

    assert not [(one, two) for at, one in enumerate(kinds) for two in kinds[at + 1 :] if issubclass(two, one)]


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (NotFoundError("index", "a"), 404, "index_not_found", "Index `a` not found."),
        (NotFoundError("shard", "9"), 404, "not_found", "No shard `9`."),
        (InvalidSearchError("invalid_search_q", "no"), 400, "invalid_search_q", "no"),
        (InvalidRequestError("invalid_api_key", "no"), 403, "invalid_api_key", "no"),
        (LogUnavailableError("away"), 503, "miroir_log_unavailable", "away"),
        (NoReplicaError("a", [3], epoch=7), 503, "miroir_shard_unavailable", None),
        (MiroirError("odd"), 500, "internal", "odd"),
    ],
)
def test_fault_has_status_code_and_words(error: MiroirError, status: int, code: str, message: str | None) -> None:
    """Errors with a code of their own keep it, others have their row's."""
    fault = to_fault(error)

    assert (fault.status, fault.code) == (status, code)
    assert message in (None, fault.message)


def test_body_is_meilisearchs() -> None:
    """Message, code, type and link; our own codes link to our own page."""
    assert error_body("invalid_api_key", "x") == {
        "message": "x",
        "code": "invalid_api_key",
        "type": "auth",
        "link": "https://docs.meilisearch.com/errors#invalid_api_key",
    }
    assert error_body("miroir_shard_unavailable", "x")["link"] == "docs/http-api.md#miroir_shard_unavailable"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("miroir_not_supported", "invalid_request"),
        ("miroir_invalid_token", "invalid_request"),
        ("miroir_node_not_found", "invalid_request"),
        ("bad_request", "invalid_request"),
        ("miroir_shard_unavailable", "system"),
        ("too_many_search_requests", "system"),
        ("internal", "internal"),
    ],
)
def test_type_says_whose_matter_an_error_is(code: str, kind: str) -> None:
    """The caller's, or the system's: clients retry the latter."""
    assert error_body(code, "x")["type"] == kind


def test_unavailable_answers_say_when_to_come_back() -> None:
    """Every 503 carries Retry-After."""
    assert fault_response(to_fault(LogUnavailableError("away"))).headers["Retry-After"] == "1"
    assert "Retry-After" not in fault_response(to_fault(NotFoundError("index", "a"))).headers
