"""Moves: how much of all copies a change moves, and how even it leaves them."""

from collections import Counter
from collections.abc import Collection, Mapping

import pytest

from schemas.ids import NodeId, ShardId
from streams.moves import first_copies, moves_between, wanted_copies
from tests.builders import make_index, make_node, make_replica, make_topology


@pytest.mark.parametrize("replication", [1, 2, 3])
@pytest.mark.parametrize("number", range(20))
def test_ninth_node_that_joins_moves_its_share_and_hardly_more(number: int, replication: int) -> None:
    """A ninth of all copies is the new node's; at most two points more move, of single copies too."""
    index = make_index(f"index-{number}", incarnation=number, shards=256, replication=replication)
    nodes = [make_node(f"node-{n}") for n in range(9)]
    before = make_topology(*nodes[:8], index)
    placed = [
        make_replica(node, shard=shard, uid=index.uid, incarnation=number)
        for shard, chosen in first_copies(before, index).items()
        for node in chosen
    ]

    settled_topology = make_topology(*nodes[:8], index, *placed)
    joined = make_topology(*nodes, index, *placed)

    assert not moves_between(settled_topology, settled_topology)
    assert len(moves_between(settled_topology, joined)) / (256 * replication) <= 1 / 9 + 0.02


@pytest.mark.parametrize("replication", [1, 2, 3])
@pytest.mark.parametrize("number", range(5))
def test_nodes_stay_near_the_mean_after_nodes_have_come_and_gone(number: int, replication: int) -> None:
    """What stays where it is for the sake of few moves counts too: 0.9 to 1.15 times the mean, change after change."""
    index = make_index(f"index-{number}", incarnation=number, shards=256, replication=replication)
    nodes = [make_node(f"node-{n}") for n in range(10)]
    existing: Mapping[ShardId, Collection[NodeId]] = {}
    for there in (nodes[:8], nodes[:9], nodes, nodes[1:], nodes[2:]):
        placed = [
            make_replica(node, shard=shard, uid=index.uid, incarnation=number)
            for shard, chosen in existing.items()
            for node in chosen
        ]
        existing = wanted_copies(make_topology(*there, index, *placed), index)
        held, share = Counter(node for chosen in existing.values() for node in chosen), 256 * replication / len(there)
        assert int(0.9 * share) <= min(held[node.id] for node in there)
        assert max(held.values()) <= 1.15 * share
