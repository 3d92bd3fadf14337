"""``miroir shards``, beside a stack that runs."""

import pytest

from tests.miroir.local_stack import LocalStack

pytestmark = [pytest.mark.slow]


def test_shards_show_every_copy_of_an_index(local_stack: LocalStack) -> None:
    """Where each is, and where it is wanted."""
    local_stack.run("index", "create", "whereabouts", "--primary-key", "id", "--shards", "3")

    rows = local_stack.run("shards", "--index", "whereabouts", "--json").json

    assert [row["shard"] for row in rows] == [0, 1, 2]
    assert all(len(row["copies"]) == len(row["wanted"]) == 2 for row in rows)
