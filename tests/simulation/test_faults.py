"""Whoever judges how long a node has been there learns of every outage, however short."""

import random

import pytest

from tests.simulation.cluster import SimulatedCluster
from tests.simulation.faults import Faults
from tests.simulation.truth import Truth


@pytest.mark.parametrize(("fault", "was_away"), [("is_frozen", True), ("is_down", True), ("is_full", False)])
async def test_node_that_is_mended_is_there_since_then_if_it_was_away(fault: str, *, was_away: bool) -> None:
    """A node that was frozen or killed has not been there before it was mended; one that was full has."""
    cluster = SimulatedCluster(random.Random(1))
    try:
        node = cluster.add_node("n1")
        setattr(node, fault, True)

        Faults(cluster, Truth(), random.Random(1)).mend_all()

        assert not getattr(node, fault)
        assert (node.there_since_s > 0) is was_away
    finally:
        cluster.stop()
