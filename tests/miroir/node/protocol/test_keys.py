"""Keys and verdicts on requests."""

import pytest

from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.keys import Key, authorise, derive_value

UID = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"


def key(*actions: str, indexes: tuple[str, ...] = ("*",), expires_ns: int | None = None) -> Key:
    """Return a key with these actions."""
    return Key(UID, None, None, actions, indexes, expires_ns, 0, 0)


def may(own: Key, action: str, *, now_ns: int = 5) -> bool:
    """Tell whether a key opens an action."""
    try:
        authorise("Bearer value", action, master_key="master", keys={"value": own}, now_ns=now_ns)
    except ApiError as error:
        return (error.code, error.status) != ("invalid_api_key", 403)
    return True


def test_value_follows_from_master_key_and_uid() -> None:
    """The recorded key comes out."""
    assert derive_value("masterKey", UID) == "0d030b69eea2dde1af6e6b714146c4dc942d4b2725c173e5d132c60aad9782f5"


@pytest.mark.parametrize(
    ("actions", "action", "expected"),
    [
        (("search",), "search", True),
        (("search",), "documents.add", False),
        (("documents.*",), "documents.add", True),
        (("documents.*",), "indexes.create", False),
        (("*",), "tasks.delete", True),
        (("*",), "keys.get", False),
        (("keys.get",), "keys.get", True),
        (("*.get",), "tasks.get", True),
        (("*.get",), "tasks.delete", False),
    ],
)
def test_actions_open_what_they_name(actions: tuple[str, ...], action: str, expected: bool) -> None:  # noqa: FBT001
    """Single actions, groups and wildcards."""
    assert may(key(*actions), action) is expected


def test_expired_key_opens_nothing() -> None:
    """A key ends at its expiry."""
    assert may(key("search", expires_ns=6), "search")
    assert not may(key("search", expires_ns=5), "search")


def test_missing_header_is_unauthorised() -> None:
    """Without a header the answer is 401."""
    with pytest.raises(ApiError) as refusal:
        authorise(None, "search", master_key="master", keys={}, now_ns=0)

    assert (refusal.value.code, refusal.value.status) == ("missing_authorization_header", 401)


def test_permit_limits_indexes_and_creation() -> None:
    """A permit knows its indexes, patterns included, and whether a post may create one."""
    permit = authorise(
        "Bearer v", "documents.add", master_key="m", keys={"v": key("documents.add", indexes=("a", "b*"))}, now_ns=0
    )

    assert [permit.allows(name) for name in ("a", "aa", "b", "b1")] == [True, False, True, True]
    assert not permit.creates_indexes
    with pytest.raises(ApiError, match="cannot acces the index `c`"):
        permit.check("c")
