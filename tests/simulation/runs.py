"""The simulation as its tests run it: in a process of its own, with what it covered."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.simulation.coverage import find_uncovered
from tests.simulation.mutants import MUTANTS

SEEDS: Mapping[str, range] = {
    "usual": range(1, 501),
    "losses": range(1, 41),
    "moves": range(1, 26),
    "shares": range(1, 26),
    "states": range(1, 41),
}
"""Of the usual run, of every mix: each takes about half a second of a core."""

FAULTS_FLOOR: Mapping[str, int] = {
    "compaction": 300,
    "disk lost": 15,
    "disk older": 4,
    "document bad": 80,
    "document refused by a node": 80,
    "log away": 150,
    "log trimmed": 10,
    "long absence": 40,
    "node answers lost": 150,
    "node disk copied": 150,
    "node frozen": 150,
    "node full": 150,
    "node killed": 150,
    "post delayed": 100,
    "worker asleep": 150,
    "worker killed": 150,
}
"""How often each happens at the least in as many seeds as the floor is for: about half of what was seen."""

REQUESTS_FLOOR: Mapping[str, int] = {
    "activate_node of absent: refused": 10,
    "activate_node of active: accepted": 100,
    "activate_node of draining: accepted": 20,
    "activate_node of maintenance: accepted": 20,
    "add_node of absent: accepted": 400,
    "create_index of absent: accepted": 100,
    "create_index of absent: refused": 50,
    "create_index of active: refused": 50,
    "delete_index of absent: refused": 20,
    "delete_index of active: accepted": 30,
    "drain_node of absent: refused": 8,
    "drain_node of active: accepted": 40,
    "drain_node of active: refused": 5,
    "drain_node of draining: accepted": 15,
    "drain_node of maintenance: accepted": 4,
    "maintain_node of absent: refused": 8,
    "maintain_node of active: accepted": 60,
    "maintain_node of draining: refused": 8,
    "maintain_node of maintenance: accepted": 6,
    "rebuild_node of absent: refused": 8,
    "rebuild_node of active: accepted": 40,
    "rebuild_node of draining: accepted": 10,
    "rebuild_node of maintenance: accepted": 4,
    "remove_node of absent: refused": 3,
    "remove_node of active: accepted": 30,
    "remove_node of active: refused": 10,
    "remove_node of draining: accepted": 5,
    "remove_node of maintenance: accepted": 3,
    "replace_node of absent: refused": 2,
    "replace_node of active: accepted": 20,
    "replace_node of draining: accepted": 2,
    "replace_node of maintenance: accepted": 2,
    "resume_index of absent: refused": 20,
    "resume_index of active: accepted": 15,
    "update_index of absent: refused": 40,
    "update_index of active: accepted": 25,
    "update_index of active: refused": 8,
    "update_settings of absent: refused": 20,
    "update_settings of active: accepted": 15,
}

FLOOR_SEEDS = 166

LOSSES_FLOOR: Mapping[str, float] = {"disk lost": 0.75, "disk older": 0.75, "log trimmed": 0.5, "long absence": 0.75}
"""How often each happens in a seed, on the average, at the least: logs are trimmed some 0.7 times, never that of the
last index that has its own whole."""

SHARES_FLOOR: Mapping[str, int] = {
    "add_node of active: accepted": 130,
    "add_node of active: refused": 8,
    "add_node of draining: accepted": 20,
    "add_node of maintenance: accepted": 20,
}
"""How often, at the least, another weight, zone or group is asked for in the seeds of the mix that is for it."""

STATES_ASKED = {
    **dict.fromkeys(
        ("add", "activate", "drain", "maintain", "rebuild", "remove", "replace"),
        ("joining", "draining", "maintenance", "failed", "removed"),
    ),
    **dict.fromkeys(("create", "delete", "update", "resume"), ("absent", "active", "paused")),
}
"""Of what everything must have been asked for in every state, in the seeds of the mix that is for it."""

FAULTS_MIN = 4
"""Of every single seed."""

CHANGES_MIN = 1
"""Granted changes of the cluster, of every single seed."""

DOCUMENTS_MIN = 100
"""Of every single seed."""

SEARCHES_MIN = 10
"""Judged, of every single seed."""

STALE_PART_MAX: Mapping[str, float] = {
    "usual": 0.007,
    "losses": 0.016,
    "moves": 0.008,
    "shares": 0.005,
    "states": 0.02,
}
"""Of the copies that were judged, excused for older documents: about twice what was seen in each mix."""

INCOMPLETE_PART_MAX: Mapping[str, float] = {
    "usual": 0.13,
    "losses": 0.32,
    "moves": 0.21,
    "shares": 0.18,
    "states": 0.48,
}
"""Of the searches, not answered whole for a reason: about twice what was seen in each mix."""

SETTLED_PART_MIN = 0.7
"""Of the seeds, had an index at last whose copies were held against the log: others have deleted theirs, or lost the
logs."""

COMPARED_FLOOR = 20
"""Pairs of copies that stood at one position, of a seed on the average: about half of what was seen."""

ROUNDS_FLOOR: Mapping[str, int] = {"heads": 8000, "keys": 1200, "windows": 600, "values": 150, "longer": 4}
"""Of searches answered whole, in as many seeds as the floor is for: about half of what was seen."""

FOLDS_FLOOR = 60
"""Folds of the cluster topic held against fresh ones, of a seed on the average: about half of what was seen."""


def run_simulation(first: int, count: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the simulation as people do."""
    command = [sys.executable, "-m", "tests.simulation", str(first), str(count), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def require_seeds_hold(seeds: range, directory: Path, *, jobs: int = 1, mix: str = "usual") -> dict[str, Any]:
    """Run seeds, each of which must hold and have had its faults and changes; return what they covered."""
    file = directory / "coverage.json"
    ran = run_simulation(seeds.start, len(seeds), "--jobs", str(jobs), "--mix", mix, "--json", str(file))
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    covered: dict[str, Any] = json.loads(file.read_text())
    assert covered["seeds"] == len(seeds)
    assert covered["faults_min"] >= FAULTS_MIN
    assert covered["changes_min"] >= CHANGES_MIN
    assert covered["documents_min"] >= DOCUMENTS_MIN
    assert covered["searches_min"] >= SEARCHES_MIN
    assert covered["settled_seeds"] >= SETTLED_PART_MIN * covered["seeds"]
    require_excuses_are_rare(covered, mix)
    return covered


def require_losses(covered: Mapping[str, Any]) -> None:
    """Require that the seeds of the mix of losses had enough of every kind."""
    assert not find_uncovered(covered["faults"], {what: int(n * covered["seeds"]) for what, n in LOSSES_FLOOR.items()})


def require_shares(covered: Mapping[str, Any]) -> None:
    """Require that weights, zones and groups of nodes were changed, and that some changes were refused."""
    assert not find_uncovered(covered["requests"], SHARES_FLOOR)


def require_states(covered: Mapping[str, Any]) -> None:
    """Require that every request was made in every state, whatever became of it."""
    asked = {what.split(": ")[0] for what, times in covered["requests"].items() if times}
    wanted = {
        f"{request}_{'index' if 'paused' in states else 'node'} of {state}"
        for request, states in STATES_ASKED.items()
        for state in states
    }
    assert not wanted - asked


def require_floor(covered: Mapping[str, Any]) -> None:
    """Require that the seeds have covered what so many must."""
    share = covered["seeds"] / FLOOR_SEEDS
    assert not find_uncovered(covered["faults"], {what: int(n * share) for what, n in FAULTS_FLOOR.items()})
    assert not find_uncovered(covered["requests"], {what: int(n * share) for what, n in REQUESTS_FLOOR.items()})
    assert not find_uncovered(covered["rounds"], {what: int(n * share) for what, n in ROUNDS_FLOOR.items()})
    assert covered["compared"] >= COMPARED_FLOOR * covered["seeds"]
    assert covered["folds"] >= FOLDS_FLOOR * covered["seeds"]


def require_excuses_are_rare(covered: Mapping[str, Any], mix: str = "usual") -> None:
    """Require that what is excused stays the exception: else nobody would notice an excuse that covers everything."""
    assert covered["stale"] <= STALE_PART_MAX[mix] * covered["judged"]
    assert covered["incomplete"] <= INCOMPLETE_PART_MAX[mix] * (covered["searches"] + covered["incomplete"])


def require_found(name: str, first: int, count: int) -> int:
    """Require that one of these seeds finds the mutant, by a checker that is for it; return the seed."""
    ran = run_simulation(first, count, "--jobs", "1", "--mutant", name)
    assert ran.returncode == 1, ran.stdout[-2000:] + ran.stderr[-1000:]
    assert ran.stdout.rsplit("checker: ", 1)[1].split("\n")[0] in MUTANTS[name].checkers, ran.stdout[-4000:]
    return int(ran.stdout.rsplit(" failed: ", 1)[0].rsplit("seed ", 1)[1])
