"""Names: what is one, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInputError
from schemas.ids import (
    INDEX_UID_BYTES_MAX,
    NODE_ID_BYTES_MAX,
    Incarnation,
    IndexUid,
    node_index_uid,
    parse_index_uid,
    parse_node_id,
    parse_node_index_uid,
)
from tests.strategies import incarnations, index_uids, node_ids

MEILISEARCH_UID_BYTES_MAX = 400


@given(index_uids)
def test_index_uid_of_meilisearchs_characters_is_taken(uid: IndexUid) -> None:
    """Letters, digits, hyphen and underscore, up to our limit."""
    assert parse_index_uid(uid) == uid


@pytest.mark.parametrize("text", ["", "a b", "é", "a.b", "a/b", "a\n", "a" * (INDEX_UID_BYTES_MAX + 1)])
def test_index_uid_of_another_form_is_refused(text: str) -> None:
    """The error names what was expected and shows no more than the beginning."""
    with pytest.raises(InvalidInputError, match=r"index uid .*expected 1 to 200 characters") as caught:
        parse_index_uid(text)
    assert len(str(caught.value)) < 200


@given(node_ids)
def test_node_id_of_host_characters_is_taken(node: str) -> None:
    """A host name is a node id."""
    assert parse_node_id(node) == node


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a:7700", "n\n", "a" * (NODE_ID_BYTES_MAX + 1)])
def test_node_id_of_another_form_is_refused(text: str) -> None:
    """A slash would break the keys of the cluster topic."""
    with pytest.raises(InvalidInputError, match="node id"):
        parse_node_id(text)


@given(index_uids, incarnations)
def test_node_index_uid_is_read_back_and_fits_a_node(uid: IndexUid, incarnation: Incarnation) -> None:
    """The name on nodes tells index and incarnation, and no two incarnations share one."""
    name = node_index_uid(uid, incarnation)

    assert parse_node_index_uid(name) == (uid, incarnation)
    assert len(name) <= MEILISEARCH_UID_BYTES_MAX


@given(st.text())
def test_other_names_on_a_node_are_not_ours(text: str) -> None:
    """Whatever is read as ours is exactly what we would have built."""
    found = parse_node_index_uid(text)

    assert found is None or node_index_uid(*found) == text


@pytest.mark.parametrize("text", ["films", "films__", "__7", "films__007", "films__7x", "films__-7", "films__\u0667"])
def test_near_names_on_a_node_are_not_ours(text: str) -> None:
    """An index that somebody else made on the node is never taken for one of ours."""
    assert parse_node_index_uid(text) is None
