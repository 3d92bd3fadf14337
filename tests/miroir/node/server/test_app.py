"""What a node answers where it has nothing to offer."""

from typing import Any

import pytest

from tests.miroir.node.process import NodeProcess

pytestmark = pytest.mark.slow

UNSUPPORTED = [
    ("POST", "/dumps"),
    ("POST", "/snapshots"),
    ("GET", "/network"),
    ("POST", "/network/control"),
    ("GET", "/webhooks"),
    ("DELETE", "/webhooks/6062abda-a5aa-4414-ac91-ecd7944c0f8d"),
    ("GET", "/chats"),
    ("POST", "/chats/main/chat/completions"),
    ("POST", "/export"),
    ("POST", "/logs/stream"),
    ("POST", "/logs/stderr"),
    ("GET", "/metrics"),
    ("PATCH", "/experimental-features"),
    ("POST", "/dynamic-search-rules"),
    ("GET", "/dynamic-search-rules/one"),
    ("POST", "/tasks/compact"),
    ("GET", "/tasks/0/documents"),
    ("POST", "/indexes/a/compact"),
    ("POST", "/indexes/a/fields"),
    ("GET", "/indexes/a/settings/chat"),
    ("PUT", "/indexes/a/settings/foreign-keys"),
]
"""Every one of them stands in ``docs/embedded-node.md``."""


def test_unsupported_routes_say_so_by_name(node: NodeProcess) -> None:
    """Whatever the node does not have answers 501 and names its path, whether or not it takes a body."""
    for method, path in UNSUPPORTED:
        reply = node.call(method, path, {} if method != "GET" else None)

        assert (reply.status, reply.body["code"]) == (501, "miroir_not_supported"), (method, path)
        assert f"`{path}`" in reply.body["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("search", {"filter": "t CONTAINS x"}, 400, "feature_not_enabled"),
        ("search", {"filter": "_geoPolygon([1,2],[3,4],[5,6])"}, 501, "miroir_not_supported"),
        ("search", {"q": "x", "hybrid": {"embedder": "e"}}, 400, "invalid_search_embedder"),
        ("similar", {"id": 1, "embedder": "e"}, 400, "invalid_similar_embedder"),
        ("documents/edit", {"function": "doc.a = 1"}, 400, "feature_not_enabled"),
    ],
    ids=["contains", "polygon", "hybrid", "similar", "edit"],
)
def test_unsupported_requests_say_so(
    node: NodeProcess, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """What a real node keeps behind a switch gets its own error, the rest a clear one."""
    node.run("POST", "/indexes/a/documents", [{"id": 1, "t": "x"}])

    reply = node.call("POST", f"/indexes/a/{path}", body)

    assert (reply.status, reply.body["code"]) == (status, code)


def test_embedders_are_refused_and_nothing_else_changes(node: NodeProcess) -> None:
    """Settings with an embedder are refused as a whole."""
    node.run("POST", "/indexes", {"uid": "a"})
    body = {"stopWords": ["the"], "embedders": {"e": {"source": "userProvided", "dimensions": 3}}}

    reply = node.call("PATCH", "/indexes/a/settings", body)

    assert (reply.status, reply.body["code"]) == (501, "miroir_not_supported")
    assert node.call("GET", "/indexes/a/settings/stop-words").body == []


def test_headers_of_any_bytes_are_refused(node: NodeProcess) -> None:
    """Bytes that are no text make no key and no content type."""
    key = node.call("GET", "/indexes", authorization="Bearer \xff")
    kind = node.call("POST", "/indexes/a/documents", raw=b"[]", content_type="text/\xff")

    assert (key.status, key.body["code"]) == (403, "invalid_api_key")
    assert (kind.status, kind.body["code"]) == (415, "invalid_content_type")
