"""``miroir why``, beside a stack that runs."""

import pytest

from tests.miroir.local_stack import LocalStack

pytestmark = [pytest.mark.slow]


def test_why_tells_of_every_node(local_stack: LocalStack) -> None:
    """The chosen ones are where the shard is wanted."""
    local_stack.run("index", "create", "reasons", "--primary-key", "id", "--shards", "3")

    found = local_stack.run("why", "reasons/1", "--json").json

    nodes = found["groups"]["0"]
    assert sorted(node["node"] for node in nodes if node["chosen"]) == found["wanted"]
    assert {node["node"] for node in nodes} <= {"node-1", "node-2", "node-3"}


def test_why_prints_a_table_and_the_rule(local_stack: LocalStack) -> None:
    """For people: scores, weights, zones, room, and in words how the choice is made."""
    local_stack.run("index", "create", "told", "--primary-key", "id", "--shards", "2")

    printed = " ".join(local_stack.run("why", "told/0").out.split())

    for word in ("score", "weight", "zone", "share", "room", "held", "node-1", "node-2", "node-3", "wanted on"):
        assert word in printed
    assert "The nodes with the highest scores are chosen" in printed


def test_why_of_what_is_no_shard_is_refused(local_stack: LocalStack) -> None:
    """With what was expected."""
    assert "INDEX/SHARD" in local_stack.run("why", "reasons", code=1).err
