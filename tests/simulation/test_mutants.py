"""Broken rules are found, each by a checker that is for it: else the simulation would hold whatever we write."""

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.runs import SEEDS, require_found

SEEDS_NEAR = 12
"""What the product does may have changed the course of the seed that is known, but not of so many."""

SEEDS_MAX = 60
"""In so many seeds a broken rule shows: most in the first few, the rarest in the twenty-first."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found_by_its_checkers(name: str) -> None:
    """A seed fails with the rule broken, the one that is known or one soon after, that holds with the rule as it is.

    That these hold is what the run of all seeds shows.
    """
    assert require_found(name, MUTANTS[name].seed, SEEDS_NEAR) in SEEDS[MUTANTS[name].mix]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found_by_other_seeds(request: pytest.FixtureRequest, name: str) -> None:
    """The long run looks for it anew, in seeds that nobody has chosen."""
    if not request.config.getoption("--long"):
        pytest.skip("--long looks for broken rules anew")
    require_found(name, 501, SEEDS_MAX)
