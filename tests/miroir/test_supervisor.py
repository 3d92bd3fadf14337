"""The plan's way to the supervisor; what it does is tested with ``miroir up``."""

from pathlib import Path

import pytest

from miroir.stack_plan import StackPlan
from miroir.supervisor import build_plan, parse_plan


@pytest.mark.parametrize(
    "plan",
    [StackPlan(Path("/a")), StackPlan(Path("/a b"), 5, 2, 0, "h:1,i:2", Path("/bin/meilisearch"))],
    ids=["embedded", "real"],
)
def test_plan_built_is_parsed_back(plan: StackPlan) -> None:
    """The supervisor gets the plan that was meant."""
    assert parse_plan(build_plan(plan)) == plan
