"""What is read of what was gathered: refusals of the question, and views that are old."""

import pytest

from query.gathered import Gathered, is_verdict
from schemas.errors import NodeForgotError, NodeRejectedError, NodeUnreachableError
from schemas.ids import NodeId, ShardId

A = NodeId("a")
REFUSED = NodeRejectedError(A, "search", status=400, code="invalid_search_filter", detail="no")
MISSING = (ShardId(1),)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_search_filter", True),
        (413, "payload_too_large", True),
        (400, "", False),
        (404, "index_not_found", False),
        (403, "invalid_api_key", False),
        (429, "too_many_search_requests", False),
        (500, "internal", False),
    ],
)
def test_refusal_is_a_verdict_where_any_node_would_refuse(status: int, code: str, expected: bool) -> None:  # noqa: FBT001
    """Not where the node itself, its keys, or what stands in front of it is the reason."""
    assert is_verdict(NodeRejectedError(A, "search", status=status, code=code, detail="no")) is expected


def test_failure_of_a_node_is_no_verdict() -> None:
    """Others may be well."""
    assert not is_verdict(NodeUnreachableError(A, "search", "gone"))


def test_verdict_counts_only_where_shards_are_missing() -> None:
    """Where others have answered all the same, it was that node's own."""
    assert Gathered((), MISSING, (REFUSED,)).verdict is REFUSED
    assert Gathered((), (), (REFUSED,)).verdict is None


def test_view_is_old_where_a_key_was_not_known_and_shards_are_missing() -> None:
    """Where nothing is missing, nothing has to be asked again."""
    forgot = NodeForgotError(A, "search", "invalid key")

    assert Gathered((), MISSING, (forgot,)).forgotten
    assert not Gathered((), (), (forgot,)).forgotten
    assert not Gathered((), MISSING, (REFUSED,)).forgotten
