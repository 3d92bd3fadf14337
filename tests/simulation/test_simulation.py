"""The simulation repeats a seed exactly, and its long run holds."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.simulation.runs import (
    SEEDS,
    require_floor,
    require_losses,
    require_seeds_hold,
    require_shares,
    require_states,
    run_simulation,
)

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
@pytest.mark.timeout(1800)
def test_seeds_full_of_moves_hold(tmp_path: Path) -> None:
    """Copies move most of the time, while nodes freeze: what must always hold does."""
    covered = require_seeds_hold(SEEDS["moves"], tmp_path, mix="moves")
    assert covered["changes_min"] >= 10


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_seeds_in_which_nodes_take_other_shares_hold(tmp_path: Path) -> None:
    """Nodes that hold copies are given other weights, zones and groups: what must always hold does."""
    require_shares(require_seeds_hold(SEEDS["shares"], tmp_path, mix="shares"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_seeds_in_which_everything_is_asked_in_every_state_hold(tmp_path: Path) -> None:
    """Of nodes that have failed, leave or never came, of indexes that have stopped: what must always hold does."""
    require_states(require_seeds_hold(SEEDS["states"], tmp_path, mix="states"))


@pytest.mark.slow
def test_seed_alone_does_what_it_did_among_others(tmp_path: Path) -> None:
    """The same seed leaves the same log, whatever was run before it and beside it; another seed leaves another one."""
    among_others, alone = (_digests(tmp_path / "log.json", seeds) for seeds in (range(5, 9), range(7, 8)))

    assert among_others["7"] == alone["7"]
    assert len(set(among_others.values())) == len(among_others) == 4


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_many_seeds_of_the_simulation_hold(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The long run."""
    if not request.config.getoption("--long"):
        pytest.skip("--long runs many seeds")
    require_floor(require_seeds_hold(LONG, tmp_path, jobs=os.cpu_count() or 1))


def _digests(file: Path, seeds: range) -> Mapping[str, str]:
    """Return the digest of the log of every seed."""
    ran = run_simulation(seeds.start, len(seeds), "--jobs", "2", "--json", str(file))
    assert ran.returncode == 0, ran.stdout[-4000:]
    digests: Mapping[str, str] = json.loads(file.read_text())["digests"]
    return digests
