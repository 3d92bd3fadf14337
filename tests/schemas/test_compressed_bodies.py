"""Compressed bodies: whole and bounded, or refused."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.compressed_bodies import decompress
from schemas.errors import InvalidRequestError

BOUND = 3_000_000
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}
ENCODINGS = st.sampled_from(sorted(COMPRESSIONS))


@given(st.binary(max_size=2_000), ENCODINGS)
def test_compressed_body_comes_out_as_it_was(body: bytes, encoding: str) -> None:
    """Whatever it holds, and however the header is written."""
    assert decompress(COMPRESSIONS[encoding](body), f" {encoding.upper()}", BOUND) == body


@given(st.binary(max_size=300), ENCODINGS, st.data())
def test_cut_body_is_refused(body: bytes, encoding: str, data: st.DataObject) -> None:
    """However little of its end is missing: lines that came whole must not pass for all lines."""
    whole = COMPRESSIONS[encoding](body)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]

    with pytest.raises(InvalidRequestError, match="incomplete"):
        decompress(cut, encoding, BOUND)


@pytest.mark.parametrize("encoding", sorted(COMPRESSIONS))
def test_bytes_behind_the_end_are_refused(encoding: str) -> None:
    """As a node refuses them, a second member of a gzip file among them."""
    whole = COMPRESSIONS[encoding](b"[]")

    with pytest.raises(InvalidRequestError, match="incomplete"):
        decompress(whole + whole, encoding, BOUND)


@pytest.mark.parametrize("encoding", sorted(COMPRESSIONS))
def test_body_that_becomes_too_large_is_refused(encoding: str) -> None:
    """The bound is exact, and holds for what comes out."""
    fits, grows = COMPRESSIONS[encoding](bytes(BOUND)), COMPRESSIONS[encoding](bytes(BOUND + 1))

    assert len(decompress(fits, encoding, BOUND)) == BOUND
    with pytest.raises(InvalidRequestError) as caught:
        decompress(grows, encoding, BOUND)
    assert caught.value.code == "payload_too_large"


@pytest.mark.parametrize("encoding", [None, "", "identity", "zstd", "x-gzip", "gzip, gzip"])
def test_encoding_a_node_does_not_know_counts_as_none(encoding: str | None) -> None:
    """The body is taken as it is, and then is or is not what its content type says."""
    assert decompress(b"[1]", encoding, BOUND) == b"[1]"
