"""Questions as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.nodes.request import Address, Origin, build_head, build_request, parse_address

NODE = Address(Origin("n1", 7700, tls=False), "n1:7700", "")

ADDRESSES = {
    "http://n1:7700": NODE,
    "http://n1:7700/": NODE,
    "http://n1": Address(Origin("n1", 80, tls=False), "n1", ""),
    "https://search.example": Address(Origin("search.example", 443, tls=True), "search.example", ""),
    "https://gate:8443/node/1/": Address(Origin("gate", 8443, tls=True), "gate:8443", "/node/1"),
    "http://[::1]:7700": Address(Origin("::1", 7700, tls=False), "[::1]:7700", ""),
}


@pytest.mark.parametrize(("url", "address"), ADDRESSES.items(), ids=ADDRESSES)
def test_parse_address_takes_urls_apart(url: str, address: Address) -> None:
    """Port and path may be left away; a path is kept as what every route begins with."""
    assert parse_address(url) == address


@pytest.mark.parametrize("url", ["", "n1:7700", "ftp://n1", "http://", "http://n1:no", "http://n1/ä", "http://a b"])
def test_parse_address_refuses_what_is_none(url: str) -> None:
    """Nothing that could not be connected to, or would break a head, is taken."""
    with pytest.raises(ValueError, match=r"expected|[Pp]ort|invalid"):
        parse_address(url)


def test_build_head_has_what_a_node_needs() -> None:
    """Uncompressed JSON is asked for; the length of a body comes last."""
    lines = build_head(NODE, "POST", "/indexes/m__1/search", key="k1", with_body=True).split(b"\r\n")

    assert lines[0] == b"POST /indexes/m__1/search HTTP/1.1"
    assert set(lines[1:-1]) == {
        b"Host: n1:7700",
        b"Accept: application/json",
        b"Accept-Encoding: identity",
        b"Authorization: Bearer k1",
        b"Content-Type: application/json",
    }
    assert lines[-1] == b"Content-Length: "


def test_build_head_without_body_and_key_ends_the_head() -> None:
    """A question without a body says nothing of one."""
    prefixed = NODE._replace(prefix="/node")
    head = build_head(prefixed, "GET", "/health", key="", with_body=False)

    assert head.startswith(b"GET /node/health HTTP/1.1\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"Content" not in head
    assert b"Authorization" not in head
    assert build_request(head, None) == head


@given(st.binary(max_size=300))
def test_build_request_tells_the_length_of_its_body(body: bytes) -> None:
    """Whatever the body holds, the head ends before it and tells its length."""
    head = build_head(NODE, "POST", "/x", key="k", with_body=True)

    told, _, rest = build_request(head, body).partition(b"\r\n\r\n")

    assert rest == body
    assert told.endswith(b"Content-Length: %d" % len(body))


@given(st.text(alphabet=st.sampled_from("a/%?=&\r\n \t\x00é"), min_size=1))
def test_build_head_lets_no_path_add_a_line(path: str) -> None:
    """A path that is not percent-encoded is our own bug, and never sent."""
    if set(path) <= set("a/%?=&"):
        assert build_head(NODE, "GET", path, key="", with_body=False).count(b"\r\n") == 5
        return
    with pytest.raises(AssertionError):
        build_head(NODE, "GET", path, key="", with_body=False)
