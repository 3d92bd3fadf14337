"""Runs seeds and prints what they covered, ends with 1 where one fails: ``python -m tests.simulation 1 500``."""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.coverage import build_table, sum_up
from tests.simulation.mixes import MIXES
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import STEPS, Result
from tests.simulation.seeds import Failure, run_seeds, settle_hashes

SAY_S = 30.0
"""How often a long run says how far it is."""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("first", type=int, nargs="?", default=1)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--json", type=Path, help="a file for the table, as JSON")
    parser.add_argument("--verbose", action="store_true", help="everything that is logged")
    parser.add_argument("--mix", choices=MIXES, help="what happens how often; else the mutant's, or the usual one")
    parser.add_argument("--mutant", choices=MUTANTS, default="", help="break this rule, and end with the first failure")
    arguments = parser.parse_args()
    mix = arguments.mix or (MUTANTS[arguments.mutant].mix if arguments.mutant else "usual")
    settle_hashes()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.CRITICAL, stream=sys.stdout)
    began_s = time.monotonic()
    results: list[Result] = []
    failed = 0
    seeds = range(arguments.first, arguments.first + arguments.count)
    with tempfile.TemporaryDirectory(prefix="miroir-simulation-") as directory:
        outcomes = run_seeds(
            seeds,
            steps=arguments.steps,
            jobs=arguments.jobs,
            directory=Path(directory),
            mix=mix,
            mutant=arguments.mutant,
        )
        said_s = began_s
        for outcome in outcomes:
            if time.monotonic() > said_s + SAY_S:
                said_s = time.monotonic()
                sys.stderr.write(f"{len(results) + failed} of {len(seeds)} seeds, {failed} failed\n")
            if isinstance(outcome, Failure):
                failed += 1
                say(
                    f"{outcome.report}seed {outcome.seed} failed: python -m tests.simulation {outcome.seed} --mix {mix}"
                )
                say(f"checker: {outcome.checker}\n")
                if arguments.mutant:
                    return 1
            else:
                results.append(outcome)
    report(results, time.monotonic() - began_s)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(sum_up(results).to_json()))
    say(f"{failed} of {len(seeds)} seeds failed")
    return 1 if failed else 0


def report(results: list[Result], seconds: float) -> None:
    """Print the table of what was covered."""
    for line in build_table(sum_up(results)):
        say(line)
    say(f"{len(results)} seeds in {seconds:.0f} s")
    if len(results) == 1:
        say(f"digest of the log: {results[0].digest}")


if __name__ == "__main__":
    sys.exit(main())
