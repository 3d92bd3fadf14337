"""Tenant tokens: signed, timed, and no more than their key."""

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest

from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.tenant_tokens import TenantToken, fuse_filters, read_tenant_token

UID = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"
KEY = "secret"
NOW_NS = 2_000_000_000_000_000_000


def sign(claims: Any, *, key: str = KEY, algorithm: str = "HS256") -> str:
    """Return a token."""
    parts = [orjson.dumps({"alg": algorithm, "typ": "JWT"}), orjson.dumps(claims)]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signed = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


def read(token: str) -> TenantToken | None:
    """Read a token with one key known."""
    return read_tenant_token(token, {UID: KEY}.get, NOW_NS)


def test_token_allows_what_its_rules_name() -> None:
    """A rule by name comes before a pattern's; other indexes are closed."""
    rules = {"a*": {"filter": "x = 1"}, "ab": None}
    token = read(sign({"searchRules": rules, "apiKeyUid": UID, "exp": 4_000_000_000}))

    assert token is not None
    assert token.rule("ab") == (True, None)
    assert token.rule("ac") == (True, "x = 1")
    assert token.rule("b") == (False, None)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (sign({"searchRules": ["*"], "apiKeyUid": UID}, key="other"), "InvalidSignature"),
        (sign({"searchRules": ["*"], "apiKeyUid": UID, "exp": 1}), "Tenant token expired. Was valid up to `1`"),
        (sign({"searchRules": ["*"], "apiKeyUid": UID, "exp": "soon"}), "JSON error: invalid type"),
        (sign({"searchRules": ["*"]}), "missing field `apiKeyUid` at line 1 column 21"),
        (sign({"apiKeyUid": UID}), "missing field `searchRules`"),
        (sign({"searchRules": ["*"], "apiKeyUid": UID}, algorithm="none"), "unknown variant `none`"),
        ("a.b.c", "Base64 error"),
    ],
    ids=["forged", "expired", "no instant", "no key", "no rules", "unsigned", "no token"],
)
def test_token_that_cannot_be_trusted_is_refused(token: str, message: str) -> None:
    """The refusal says why."""
    with pytest.raises(ApiError) as refusal:
        read(token)

    assert refusal.value.code == "invalid_api_key"
    assert message in refusal.value.message


def test_what_is_no_token_is_left_to_the_keys() -> None:
    """A plain key is none, nor is a token of a key nobody knows."""
    unknown = "00000000-a5aa-4414-ac91-ecd7944c0f8d"

    assert read("0d030b69eea2") is None
    assert read(sign({"searchRules": ["*"], "apiKeyUid": unknown})) is None


def test_fused_filters_hold_both() -> None:
    """A rule's filter is joined to the search's own by AND."""
    assert fuse_filters(None, "a = 1") == "a = 1"
    assert fuse_filters(["a = 1", ["b = 2"]], "c = 3") == ["a = 1", ["b = 2"], "c = 3"]
