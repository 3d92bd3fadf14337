"""What many runs have covered, as a table: every request in every state, every fault."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tests.simulation.run import Result


@dataclass(slots=True)
class Coverage:
    """The sum of runs.

    Attributes:
        requests: by request, state and outcome.
        faults: by kind.
        faults_min: fewest faults of one seed.
        changes_min: fewest granted requests of one seed that changed nodes, placements or indexes while it ran.
        rounds: of the searches that were answered whole, by purpose.
        documents_min: fewest documents of one seed.
        searches_min: fewest searches of one seed that were judged.
        settled: documents, each once a copy, that were held against the log at last.
        settled_seeds: seeds that had any.
        digests: of every seed's log, by seed.
    """

    seeds: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    faults_min: int = 0
    changes_min: int = 0
    documents_min: int = 0
    searches_min: int = 0
    documents: int = 0
    settled: int = 0
    settled_seeds: int = 0
    dead: int = 0
    searches: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    incomplete: int = 0
    judged: int = 0
    stale: int = 0
    compared: int = 0
    folds: int = 0
    digests: dict[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def sum_up(results: Iterable[Result]) -> Coverage:
    """Return what the runs have covered together."""
    total = Coverage()
    for result in results:
        least = {
            # What a worker ends by is what a fault has led to.
            "faults_min": result.faults.total() - result.faults["worker ended"],
            "changes_min": result.changes,
            "documents_min": result.documents,
            "searches_min": result.searches + result.incomplete,
        }
        for name, own in least.items():
            setattr(total, name, min(getattr(total, name), own) if total.seeds else own)
        total.seeds += 1
        total.requests += result.requests
        total.faults += result.faults
        total.documents += result.documents
        total.settled += result.settled
        total.settled_seeds += result.settled > 0
        total.dead += result.dead
        total.searches += result.searches
        total.rounds += result.rounds
        total.incomplete += result.incomplete
        total.judged += result.judged
        total.stale += result.stale
        total.compared += result.compared
        total.folds += result.folds
        total.digests[result.seed] = result.digest
    return total


def build_table(total: Coverage) -> Iterator[str]:
    """Yield the lines of the table."""
    cells: dict[str, dict[str, int]] = {}
    for what, times in sorted(total.requests.items()):
        cell, outcome = what.split(": ")
        cells.setdefault(cell, {})[outcome] = times
    yield f"{'request in a state':36} {'accepted':>9} {'refused':>9}"
    for cell, outcomes in cells.items():
        yield f"{cell:36} {outcomes.get('accepted', 0):9} {outcomes.get('refused', 0):9}"
    yield ""
    yield f"{'fault':36} {'times':>9}"
    for fault, times in sorted(total.faults.items()):
        yield f"{fault:36} {times:9}"
    yield ""
    yield f"{total.documents} documents, {total.dead} dead letters"
    yield f"{total.settled} documents of copies held against the log at last, of {total.settled_seeds} seeds"
    yield f"{total.searches} searches whole, {total.incomplete} not, with every copy of a shard on nodes that were away"
    yield "rounds: " + ", ".join(f"{times} {purpose}" for purpose, times in sorted(total.rounds.items()))
    yield (
        f"{total.judged} copies judged, {total.stale} of them excused for older documents, just after a post may have"
        f" come late; {total.compared} pairs compared; {total.folds} folds of the cluster topic held against fresh ones"
    )
    yield (
        f"at the least {total.faults_min} faults, {total.changes_min} granted changes, {total.documents_min} documents"
        f" and {total.searches_min} searches in one seed"
    )


def find_uncovered(counted: Mapping[str, int], floor: Mapping[str, int]) -> dict[str, int]:
    """Return what was seen less often than the floor asks, with how often it was."""
    return {what: counted.get(what, 0) for what, least in floor.items() if counted.get(what, 0) < least}
