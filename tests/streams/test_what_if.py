"""The cluster as it would be."""

from dataclasses import replace

import pytest

from schemas.errors import InvalidRequestError, NotFoundError
from schemas.events import NodeRecord, NodeState
from schemas.ids import NodeId
from schemas.requests import (
    ActivateNode,
    AddNode,
    DeleteIndex,
    DrainNode,
    MaintainNode,
    RemoveNode,
    ReplaceNode,
    Request,
    UpdateIndex,
)
from streams.moves import moves_between
from streams.what_if import topology_after
from tests.builders import UID, make_index, make_node, make_topology

ACTIVE = NodeState.ACTIVE
A, B, NEW = NodeId("a"), NodeId("b"), NodeId("new")
BEFORE = make_topology(make_node("a"), make_node("b"), make_node("c"), make_index(shards=12))


@pytest.mark.parametrize(
    ("request_", "state"),
    [
        (DrainNode(A), NodeState.DRAINING),
        (MaintainNode(A), NodeState.MAINTENANCE),
        (ActivateNode(A), NodeState.ACTIVE),
        (RemoveNode(A), NodeState.REMOVED),
    ],
    ids=lambda value: str(value) if isinstance(value, NodeState) else "",
)
def test_node_has_the_state_that_is_asked_for(request_: Request, state: NodeState) -> None:
    """Nothing else changes."""
    after = topology_after(BEFORE, request_)

    assert after.nodes[A].state is state
    assert after.nodes[B] == BEFORE.nodes[B]
    assert after.indexes == BEFORE.indexes


def test_node_that_would_join_is_active_at_once() -> None:
    """What would move to it is the question."""
    after = topology_after(BEFORE, AddNode(NEW, "http://new:7700", weight=2.0))

    assert (after.nodes[NEW].state, after.nodes[NEW].weight) == (NodeState.ACTIVE, 2.0)
    assert {copy.node for copy in moves_between(BEFORE, after)} >= {NEW}


def test_known_node_would_have_another_share() -> None:
    """Asking again changes weight, zone and group."""
    assert topology_after(BEFORE, AddNode(A, "http://a:7700", weight=3.0)).nodes[A].weight == 3.0


def test_known_node_would_keep_what_is_not_named() -> None:
    """As the controller decides it; one that is being removed would begin anew."""
    shared = make_node("a", weight=2.0, zone="z")
    removed = make_node("b", weight=2.0, state=NodeState.REMOVED)
    before = make_topology(shared, removed)

    assert topology_after(before, AddNode(A, shared.url)).nodes[A] == shared
    assert topology_after(before, AddNode(A, shared.url, zone="y")).nodes[A] == replace(shared, zone="y")
    assert topology_after(before, AddNode(B, removed.url)).nodes[B] == NodeRecord(B, removed.url, state=ACTIVE)


def test_replacement_by_a_node_that_is_there_is_refused() -> None:
    """It would be refused, whatever would move."""
    with pytest.raises(InvalidRequestError, match="node 'b' is in the cluster already"):
        topology_after(BEFORE, ReplaceNode(A, B, "http://b:7700"))


def test_replacement_would_move_the_replaced_node_alone() -> None:
    """Every copy goes from the one to the other."""
    after = topology_after(BEFORE, ReplaceNode(A, NEW, "http://new:7700"))

    assert {copy.node for copy in moves_between(BEFORE, after)} == {NEW}
    assert {copy.node for copy in moves_between(after, BEFORE)} == {A}


def test_index_would_have_other_copies_or_groups() -> None:
    """What is not named stays."""
    assert topology_after(BEFORE, UpdateIndex(UID, replication=3)).indexes[UID].replication == 3
    assert topology_after(BEFORE, UpdateIndex(UID, groups=(0, 1))).indexes[UID].groups == (0, 1)


@pytest.mark.parametrize("request_", [DrainNode(NEW), ReplaceNode(NEW, A, "http://x:1")], ids=lambda r: r.kind)
def test_node_that_is_not_there_is_not_found(request_: Request) -> None:
    """Its name is in the message."""
    with pytest.raises(NotFoundError, match="new"):
        topology_after(BEFORE, request_)


def test_request_that_moves_nothing_is_refused() -> None:
    """There is nothing to show."""
    with pytest.raises(InvalidRequestError, match="moves no copies"):
        topology_after(BEFORE, DeleteIndex(UID))
