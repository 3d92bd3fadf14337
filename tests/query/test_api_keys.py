"""Requests to make and change API keys."""

import pytest

from query.api_keys import ACTIONS, check_key_change, check_new_key
from schemas.errors import InvalidRequestError, InvalidSearchError

WHOLE = {"actions": ["search"], "indexes": ["*"], "expiresAt": None}


def test_keys_that_can_be_are_taken() -> None:
    """Every action is known; what may be left out may be null."""
    check_new_key({**WHOLE, "actions": list(ACTIONS), "name": None, "uid": "6062abda-a5aa-4414-ac91-ecd7944c0f8d"})
    check_key_change({"name": "n", "description": None})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "bad_request"),
        ({**WHOLE, "nope": 1}, "bad_request"),
        ({"actions": ["search"]}, "missing_api_key_indexes"),
        ({"actions": [], "indexes": []}, "missing_api_key_expires_at"),
        ({**WHOLE, "actions": ["bogus"]}, "invalid_api_key_actions"),
        ({**WHOLE, "actions": "search"}, "invalid_api_key_actions"),
        ({**WHOLE, "indexes": "*"}, "invalid_api_key_indexes"),
        ({**WHOLE, "uid": "x"}, "invalid_api_key_uid"),
        ({**WHOLE, "expiresAt": 3}, "invalid_api_key_expires_at"),
    ],
)
def test_new_key_that_cannot_be_is_refused(body: object, code: str) -> None:
    """Each fault has Meilisearch's code."""
    with pytest.raises((InvalidRequestError, InvalidSearchError)) as caught:
        check_new_key(body)

    assert caught.value.code == code  # type: ignore[attr-defined]  # both have one


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"actions": ["*"]}, "immutable_api_key_actions"),
        ({"expiresAt": None}, "immutable_api_key_expires_at"),
        ({"nope": 1}, "bad_request"),
        ({"name": 1}, "invalid_api_key_name"),
        ("x", "bad_request"),
    ],
)
def test_change_of_what_is_fixed_is_refused(body: object, code: str) -> None:
    """A key's powers are for ever."""
    with pytest.raises((InvalidRequestError, InvalidSearchError)) as caught:
        check_key_change(body)

    assert caught.value.code == code  # type: ignore[attr-defined]  # both have one
