"""Tenant tokens: JSON web tokens that a key's holder signs, with rules for what their bearer may search.

What always holds: a token is only as good as the key it names, and adds restrictions, never rights
(https://www.meilisearch.com/docs/learn/security/tenant_token_reference). Who calls it: authorisation of searches.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from miroir.node.protocol.errors import ApiError

ALGORITHMS: Mapping[str, Callable[..., Any]] = {
    "HS256": hashlib.sha256,
    "HS384": hashlib.sha384,
    "HS512": hashlib.sha512,
}
_KNOWN = ("HS256", "HS384", "HS512", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA")
_PARTS = 3
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TenantToken:
    """A token whose signature and time are right.

    Attributes:
        key_uid: the key it was signed with.
        rules: index pattern to a filter as JSON, None for none.
    """

    key_uid: str
    rules: Mapping[str, Any]

    def rule(self, index_uid: str) -> tuple[bool, Any]:
        """Return whether an index may be searched, and with which filter: its own rule's, or else a pattern's."""
        if index_uid in self.rules:
            return True, self.rules[index_uid]
        for pattern, condition in self.rules.items():
            if pattern.endswith("*") and index_uid.startswith(pattern[:-1]):
                return True, condition
        return False, None


def read_tenant_token(token: str, key_of: Callable[[str], str | None], now_ns: int) -> TenantToken | None:
    """Return what a token says, or None where it is no tenant token, or names a key that is not known.

    Args:
        token: the bearer's token.
        key_of: a key's value by its uid.
        now_ns: the present instant.

    Raises:
        ApiError: it is one, but cannot be trusted.
    """
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    header, claims = _decoded(parts[0]), _decoded(parts[1])
    algorithm = str(header.get("alg"))
    if algorithm not in _KNOWN:
        listed = ", ".join(f"`{name}`" for name in _KNOWN)
        raise _untrusted(f"JSON error: unknown variant `{algorithm}`, expected one of {listed}")
    key_uid, rules = _claims(claims, len(_bytes(parts[1])))
    value = key_of(key_uid)
    if value is None:
        return None
    if algorithm not in ALGORITHMS:
        raise _untrusted("InvalidAlgorithm")
    signed = hmac.new(value.encode(), f"{parts[0]}.{parts[1]}".encode(), ALGORITHMS[algorithm]).digest()
    if not hmac.compare_digest(signed, _bytes(parts[2])):
        raise _untrusted("InvalidSignature")
    expires_s, now_s = claims.get("exp"), now_ns // _NS
    if expires_s is not None and now_s > expires_s:
        text = f"Tenant token expired. Was valid up to `{expires_s}` and we're now `{now_s}`."
        raise ApiError("invalid_api_key", text)
    return TenantToken(key_uid, rules)


def _untrusted(reason: str) -> ApiError:
    return ApiError("invalid_api_key", f"Could not decode tenant token, {reason}.")


def _claims(claims: Mapping[str, Any], column: int) -> tuple[str, Mapping[str, Any]]:
    for name in ("searchRules", "apiKeyUid"):
        if name not in claims:
            raise _untrusted(f"JSON error: missing field `{name}` at line 1 column {column}")
    try:
        key_uid = str(uuid.UUID(claims["apiKeyUid"]))
    except (ValueError, AttributeError, TypeError):
        raise _untrusted("JSON error: UUID parsing failed") from None
    expires_s = claims.get("exp")
    if expires_s is not None and (isinstance(expires_s, bool) or not isinstance(expires_s, int | float)):
        raise _untrusted("JSON error: invalid type: expected a Unix timestamp")
    rules = claims["searchRules"]
    if isinstance(rules, list):
        return key_uid, dict.fromkeys(map(str, rules))
    if not isinstance(rules, dict):
        raise _untrusted("JSON error: data did not match any variant of untagged enum SearchRules")
    return key_uid, {pattern: rule.get("filter") if isinstance(rule, dict) else None for pattern, rule in rules.items()}


def _decoded(part: str) -> dict[str, Any]:
    try:
        found = orjson.loads(_bytes(part))
    except orjson.JSONDecodeError as error:
        raise _untrusted(f"JSON error: {error}") from None
    if not isinstance(found, dict):
        raise _untrusted("JSON error: invalid type")
    return found


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _untrusted(f"Base64 error: Invalid input length: {len(part)}") from None


def fuse_filters(left: Any, right: Any) -> Any:
    """Return both filters as one, either of them None for none."""
    if left is None or right is None:
        return right if left is None else left
    return [*(left if isinstance(left, list) else [left]), *(right if isinstance(right, list) else [right])]
