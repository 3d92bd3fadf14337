"""The simulation repeats a seed exactly, and its long run holds."""

import os
from pathlib import Path

import pytest

from tests.simulation.runs import SEEDS, require_floor, require_losses, require_seeds_hold, run_simulation

LONG = range(1001, 21_001)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_seeds_of_the_simulation_hold(tmp_path: Path) -> None:
    """Workers, nodes and the log fail, the cluster changes, what must always hold does, and nothing was left out."""
    require_floor(require_seeds_hold(SEEDS["usual"], tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_seeds_full_of_losses_hold(tmp_path: Path) -> None:
    """Disks are lost or older, logs are trimmed and months pass, each about once a seed: what must always hold does."""
    require_losses(require_seeds_hold(SEEDS["losses"], tmp_path, mix="losses"))


@pytest.mark.slow
def test_seed_alone_does_what_it_did() -> None:
    """The same seed leaves the same log, whoever runs it."""
    digests = {run_simulation(7, 1, "--steps", "100").stdout.rsplit("digest", 1)[-1] for _ in range(2)}

    assert len(digests) == 1
    assert "of the log" in digests.pop()


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_many_seeds_of_the_simulation_hold(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The long run."""
    if not request.config.getoption("--long"):
        pytest.skip("--long runs many seeds")
    require_seeds_hold(LONG, tmp_path, jobs=os.cpu_count() or 1)
