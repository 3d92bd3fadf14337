"""Keys of nodes: derived as Meilisearch derives them, and able to do no more than needed."""

import uuid

import pytest

from schemas.keys import SEARCH_ACTIONS, WORKER_ACTIONS, derive_key


def test_derived_key_is_meilisearchs_own() -> None:
    """The vector is a real Meilisearch 1.50's answer to a key made with this uid under this master key."""
    uid = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"

    assert derive_key("masterKey_masterKey", uid) == (
        "ba2a053930d60b3ffad018309118bd34eb82a6baa9e7c3cb112730c2dc50f516"
    )


def test_derived_keys_of_two_nodes_differ() -> None:
    """Another master key, or another uid, gives another key."""
    one, other = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))

    assert len({derive_key("a" * 16, one), derive_key("a" * 16, other), derive_key("b" * 16, one)}) == 3


@pytest.mark.parametrize("action", ["indexes.create", "indexes.add", "*", "indexes.*", "documents.*", "keys.create"])
def test_no_key_can_give_birth_to_an_index(action: str) -> None:
    """A post to an index that is not there must fail; only the controller makes indexes and keys."""
    assert action not in WORKER_ACTIONS
    assert action not in SEARCH_ACTIONS


def test_search_key_cannot_write() -> None:
    """A query service changes nothing on a node."""
    assert not {action for action in SEARCH_ACTIONS if action.endswith((".add", ".delete", ".update"))}
