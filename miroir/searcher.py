"""A client that searches all the time and judges every answer: what a user would have seen meanwhile.

What always holds: every search that was sent is counted once: answered and complete, answered and incomplete, or
failed. Who calls it: the demonstration, tests. It must not know: what is done to the cluster.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Self

import httpx
import orjson

from miroir.known_searches import KnownSearch, Verdict, judge

TIMEOUT_S = 15.0
"""Three times the query service's own deadline: only one that hangs is cut off here."""

PAUSE_S = 0.02
"""Between two searches of one client, so that searching does not take the machine from what is shown."""

CLIENTS = 2
"""How many search at once."""

FAULTS_KEPT = 5
"""Of each kind, for the report."""


@dataclass(slots=True)
class SearchCounts:
    """What became of the searches so far; ``faults`` names the first of those that were not as they must be."""

    searches: int = 0
    failed: int = 0
    incomplete: int = 0
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)


class Searcher:
    """Searches an index in the background from entering to leaving.

    Args:
        url: of the query service.
        key: of its API; None where it has none.
        index: the index's uid.
        searches: asked in turn.
    """

    def __init__(self, url: str, key: str | None, index: str, searches: Sequence[KnownSearch]) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.counts = SearchCounts()
        self._path = f"/indexes/{index}/search"
        self._searches = searches
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        self._tasks: list[asyncio.Task[None]] = []
        self._answered = asyncio.Event()
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Begin to search."""
        self._tasks = [asyncio.create_task(self._run(number)) for number in range(CLIENTS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for the searches under way, and leave."""
        self._stopping = True
        await asyncio.gather(*self._tasks)
        await self._http.aclose()

    async def until(self, searches: int, *, timeout_s: float) -> None:
        """Return once so many more searches have been answered, or after ``timeout_s`` seconds."""
        wanted = self.counts.searches + searches
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.counts.searches < wanted:
                    self._answered.clear()
                    await self._answered.wait()

    async def _run(self, number: int) -> None:
        # Each client begins elsewhere, so that not all ask the same.
        searches = cycle([*self._searches[number:], *self._searches[:number]])
        while not self._stopping:
            await self._search(next(searches))
            await asyncio.sleep(PAUSE_S)

    async def _search(self, search: KnownSearch) -> None:
        began_s = time.monotonic()
        fault = ""
        try:
            answer = await self._http.post(self._path, json=dict(search.body))
            if answer.is_success:
                body: Mapping[str, object] = orjson.loads(answer.content)
                if judge(search, body) is Verdict.INCOMPLETE:
                    self.counts.incomplete += 1
                    hits = body.get("hits")
                    fault = f"{len(hits) if isinstance(hits, list) else 0} hits instead of {len(search.ids)}"
            else:
                self.counts.failed += 1
                fault = f"{answer.status_code} {answer.text[:200]}"
        except (httpx.HTTPError, orjson.JSONDecodeError) as error:
            self.counts.failed += 1
            fault = f"{type(error).__name__} {error}"
        took_s = time.monotonic() - began_s
        self.counts.searches += 1
        self.counts.slowest_s = max(self.counts.slowest_s, took_s)
        self._answered.set()
        if fault and len(self.counts.faults) < FAULTS_KEPT:
            self.counts.faults.append(f"{search.name} ({took_s:.2f} s): {fault}")
