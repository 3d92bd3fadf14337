"""The main job as a guided demonstration: produce, search, lose a node, rebuild it from the log, verify.

What always holds: every figure is measured in this run; a search counts as complete only if its hits are the documents
that must be found. Who calls it: ``miroir demo``, a test. It must not know: terminals.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from miroir.cluster_view import ClusterView
from miroir.document_files import FileDocument, read_documents
from miroir.known_searches import SETTINGS, build_searches
from miroir.produce import produce
from miroir.searcher import SearchCounts, Searcher
from miroir.stack import Stack
from miroir.verify import Verifier, VerifyReport
from miroir.visibility import Standing, attempts_on, until_rebuilt, until_visible
from schemas.errors import ConfigurationError
from schemas.ids import IndexUid
from schemas.requests import CreateIndex, DeleteIndex
from streams.kafka.writer import KafkaLogWriter

INDEX = IndexUid("movies")
SHARDS = 12
REPLICATION = 2
FILMS = Path(__file__).parent / "data" / "movies.ndjson"

QUERY = "star wars"
"""Has words, a prefix and a well-known answer."""

SEARCHES_WITHOUT = 40
"""Answered while the node is away, before its disk is wiped: each kind of search several times."""

SEARCHES_AFTER = 40
"""Answered once the node is back, so that it is read again."""

SEARCHES_S = 30.0
"""How long to wait for them."""

VISIBLE_S = 120.0
REBUILT_S = 300.0
"""Both take a few seconds on two cores; a loaded machine gets this long."""


class Narrator(Protocol):
    """Tells people what is going on."""

    def begin(self, step: str, text: str) -> None:
        """A step begins."""

    def end(self, step: str, seconds: float) -> None:
        """A step has ended."""

    def say(self, text: str) -> None:
        """Something worth knowing."""

    def bar(self, done: int, total: int) -> None:
        """How far the present step is."""

    def hits(self, query: str, answer: Mapping[str, Any]) -> None:  # Meilisearch owns the answer's shape
        """An answer to show."""


@dataclass(slots=True)
class DemoResult:
    """What the demonstration found."""

    documents: int = 0
    rebuilt_documents: int = 0
    verified: bool = False
    counts: SearchCounts = field(default_factory=SearchCounts)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether all is as it must be."""
        searched = self.counts.searches > 0 and not self.counts.failed and not self.counts.incomplete
        return searched and self.verified and self.documents > 0 and self.rebuilt_documents > 0

    def to_wire(self) -> dict[str, Any]:  # JSON
        """Return the result as ``--json`` prints it."""
        return {
            "documents": self.documents,
            "searches": self.counts.searches,
            "failed_searches": self.counts.failed,
            "incomplete_searches": self.counts.incomplete,
            "slowest_search_seconds": round(self.counts.slowest_s, 3),
            "rebuilt_documents": self.rebuilt_documents,
            "verified": self.verified,
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "faults": self.counts.faults,
        }


class Demonstration:
    """One run over a stack that has not been started; the caller stops the stack.

    Args:
        stack: at least two nodes.
        narrator: told everything.
    """

    def __init__(self, stack: Stack, narrator: Narrator) -> None:
        self.result = DemoResult()
        self._stack = stack
        self._narrator = narrator
        self._films: list[FileDocument] = list(read_documents(FILMS))

    async def run(self) -> DemoResult:
        """Run every step.

        Raises:
            MiroirError: a step could not be done.
        """
        with self._step("start", "Starting a log, nodes, a worker and a query service"):
            await self._stack.start()
        async with ClusterView(self._stack.kafka) as view:
            with self._step("create", f"Creating the index {INDEX}: {SHARDS} shards, each on {REPLICATION} nodes"):
                await self._create(view)
            with self._step("produce", f"Producing {len(self._films):,} films to Kafka"):
                await self._produce(view)
            with self._step("search", f"Searching for “{QUERY}”"):
                await self._search()
            await self._lose_and_rebuild(view)
        return self.result

    async def remove_index(self) -> None:
        """Delete the index again, for a log that outlives this run."""
        async with self._stack.client() as client:
            await client.request(DeleteIndex(INDEX))

    async def _create(self, view: ClusterView) -> None:
        await view.refresh()
        if INDEX in view.topology.indexes:
            raise ConfigurationError("kafka", f"this Kafka has an index {INDEX!r} already: delete it or use another")
        async with self._stack.client() as client:
            await client.request(CreateIndex(INDEX, "id", SHARDS, REPLICATION))
            task = await client.call("PATCH", f"/indexes/{INDEX}/settings", json=SETTINGS)
            await client.task(task["taskUid"], timeout_s=VISIBLE_S)

    async def _produce(self, view: ClusterView) -> None:
        await view.refresh()
        writer = KafkaLogWriter(self._stack.kafka)
        try:
            produced = await produce(writer, view.topology.index(INDEX), self._films, id_field="id")
        finally:
            await writer.close()
        self.result.documents = produced.documents
        self._narrator.say(f"{produced.documents:,} records acknowledged; waiting until every copy has them")
        await until_visible(view, INDEX, produced.ends, timeout_s=VISIBLE_S, report=self._standing)

    async def _search(self) -> None:
        async with self._stack.client() as client:
            answer = await client.call("POST", f"/indexes/{INDEX}/search", json={"q": QUERY, "limit": 5})
        self._narrator.hits(QUERY, answer)

    async def _lose_and_rebuild(self, view: ClusterView) -> None:
        lost = self._stack.plan.node_ids[1]
        searches = build_searches(film.fields for film in self._films)
        self._narrator.say(f"from here on a client searches all the time: {len(searches)} searches of known answer")
        async with Searcher(self._stack.url, self._stack.master_key, INDEX, searches) as searcher:
            self.result.counts = searcher.counts
            await searcher.until(len(searches), timeout_s=SEARCHES_S)
            with self._step("kill", f"Killing {lost} with SIGKILL, and searching without it"):
                await self._stack.kill_node(lost)
                await searcher.until(SEARCHES_WITHOUT, timeout_s=SEARCHES_S)
                self._say_counts(searcher.counts)
            with self._step("rebuild", f"Wiping the disk of {lost}, starting it empty, rebuilding it from the log"):
                await view.refresh()
                before = attempts_on(view, lost)
                await self._stack.wipe_node(lost)
                await self._stack.start_node(lost)
                await until_rebuilt(view, lost, before, timeout_s=REBUILT_S, report=self._standing)
            with self._step("verify", "Verifying every copy against the log, document by document"):
                report = await self._verify()
                self.result.verified = report.verified and bool(report.replicas)
                self.result.rebuilt_documents = sum(
                    each.comparison.documents for each in report.replicas if each.node == lost
                )
                await searcher.until(SEARCHES_AFTER, timeout_s=SEARCHES_S)
                self._say_counts(searcher.counts)

    async def _verify(self) -> VerifyReport:
        def bar(done: int, total: int, _: str) -> None:
            self._narrator.bar(done, total)

        async with Verifier(self._stack.settings, report=bar) as verifier:
            return await verifier.run()

    def _standing(self, standing: Standing) -> None:
        self._narrator.bar(standing.reached, standing.wanted)

    def _say_counts(self, counts: SearchCounts) -> None:
        text = f"{counts.searches} searches so far: {counts.failed} failed, {counts.incomplete} incomplete"
        self._narrator.say(f"{text}; the slowest took {counts.slowest_s * 1000:.0f} ms")

    @contextmanager
    def _step(self, name: str, text: str) -> Iterator[None]:
        self._narrator.begin(name, text)
        began_s = time.monotonic()
        yield
        self.result.seconds[name] = time.monotonic() - began_s
        self._narrator.end(name, self.result.seconds[name])
