"""Payloads to documents."""

import pytest

from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.payload import CSV, JSON, NDJSON, count_documents, parse_documents, parse_ids


@pytest.mark.parametrize(
    ("kind", "payload", "documents"),
    [
        (JSON, b'{"id":1}', [{"id": 1}]),
        (JSON, b'[{"id":1},{"id":2}]', [{"id": 1}, {"id": 2}]),
        (JSON, b"[]", []),
        (NDJSON, b'{"id":1}\n\n{"id":2}\n', [{"id": 1}, {"id": 2}]),
        (CSV, b'id:number,t,b:boolean\n1,"a, b",true\n', [{"id": 1, "t": "a, b", "b": True}]),
        (CSV, b"id,t\n1," + b"x" * 200_000, [{"id": "1", "t": "x" * 200_000}]),
    ],
    ids=["object", "array", "empty", "ndjson", "csv", "long cell"],
)
def test_payload_gives_its_documents(kind: str, payload: bytes, documents: list[dict[str, object]]) -> None:
    """Every content type comes out as documents in order, and is counted without them."""
    assert parse_documents(kind, payload) == documents
    assert count_documents(kind, payload) == len(documents)


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        (JSON, b" ", "missing_payload"),
        (NDJSON, b"", "missing_payload"),
        (JSON, b'[{"id":1', "malformed_payload"),
        (JSON, b"3", "malformed_payload"),
        (NDJSON, b'{"id":1}\n[1]', "malformed_payload"),
        (CSV, b"a,b\n1\n", "malformed_payload"),
    ],
)
def test_bad_payload_is_refused(kind: str, payload: bytes, code: str) -> None:
    """What is no payload of its kind gets Meilisearch's code."""
    with pytest.raises(ApiError) as refusal:
        parse_documents(kind, payload)
    with pytest.raises(ApiError) as same:
        count_documents(kind, payload)

    assert refusal.value.code == code
    assert same.value.message == refusal.value.message


def test_bad_line_is_named_with_its_place() -> None:
    """The message counts lines from 1, and columns in the line alone."""
    with pytest.raises(ApiError, match="EOF while parsing an object at line 2 column 9"):
        count_documents(NDJSON, b'{"id":1}\n{"id": 2,\n{"id":3}')


def test_ids_are_text_whatever_their_type() -> None:
    """``3`` and ``"3"`` name the same document."""
    assert parse_ids([3, "4", 99999]) == ["3", "4", "99999"]
