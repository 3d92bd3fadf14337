"""``miroir rebalance`` and ``miroir shards``, beside a stack that runs."""

import pytest

from tests.miroir.local_stack import LocalStack

pytestmark = [pytest.mark.slow]


def test_rebalance_status_names_every_node(local_stack: LocalStack) -> None:
    """With its state and how many copies it has."""
    nodes = local_stack.run("rebalance", "status", "--json").json["nodes"]

    assert nodes.keys() == {"node-1", "node-2", "node-3"}
    assert all(found.keys() == {"state", "copies", "leaving"} for found in nodes.values())
