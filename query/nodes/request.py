"""A question as the bytes that are sent to a node.

What always holds: one request a question, its length told, no compression asked for (a node sends a compressed answer
in several small writes, which costs 40 ms); no text of anybody's can add a header. Pure; who calls it: the client. It
must not know: connections.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_TARGET = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9._:\-\[\]]+")
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a node listens."""

    host: str
    port: int
    tls: bool


class Address(NamedTuple):
    """A node's address, taken apart.

    Attributes:
        host: as the Host header has it.
        prefix: what every path begins with; empty, or from ``/`` on without one at the end.
    """

    origin: Origin
    host: str
    prefix: str


def parse_address(url: str) -> Address:
    """Return a node's address.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in _PORTS or not parts.hostname or not _HOST.fullmatch(host):
        raise ValueError(f"address {url!r}: expected http://HOST[:PORT] or https://HOST[:PORT]")
    if not _TARGET.fullmatch(f"/{parts.path}"):
        raise ValueError(f"address {url!r}: expected a percent-encoded path")
    origin = Origin(parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "https")
    return Address(origin, host, parts.path.rstrip("/"))


def build_head(address: Address, method: str, path: str, *, key: str, with_body: bool) -> bytes:
    """Return the request's head up to where the body's length stands, or the whole head where there is no body.

    Args:
        address: of the node.
        method: GET or POST.
        path: path and query, percent-encoded.
        key: the API key; empty where none is needed.
        with_body: whether a body follows.
    """
    target = address.prefix + path
    assert _TARGET.fullmatch(target), f"a path is percent-encoded: {target!r}"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {address.host}", "Accept: application/json"]
    lines.append("Accept-Encoding: identity")
    if key:
        lines.append(f"Authorization: Bearer {key}")
    lines += ["Content-Type: application/json", "Content-Length: "] if with_body else ["", ""]
    return "\r\n".join(lines).encode("ascii")


def build_request(head: bytes, body: bytes | None) -> bytes:
    """Return the request whose head ``build_head`` has made."""
    return head if body is None else b"%b%d\r\n\r\n%b" % (head, len(body), body)
