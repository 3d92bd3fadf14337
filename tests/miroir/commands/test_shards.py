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


def test_shards_prints_a_row_a_copy(local_stack: LocalStack) -> None:
    """For people: whether each can be read, and where it stands."""
    local_stack.run("index", "create", "rows", "--primary-key", "id", "--shards", "2")

    printed = local_stack.run("shards", "--index", "rows").out

    assert sum("placed" in line for line in printed.splitlines()) == 4
    assert "wanted on" in " ".join(printed.split())
