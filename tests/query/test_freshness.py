"""Read-your-writes tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.freshness import LagBound, build_token, parse_max_lag, parse_token
from schemas.errors import InvalidRequestError, InvalidTokenError
from schemas.ids import IndexUid, Offset, Partition, ShardId

offsets = st.dictionaries(
    st.integers(0, 4095).map(Partition), st.integers(0, 2**53).map(Offset), min_size=1, max_size=20
)


@given(st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), offsets)
def test_token_built_and_parsed_gives_cursors_behind_offsets(index: str, written: dict[Partition, Offset]) -> None:
    """A record at an offset is visible to whoever stands behind it."""
    parsed = parse_token(build_token(IndexUid(index), written))

    assert parsed == {IndexUid(index): {ShardId(partition): offset + 1 for partition, offset in written.items()}}


def test_token_of_two_indexes_keeps_them_apart() -> None:
    """An item without an index has the one before it; of one partition the larger offset counts."""
    parsed = parse_token("a:0@5,1@7,b:0@1,a:0@3")

    assert parsed == {IndexUid("a"): {ShardId(0): 6, ShardId(1): 8}, IndexUid("b"): {ShardId(0): 2}}


def test_token_of_nothing_is_empty() -> None:
    """A write of no records has an empty token, which asks for nothing."""
    assert build_token(IndexUid("a"), {}) == ""
    assert parse_token("") == {}


@pytest.mark.parametrize("text", ["a", "0@1", "a:0", "a:0@", "a:x@1", "a:0@1,", "a b:0@1", "a:0@-1", "a:0@1;1@2"])
def test_token_of_another_form_is_refused(text: str) -> None:
    """Anything but the form is an error that quotes it."""
    with pytest.raises(InvalidTokenError):
        parse_token(text)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("2", LagBound(ms=2000)),
        ("0.5s", LagBound(ms=500)),
        (" 3 seconds", LagBound(ms=3000)),
        ("100 records", LagBound(records=100)),
        ("0records", LagBound(records=0)),
    ],
)
def test_max_lag_is_in_seconds_or_records(text: str, bound: LagBound) -> None:
    """Seconds unless records are said."""
    assert parse_max_lag(text) == bound


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5 records", "90000", "1e3", "5 m", "nan"])
def test_max_lag_of_another_form_is_refused(text: str) -> None:
    """What is neither says what was expected."""
    with pytest.raises(InvalidRequestError, match="X-Miroir-Max-Lag"):
        parse_max_lag(text)
