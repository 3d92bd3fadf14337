"""How much of what a real Meilisearch answered an embedded node answers too, and how fast.

``python -m bench.parity [DIRECTORY] [--json] [--whole] [--loading]``: starts an embedded node, loads what each
recording of the directory names (``../shared/fixtures``, or any other of its form), asks everything again and
compares. With ``--whole`` all documents are loaded where a recording names only some lines: only times are comparable
then. With ``--loading`` each index is loaded a second time under another name while its searches go on: their p99 is
shown beside that of the same searches directly before, which have the same things in memory.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench.figures import quantile
from bench.parity_comparison import Shares, compare_answers
from bench.parity_conversation import replay
from bench.parity_fixtures import (
    FIXTURES,
    FixtureError,
    SearchFixture,
    fixture_paths,
    is_conversation,
    read_conversation,
    read_recording,
    read_searches,
)
from tests.miroir.node.process import MASTER_KEY, NodeProcess

NDJSON = "application/x-ndjson"


@dataclass(slots=True)
class IndexFigures:
    """What was found and measured on one index.

    Attributes:
        search_s: of every case, in order.
        quiet_s: of all searches once more, directly before another index was loaded.
        loading_s: of searches sent while it was being loaded.
        differing: case and reason.
    """

    name: str
    documents: int
    load_s: float = 0.0
    search_s: list[float] = field(default_factory=list)
    quiet_s: list[float] = field(default_factory=list)
    loading_s: list[float] = field(default_factory=list)
    shares: Shares = field(default_factory=Shares)
    differing: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """Return the figures by name."""
        named: dict[str, object] = {"documents": self.documents, **self.shares.of(), **_times(self.search_s)}
        named["load_s"] = self.load_s
        if self.loading_s:
            named["quiet_p99_ms"] = quantile(self.quiet_s, 0.99) * 1000
            named["loading_p99_ms"] = quantile(self.loading_s, 0.99) * 1000
        return named


@dataclass(slots=True)
class Report:
    """What was found and measured on all recordings of a directory."""

    indexes: list[IndexFigures] = field(default_factory=list)
    conversation: float | None = None
    differing: list[str] = field(default_factory=list)
    rss_mb: float | None = None

    def figures(self) -> dict[str, object]:
        """Return the figures by name: shares of 1, or None where the directory has nothing to compare."""
        together = Shares([verdict for index in self.indexes for verdict in index.shares.verdicts])
        searches = [seconds for index in self.indexes for seconds in index.search_s]
        return {
            "conversation": self.conversation,
            **together.of(),
            "load_s": sum(index.load_s for index in self.indexes) if self.indexes else None,
            **_times(searches),
            "rss_mb": self.rss_mb,
            "indexes": {index.name: index.figures() for index in self.indexes},
            "differing": [*self.differing, *(line for index in self.indexes for line in index.differing)],
        }


def _times(searches: list[float]) -> dict[str, float | None]:
    shares = {"search_p50_ms": 0.50, "search_p99_ms": 0.99}
    return {name: quantile(searches, share) * 1000 if searches else None for name, share in shares.items()}


def measure(directory: Path, *, whole: bool = False, loading: bool = False) -> Report:
    """Return the report on a directory of recordings.

    Raises:
        FixtureError: a recording, or its documents, cannot be used; nothing is started then.
    """
    conversations, searches = [], []
    for path in fixture_paths(directory).values():
        if is_conversation(read_recording(path)):
            conversations.append((path, read_conversation(path)))
        else:
            searches.append((path, read_searches(path, whole=whole)))
    report = Report()
    steps = equal = 0
    for path, conversation in conversations:
        with _node(conversation.master_key) as node:
            different = list(replay(node, conversation.steps, conversation.master_key))
        steps += len(conversation.steps)
        equal += len(conversation.steps) - len(different)
        report.differing += [f"{path.name.partition('.')[0]} {line}" for line in different]
    report.conversation = equal / steps if steps else None
    if searches:
        with _node(MASTER_KEY) as node:
            for path, fixture in searches:
                report.indexes.append(measure_index(node, fixture, path, loading=loading))
            report.rss_mb = node.memory_mb()
    return report


class _node:  # noqa: N801 - reads as a function in a with statement
    """A node in a directory of its own."""

    def __init__(self, master_key: str) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="miroir-parity-"))
        self._node = NodeProcess(self._directory / "data.ms", master_key=master_key)

    def __enter__(self) -> NodeProcess:
        self._node.start()
        return self._node

    def __exit__(self, *_: object) -> None:
        self._node.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


def measure_index(node: NodeProcess, fixture: SearchFixture, path: Path, *, loading: bool = False) -> IndexFigures:
    """Load an index and ask its recorded searches.

    Raises:
        FixtureError: the node refuses its settings or documents.
    """
    found = IndexFigures(fixture.name, fixture.documents.count(b"\n") + 1)
    found.load_s = _load(node, fixture, fixture.name, path)
    for place, case in enumerate(fixture.cases):
        answer, taken_s = _ask(node, fixture.name, case)
        verdict = compare_answers(case["request"], answer, case["response"])
        found.search_s.append(taken_s)
        found.shares.verdicts.append(verdict)
        if verdict.reasons:
            request = json.dumps(case["request"], ensure_ascii=False)
            found.differing.append(f"{fixture.name}[{place}] {request}: {'; '.join(verdict.reasons)}")
    if loading:
        found.quiet_s = [_ask(node, fixture.name, case)[1] for case in fixture.cases]
        found.loading_s = _search_while_loading(node, fixture, path)
    return found


def _load(node: NodeProcess, fixture: SearchFixture, name: str, path: Path) -> float:
    started_s = time.monotonic()
    settings = node.run("PATCH", f"/indexes/{name}/settings", dict(fixture.settings))
    posted = f"/indexes/{name}/documents?primaryKey=id"
    task = node.run("POST", posted, raw=fixture.documents, content_type=NDJSON)
    for done in (settings, task):
        if done["status"] != "succeeded":
            raise FixtureError(path, f"the node refuses its {done['type']}: {done['error']}")
    return time.monotonic() - started_s


def _ask(node: NodeProcess, name: str, case: Mapping[str, Any]) -> tuple[Any, float]:
    """Return the answer to a recorded search, and the seconds from its sending to its being read."""
    # The standard library's JSON also writes numbers beyond 64 bits, as a recording may hold.
    body = json.dumps({**case["request"], "showRankingScoreDetails": True}).encode()
    started_s = time.perf_counter()
    reply = node.call("POST", f"/indexes/{name}/search", raw=body, content_type="application/json")
    return reply.body, time.perf_counter() - started_s


def _search_while_loading(node: NodeProcess, fixture: SearchFixture, path: Path) -> list[float]:
    loader = NodeProcess(node.directory, master_key=node.master_key)
    loader.port = node.port
    loading = threading.Thread(target=_load, args=(loader, fixture, f"{fixture.name}-again", path))
    loading.start()
    taken: list[float] = []
    while loading.is_alive():
        for case in fixture.cases:
            taken.append(_ask(node, fixture.name, case)[1])
            if not loading.is_alive():
                break
    loading.join()
    loader.disconnect()
    node.run("DELETE", f"/indexes/{fixture.name}-again")
    return taken


def show(figures: Mapping[str, Any]) -> None:
    """Print the figures: a line each, then a table of the indexes, then what differs."""
    for name, value in figures.items():
        if name not in {"indexes", "differing"}:
            print(f"{name:<16}{_cell(value)}")
    for index, own in figures["indexes"].items():
        print(f"\n{index}: " + ", ".join(f"{name} {_cell(value)}" for name, value in own.items()))
    if figures["differing"]:
        print(f"\n{len(figures['differing'])} differ:")
    for line in figures["differing"]:
        print(f"- {line}")


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Run, print, return the exit code."""
    parser = argparse.ArgumentParser(description="An embedded node against what a real one answered.")
    parser.add_argument("directory", nargs="?", type=Path, default=FIXTURES)
    parser.add_argument("--json", action="store_true", help="print one JSON object, last")
    parser.add_argument("--whole", action="store_true", help="load all documents, for times alone")
    parser.add_argument("--loading", action="store_true", help="search while an index is being loaded, too")
    arguments = parser.parse_args()
    try:
        figures = measure(arguments.directory, whole=arguments.whole, loading=arguments.loading).figures()
    except FixtureError as error:
        print(f"bench.parity: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(orjson.dumps(figures).decode())
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
