"""API keys: what they may, how their value follows from the master key, and the verdict on a request.

What always holds: a key's value is HMAC-SHA256 of the master key over its uid's hyphenated lower-case text, in hex; the
master key may everything. Who calls it: key routes and the authorisation of every route.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.index_uids import is_index_uid
from miroir.node.protocol.instants import format_instant, parse_instant
from miroir.node.protocol.tenant_tokens import TenantToken, fuse_filters, read_tenant_token
from schemas.meilisearch_requests import KEY_FIELDS
from schemas.meilisearch_values import check_fields, describe, read_object, read_one_of, read_string, wrong_type

ACTIONS = (
    "*",
    "search",
    "documents.*",
    "documents.add",
    "documents.get",
    "documents.delete",
    "indexes.*",
    "indexes.create",
    "indexes.get",
    "indexes.update",
    "indexes.delete",
    "indexes.swap",
    "tasks.*",
    "tasks.cancel",
    "tasks.delete",
    "tasks.get",
    "settings.*",
    "settings.get",
    "settings.update",
    "stats.*",
    "stats.get",
    "metrics.*",
    "metrics.get",
    "dumps.*",
    "dumps.create",
    "snapshots.*",
    "snapshots.create",
    "version",
    "keys.create",
    "keys.get",
    "keys.update",
    "keys.delete",
    "experimental.get",
    "experimental.update",
    "export",
    "network.get",
    "network.update",
    "chatCompletions",
    "chats.*",
    "chats.get",
    "chats.delete",
    "chatsSettings.*",
    "chatsSettings.get",
    "chatsSettings.update",
    "*.get",
    "webhooks.get",
    "webhooks.update",
    "webhooks.delete",
    "webhooks.create",
    "webhooks.*",
    "indexes.compact",
    "fields.post",
    "tasks.compact",
    "dynamicSearchRules.get",
    "dynamicSearchRules.create",
    "dynamicSearchRules.update",
    "dynamicSearchRules.delete",
    "dynamicSearchRules.*",
)
"""Every action a key can be given, in the order error messages list them."""

_IMMUTABLE = ("uid", "actions", "indexes", "expiresAt", "createdAt", "updatedAt")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its value.

    Attributes:
        uid: hyphenated lower-case text.
        expires_ns: None for never.
    """

    uid: str
    name: str | None
    description: str | None
    actions: tuple[str, ...]
    indexes: tuple[str, ...]
    expires_ns: int | None
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class Permit:
    """What the bearer of a request may touch.

    Attributes:
        indexes: names and patterns; ``("*",)`` for all.
        creates_indexes: a post may give birth to an index.
        token: narrows searches further.
    """

    indexes: tuple[str, ...] = ("*",)
    creates_indexes: bool = True
    token: TenantToken | None = None

    def restrict(self, index_uid: str, condition: Any) -> Any:
        """Return a search's filter with what the bearer's token adds."""
        return condition if self.token is None else fuse_filters(condition, self.token.rule(index_uid)[1])

    def allows(self, index_uid: str) -> bool:
        """Tell whether the index may be touched."""
        return any(_matches(pattern, index_uid) for pattern in self.indexes)

    def may_search(self, index_uid: str) -> bool:
        """Tell whether the index may be searched, by the key and by the token."""
        return self.allows(index_uid) and (self.token is None or self.token.rule(index_uid)[0])

    def check(self, index_uid: str) -> None:
        """Refuse an index outside the permit."""
        if self.token is not None and not self.token.rule(index_uid)[0]:
            listed = ", ".join(f'"{name}"' for name in sorted(self.token.rules))
            text = f"The provided tenant token cannot acces the index `{index_uid}`, allowed indexes are [{listed}]."
            raise ApiError("invalid_api_key", text)
        if self.token is not None and not self.allows(index_uid):
            text = f"The API key used to generate this tenant token cannot acces the index `{index_uid}`."
            raise ApiError("invalid_api_key", text)
        if not self.allows(index_uid):
            listed = ", ".join(f'"{name}"' for name in self.indexes)
            # The typing error is the real node's own.
            text = f"The API key cannot acces the index `{index_uid}`, authorized indexes are [{listed}]."
            raise ApiError("invalid_api_key", text)


def derive_value(master_key: str, uid: str) -> str:
    """Return a key's value: the same master key and uid give the same value on every node."""
    return hmac.new(master_key.encode(), uid.encode(), hashlib.sha256).hexdigest()


def authorise(
    header: str | None,
    action: str,
    *,
    master_key: str | None,
    keys: Mapping[str, Key],
    now_ns: int,
    index_uid: str | None = None,
) -> Permit:
    """Return what the bearer may touch.

    Args:
        header: the ``Authorization`` header.
        action: the action the route needs.
        master_key: None leaves the node open.
        keys: key by value.
        now_ns: the present instant.
        index_uid: the index of the route; that it is closed is told before anything about the action.

    Raises:
        ApiError: 401 without a header, 403 where the key is unknown, expired or lacks the action.
    """
    if master_key is None:
        if action.startswith("keys."):
            text = "The master key is not set; the keys routes need one."
            raise ApiError("missing_master_key", text)
        return Permit()
    if header is None or header.partition(" ")[0] != "Bearer":
        text = "The Authorization header is missing. It must use the bearer authorization method."
        raise ApiError("missing_authorization_header", text)
    bearer = header.removeprefix("Bearer").removeprefix(" ")
    # A header may hold any bytes.
    if hmac.compare_digest(bearer.encode(errors="surrogateescape"), master_key.encode()):
        return Permit()
    token = None
    if action == "search":
        token = read_tenant_token(bearer, lambda uid: derive_value(master_key, uid), now_ns)
    key = keys.get(bearer if token is None else derive_value(master_key, token.key_uid))
    if key is None:
        raise ApiError("invalid_api_key", "The provided API key is invalid.")
    permit = Permit(key.indexes, creates_indexes=_may(key.actions, "indexes.create"), token=token)
    if index_uid is not None:
        permit.check(index_uid)
    if (key.expires_ns is not None and key.expires_ns <= now_ns) or not _may(key.actions, action):
        raise ApiError("invalid_api_key", "The provided API key is invalid.")
    return permit


def parse_key(body: Any, *, fresh_uid: str, now_ns: int) -> Key:
    """Return the key that ``POST /keys`` asks for."""
    fields = read_object(body)
    check_fields(fields, KEY_FIELDS)
    for name, code in (("actions", "actions"), ("indexes", "indexes"), ("expiresAt", "expires_at")):
        if name not in fields:
            raise ApiError(f"missing_api_key_{code}", f"Missing field `{name}`")
    return Key(
        uid=_uid(fields["uid"]) if fields.get("uid") is not None else fresh_uid,
        name=_text(fields.get("name"), "invalid_api_key_name", ".name"),
        description=_text(fields.get("description"), "invalid_api_key_description", ".description"),
        actions=_actions(fields["actions"]),
        indexes=_indexes(fields["indexes"]),
        expires_ns=_expiry(fields["expiresAt"], now_ns),
        created_ns=now_ns,
        updated_ns=now_ns,
    )


def change_key(key: Key, body: Any, *, now_ns: int) -> Key:
    """Return ``key`` with the name and description that ``PATCH /keys/{uid}`` asks for."""
    fields = read_object(body)
    for field in fields:
        if field in _IMMUTABLE:
            code = "immutable_api_key_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in field)
            raise ApiError(code, f"Immutable field `{field}`: expected one of `description`, `name`")
    check_fields(fields, ("description", "name"))
    changed = replace(key, updated_ns=now_ns)
    if "name" in fields:
        changed = replace(changed, name=_text(fields["name"], "invalid_api_key_name", ".name"))
    if "description" in fields:
        text = _text(fields["description"], "invalid_api_key_description", ".description")
        changed = replace(changed, description=text)
    return changed


def default_keys(uids: Sequence[str], now_ns: int) -> tuple[Key, ...]:
    """Return the four keys a fresh node has, oldest first; ``uids`` are four random ones."""
    table: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("Default Chat API Key", "Use it to chat and search from the frontend", ("chatCompletions", "search")),
        (
            "Default Read-Only Admin API Key",
            (
                "Use it to read information across the whole database. Caution! Do not expose this key on a public"
                " frontend"
            ),
            ("*.get", "keys.get"),
        ),
        (
            "Default Admin API Key",
            "Use it for anything that is not a search operation. Caution! Do not expose it on a public frontend",
            ("*",),
        ),
        ("Default Search API Key", "Use it to search from the frontend", ("search",)),
    )
    return tuple(
        Key(uid, name, text, actions, ("*",), None, now_ns + place, now_ns + place)
        for place, (uid, (name, text, actions)) in enumerate(zip(uids, table, strict=True))
    )


def view_key(key: Key, value: str) -> dict[str, Any]:
    """Return a key as the routes show it."""
    return {
        "name": key.name,
        "description": key.description,
        "key": value,
        "uid": key.uid,
        "actions": list(key.actions),
        "indexes": list(key.indexes),
        "expiresAt": None if key.expires_ns is None else format_instant(key.expires_ns),
        "createdAt": format_instant(key.created_ns),
        "updatedAt": format_instant(key.updated_ns),
    }


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _may(actions: Sequence[str], action: str) -> bool:
    group, _, verb = action.partition(".")
    # ``*`` leaves out the keys routes, as on a real node: only the master key or the named action opens them.
    granted = set(actions)
    if action in granted or (verb and f"{group}.*" in granted):
        return True
    if group == "keys":
        return False
    return "*" in granted or ("*.get" in granted and (verb == "get" or action in {"search", "version"}))


def _uid(value: Any) -> str:
    text = read_string(value, "invalid_api_key_uid", ".uid")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        reason = f"`{text}` is not a valid uuid"
        raise ApiError("invalid_api_key_uid", f"Invalid value at `.uid`: {reason}") from None


def _text(value: Any, code: str, path: str) -> str | None:
    return None if value is None else read_string(value, code, path)


def _actions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong_type("invalid_api_key_actions", ".actions", "an array", value)
    for place, item in enumerate(value):
        read_one_of(ACTIONS, item, "invalid_api_key_actions", f".actions[{place}]")
    return tuple(value)


def _indexes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong_type("invalid_api_key_indexes", ".indexes", "an array", value)
    return tuple(_index_pattern(item, f".indexes[{place}]") for place, item in enumerate(value))


def _index_pattern(value: Any, path: str) -> str:
    code = "invalid_api_key_indexes"
    text = read_string(value, code, path)
    if text != "*" and not is_index_uid(text.removesuffix("*")):
        reason = (
            f"`{text}` is not a valid index uid pattern. Index uid patterns can be an integer or a string containing"
            " only alphanumeric characters, hyphens (-), underscores (_), and optionally end with a star (*)."
        )
        raise ApiError(code, f"Invalid value at `{path}`: {reason}")
    return text


def _expiry(value: Any, now_ns: int) -> int | None:
    if value is None:
        return None
    code = "invalid_api_key_expires_at"
    if not isinstance(value, str):
        text = f"Invalid value type at `.expiresAt`: expected a string, but found {describe(value)}"
        raise ApiError(code, text)
    instant = parse_instant(value)
    if instant is None or instant <= now_ns:
        reason = f"`{value}` is not a valid date. It should follow the RFC 3339 format to represents a date or datetime"
        text = f"{reason} in the future or specified as a null value. e.g. 'YYYY-MM-DD' or 'YYYY-MM-DD HH:MM:SS'.\n"
        raise ApiError(code, f"Invalid value at `.expiresAt`: {text}")
    return instant
