"""Runs of many seeds, each in a process that has done nothing else, so that a seed alone does what it did among others.

What an order of a set may depend on is the same in every such process: the hash of texts (``PYTHONHASHSEED``), where
things lie in memory (no address randomisation, where the system lets a process say so), and what ran before (nothing:
each is forked from one that has only imported).
"""

import ctypes
import gc
import os
import pickle
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.mixes import MIXES
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Result
from tests.simulation.simulate import simulate
from tests.simulation.truth import BrokenInvariantError

ADDR_NO_RANDOMIZE = 0x0040000
"""See ``personality(2)``."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that failed, and how.

    Attributes:
        checker: what found it; empty where it was none of the checkers.
    """

    seed: int
    report: str
    checker: str = ""


def settle_hashes() -> None:
    """Start this program again where the order of a set would depend on more than the seed; else return."""
    if os.environ.get("PYTHONHASHSEED") == "0":
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})


def run_seeds(
    seeds: range, *, steps: int, jobs: int, directory: Path, mix: str = "usual", mutant: str = ""
) -> Iterator[Result | Failure]:
    """Run the seeds, so many at a time, and yield what became of each, in no order.

    Args:
        seeds: each an own process.
        steps: of each.
        jobs: processes at a time.
        directory: where they leave their results.
        mix: the name of what they are made of.
        mutant: the name of the rule that is broken; empty for none.
    """
    running: dict[int, int] = {}
    waiting = list(reversed(seeds))
    while waiting or running:
        while waiting and len(running) < jobs:
            seed = waiting.pop()
            running[_fork(seed, steps, directory, mix, mutant)] = seed
        pid, _ = os.wait()
        seed = running.pop(pid)
        file = directory / str(seed)
        if not file.exists():
            yield Failure(seed, "its process ended without a word")
            continue
        yield pickle.loads(file.read_bytes())
        file.unlink()


def _fork(seed: int, steps: int, directory: Path, mix: str, mutant: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    # Looking for garbage takes longer than a run's garbage is worth.
    gc.disable()
    try:
        if mutant:
            MUTANTS[mutant].apply()
        outcome: Result | Failure = simulate(seed, steps=steps, mix=MIXES[mix])
    except BaseException as error:  # noqa: BLE001 - whatever it is, the seed is what matters
        outcome = Failure(seed, traceback.format_exc(), _checker_of(error))
    unfinished = directory / f"{seed}.part"
    unfinished.write_bytes(pickle.dumps(outcome))
    unfinished.rename(directory / str(seed))
    os._exit(0)


def _checker_of(error: BaseException) -> str:
    """Return the name of the checker that has raised it, by itself or in a group; empty where none has."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_checker_of, error.exceptions)), "")
    return error.checker if isinstance(error, BrokenInvariantError) else ""
