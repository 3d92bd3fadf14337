"""``miroir plan``, beside a stack that runs."""

import pytest

from tests.miroir.local_stack import LocalStack

pytestmark = [pytest.mark.slow]


def test_plan_of_a_drain_names_who_takes_over(local_stack: LocalStack) -> None:
    """Copies leave the drained node only, and none are made on it."""
    local_stack.run("index", "create", "planned", "--primary-key", "id", "--shards", "6")

    found = local_stack.run("plan", "drain", "node-1", "--json").json

    assert len(found["begin"]) == len(found["leave"]) > 0
    assert "node-1" not in {copy["node"] for copy in found["begin"]}
    assert found["copies"] >= 12
