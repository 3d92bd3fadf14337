"""The hidden field: made, spliced in, kept out of queries."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import SHARDS_MAX, ShardId
from streams.marker import (
    MARKER_FIELD,
    marker_of,
    shard_of,
    shards_filter,
    splice_marker,
    strip_plane_15,
    unsplice_marker,
)

shards = st.integers(0, SHARDS_MAX - 1).map(ShardId)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)
documents = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values).filter(
    lambda document: MARKER_FIELD not in document
)


@given(documents, shards, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_splice_then_parse_equals_parse_plus_field(
    document: dict[str, object],
    shard: ShardId,
    ascii_only: bool,  # noqa: FBT001 - Hypothesis passes by position
    indent: int | str | None,
) -> None:
    """A spliced document parses to the document with the marker as its first field, whatever its layout."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()

    spliced = json.loads(splice_marker(text, shard))

    assert spliced == {MARKER_FIELD: marker_of(shard), **document}
    assert next(iter(spliced)) == MARKER_FIELD


@pytest.mark.parametrize("text", [b"{}", b" { } ", b"\r\n{\n}\n"])
def test_splice_into_empty_object_needs_no_comma(text: bytes) -> None:
    """An object without fields gets the marker and no comma behind it."""
    assert json.loads(splice_marker(text, ShardId(3))) == {MARKER_FIELD: marker_of(ShardId(3))}


def test_splice_leaves_no_line_break_before_the_document() -> None:
    """Leading white space is dropped, so that a spliced document can stand on an NDJSON line."""
    assert splice_marker(b'\n {"a":1}', ShardId(0)).startswith(b'{"_miroir":"')


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'"{"'])
def test_splice_into_no_object_raises(text: bytes) -> None:
    """Bytes that are no object are our own bug and never pass silently."""
    with pytest.raises(ValueError, match="expected a JSON object"):
        splice_marker(text, ShardId(0))


@given(shards)
def test_marker_names_its_shard_and_is_one_character(shard: ShardId) -> None:
    """The marker of a shard is one private-use character that names the shard again."""
    marker = marker_of(shard)

    assert len(marker) == 1
    assert shard_of(marker) == shard
    assert strip_plane_15(f"a{marker}b") == "ab"


@pytest.mark.parametrize("text", ["", "a", chr(0xF0000 + SHARDS_MAX), marker_of(ShardId(0)) * 2])
def test_shard_of_other_text_is_none(text: str) -> None:
    """Only a marker names a shard."""
    assert shard_of(text) is None


def test_shards_filter_lists_markers_in_order_once() -> None:
    """The filter names each shard once, in rising order, so that equal questions are equal bytes."""
    assert shards_filter([ShardId(2), ShardId(0), ShardId(2)]) == '_miroir IN ["\U000f0000", "\U000f0002"]'


@given(st.text())
def test_strip_keeps_everything_outside_plane_15(text: str) -> None:
    """Nothing but plane 15 is taken from a query."""
    assert strip_plane_15(text) == "".join(c for c in text if not 0xF0000 <= ord(c) <= 0xFFFFF)


@given(documents.filter(bool), shards)
def test_unsplice_gives_back_what_was_spliced(document: dict[str, object], shard: ShardId) -> None:
    """Compact JSON comes back byte for byte."""
    text = json.dumps(document, separators=(",", ":")).encode()

    assert unsplice_marker(splice_marker(text, shard), shard) == text
