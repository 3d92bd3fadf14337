"""Whether a node may join."""

import pytest

from agents.newcomers import explain_silence, judge_newcomer
from agents.node_admin import NodeKey
from schemas.errors import NodeError, NodeRejectedError, NodeTimeoutError, NodeUnreachableError
from schemas.ids import NodeId

OURS = "miroir@here"
N = NodeId("n")


@pytest.mark.parametrize(
    ("version", "keys", "code"),
    [
        pytest.param("1.50.0", (), "", id="a new node"),
        pytest.param("1.26.0", (NodeKey("a", "Default", ""),), "", id="the oldest version"),
        pytest.param("1.25.9", (), "node_too_old", id="too old"),
        pytest.param("0.30.5", (), "node_too_old", id="much too old"),
        pytest.param("prototype", (), "node_too_old", id="no version"),
        pytest.param("1.50.0", (NodeKey("a", "", "other"),), "node_of_another_cluster", id="of another cluster"),
        pytest.param("1.50.0", (NodeKey("a", "", OURS),), "", id="of this cluster before"),
    ],
)
def test_newcomer_is_judged_by_version_and_keys(version: str, keys: tuple[NodeKey, ...], code: str) -> None:
    """A refusal says what to do about it."""
    found = judge_newcomer(version, keys, OURS)

    assert found.code == code
    assert bool(found.message) == bool(code)


def test_newcomer_shows_its_keys_of_ours() -> None:
    """By them a node is known under another address."""
    keys = (NodeKey("a", "", OURS), NodeKey("b", "", ""))

    assert judge_newcomer("1.50.0", keys, OURS).keys == {"a"}


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NodeUnreachableError(N, "ask", "refused"), "node_unreachable", "start it"),
        (NodeTimeoutError(N, "ask", "no answer"), "node_unreachable", "correct the url"),
        (NodeRejectedError(N, "ask", status=403, code="invalid_api_key", detail=""), "node_key_wrong", "master key"),
        (NodeRejectedError(N, "ask", status=404, code="", detail="<html>"), "not_a_meilisearch", "<html>"),
        (
            NodeRejectedError(N, "list keys", status=501, code="not_implemented", detail="GET /keys"),
            "not_a_meilisearch",
            "not as a Meilisearch node does: correct the url, which must be a node's, not a query service's",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_silence_is_explained(error: NodeError, code: str, words: str) -> None:
    """The operator reads what happened and what to do."""
    found = explain_silence(error)

    assert found.code == code
    assert words in found.message
