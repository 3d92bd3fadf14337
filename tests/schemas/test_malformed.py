"""Words for bytes that are no JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.malformed import explain_malformed


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_explained(body: bytes, documents: bool) -> None:  # noqa: FBT001 - Hypothesis names it
    """There is an explanation with a line and a column for anything."""
    reason = explain_malformed(body, documents=documents)

    assert " at line " in reason
    assert " column " in reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b'{"a":', "EOF while parsing a value at line 1 column 5"),
        (b'{"a"', "EOF while parsing an object at line 1 column 4"),
        (b"[1", "EOF while parsing a list at line 1 column 2"),
        (b'{"a":"b', "EOF while parsing a string at line 1 column 7"),
        (b"{a:1}", "key must be a string at line 1 column 2"),
        (b'{"a":1} x', "trailing characters at line 1 column 9"),
        (b'{"a":1,\n"b":nope}', "expected value at line 2 column 5"),
    ],
    ids=["nothing", "no value", "no colon", "open list", "open string", "no quotes", "two values", "second line"],
)
def test_fault_is_placed(body: bytes, reason: str) -> None:
    """The reason says what was expected and where."""
    assert explain_malformed(body) == reason
