"""Whether nodes can hold the copies that are asked for."""

from dataclasses import replace

import pytest

from schemas.events import NodeRecord, NodeState
from schemas.ids import NodeId
from streams.capacity import ACTIVE_ONLY, change_fault, copies_fault, room_fault
from tests.agents.clusters import node_record, world_with_index


def nodes(*zones: str, group: int = 0, state: NodeState = NodeState.ACTIVE) -> list[NodeRecord]:
    """Return one node for each zone."""
    return [replace(node_record(f"n{at}", state), zone=zone, group=group) for at, zone in enumerate(zones)]


@pytest.mark.parametrize(
    ("found", "replication", "words"),
    [
        pytest.param(nodes("", "", ""), 3, "", id="as many nodes as copies"),
        pytest.param(nodes("", ""), 3, "3 copies need as many nodes, there are 2", id="too few nodes"),
        pytest.param(nodes("a", "b", "b"), 2, "", id="as many zones as copies"),
        pytest.param(nodes("a", "a", "a"), 2, "need as many zones, there are 1 ('a')", id="one named zone"),
        pytest.param(nodes("a", "", ""), 3, "need as many zones, there are 2 ('', 'a')", id="a node without a name"),
        pytest.param(nodes("", "", group=1), 1, "1 copy need as many nodes, there are 0", id="another group"),
    ],
)
def test_fault_tells_what_is_missing(found: list[NodeRecord], replication: int, words: str) -> None:
    """Numbers, and what to do."""
    fault = copies_fault(found, replication=replication, groups=[0])

    assert fault.startswith(words) if not words else words in fault
    assert bool(fault) == bool(words)


def test_every_group_needs_its_own_copies() -> None:
    """A second group is held by nodes of its own."""
    found = [*nodes("", ""), *nodes("", group=1)]

    assert copies_fault(found, replication=1, groups=[0, 1]) == ""
    assert "in replica group 1, there are 1" in copies_fault(found, replication=2, groups=[0, 1])


def test_maintenance_counts_but_not_for_a_new_index() -> None:
    """A node that will return keeps its share; a new index begins on nodes that are there."""
    found = nodes("", "", state=NodeState.MAINTENANCE)

    assert copies_fault(found, replication=2, groups=[0]) == ""
    assert copies_fault(found, replication=2, groups=[0], states=ACTIVE_ONLY)


def test_room_that_an_index_lacks_already_is_no_fault_of_a_change() -> None:
    """Nor is that of one which asks for no more than it did; one that is made or grows is named."""
    before = world_with_index().topology
    index = next(iter(before.indexes.values()))
    one = replace(before, nodes=dict(list(before.nodes.items())[:1]))

    assert "2 copies need as many nodes, there are 1" in room_fault(before, one)
    assert room_fault(one, one) == ""
    assert "3 copies need as many nodes" in room_fault(
        one, replace(one, indexes={index.uid: replace(index, replication=3)})
    )


def test_change_that_takes_room_names_the_index_and_one_that_does_not_is_free() -> None:
    """Only what gets worse is a fault."""
    topology = world_with_index().topology
    n0, n1 = topology.nodes[NodeId("n0")], topology.nodes[NodeId("n1")]

    assert change_fault(topology, [replace(n0, state=NodeState.DRAINING)]) == ""
    both = [replace(n0, state=NodeState.DRAINING), replace(n1, group=1)]
    assert "index 'movies': 2 copies need as many nodes, there are 1" in change_fault(topology, both)
