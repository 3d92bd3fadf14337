"""A request to make or change an API key, checked for its form.

What always holds: what is wrong with it is said with Meilisearch's codes and words. Who calls it: the routes of keys.
It must not know: which keys there are.
"""

import re
import uuid

from query.body import read_choice, read_string, read_strings, wrong_type
from schemas.errors import InvalidRequestError
from schemas.meilisearch_requests import KEY_FIELDS
from schemas.near_names import expected_one_of

ACTIONS = (
    *("*", "search", "documents.*", "documents.add", "documents.get", "documents.delete", "indexes.*"),
    *("indexes.create", "indexes.get", "indexes.update", "indexes.delete", "indexes.swap", "tasks.*", "tasks.cancel"),
    *("tasks.delete", "tasks.get", "settings.*", "settings.get", "settings.update", "stats.*", "stats.get"),
    *("metrics.*", "metrics.get", "dumps.*", "dumps.create", "snapshots.*", "snapshots.create", "version"),
    *("keys.create", "keys.get", "keys.update", "keys.delete", "experimental.get", "experimental.update", "export"),
    *("network.get", "network.update", "chatCompletions", "chats.*", "chats.get", "chats.delete", "chatsSettings.*"),
    *("chatsSettings.get", "chatsSettings.update", "*.get", "webhooks.get", "webhooks.update", "webhooks.delete"),
    *("webhooks.create", "webhooks.*", "indexes.compact", "fields.post", "tasks.compact", "dynamicSearchRules.get"),
    *("dynamicSearchRules.create", "dynamicSearchRules.update", "dynamicSearchRules.delete", "dynamicSearchRules.*"),
)
"""Every action a key can be given, in the order in which messages list them."""

_CHANGEABLE = ("description", "name")
_IMMUTABLE = ("uid", "actions", "indexes", "expiresAt", "createdAt", "updatedAt", "key")
_CAPITAL = re.compile("([A-Z])")


def check_new_key(body: object) -> None:
    """Refuse what cannot be a new key.

    Raises:
        InvalidSearchError: a field has a wrong type or value.
        InvalidRequestError: a field is missing or unknown.
    """
    if not isinstance(body, dict):
        raise wrong_type(body, "bad_request", "", "an object")
    for name, value in body.items():
        match name:
            case "actions":
                _check_actions(value)
            case "indexes":
                read_strings(value, "invalid_api_key_indexes", ".indexes")
            case "uid" if value is not None:
                _check_uid(read_string(value, "invalid_api_key_uid", ".uid"))
            case "name" | "description" | "expiresAt" if value is not None:
                read_string(value, f"invalid_api_key_{_snake(name)}", f".{name}")
            case _ if name not in KEY_FIELDS:
                message = f"Unknown field `{name}`: {expected_one_of(name, KEY_FIELDS)}"
                raise InvalidRequestError("bad_request", message)
    for name in ("actions", "indexes", "expiresAt"):
        if name not in body:
            raise InvalidRequestError(f"missing_api_key_{_snake(name)}", f"Missing field `{name}`")


def check_key_change(body: object) -> None:
    """Refuse what cannot change a key: its name and description alone can be.

    Raises:
        InvalidSearchError: a value has a wrong type.
        InvalidRequestError: a field cannot be changed, or is unknown.
    """
    if not isinstance(body, dict):
        raise wrong_type(body, "bad_request", "", "an object")
    for name, value in body.items():
        if name in _IMMUTABLE:
            expected = expected_one_of("", _CHANGEABLE)
            raise InvalidRequestError(f"immutable_api_key_{_snake(name)}", f"Immutable field `{name}`: {expected}")
        if name not in _CHANGEABLE:
            message = f"Unknown field `{name}`: {expected_one_of(name, _CHANGEABLE)}"
            raise InvalidRequestError("bad_request", message)
        if value is not None:
            read_string(value, f"invalid_api_key_{name}", f".{name}")


def _check_actions(value: object) -> None:
    code = "invalid_api_key_actions"
    if not isinstance(value, list):
        raise wrong_type(value, code, ".actions", "an array")
    for number, action in enumerate(value):
        read_choice(action, code, f".actions[{number}]", ACTIONS)


def _check_uid(text: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError:
        message = f"Invalid value at `.uid`: `{text}` is not a valid uuid"
        raise InvalidRequestError("invalid_api_key_uid", message) from None


def _snake(name: str) -> str:
    return _CAPITAL.sub(lambda match: f"_{match[1].lower()}", name)
