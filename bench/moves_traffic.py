"""A writer and searchers that go on while a cluster is changed, and what was wrong with the answers.

A search is judged by what is known to be in the log, never by what an answer says of itself alone: ``mark`` waits until
every copy shows all that was acknowledged, and from then on each search must find at least those documents. The writer
only deletes what it has written since. Who calls it: the walk of ``bench.moves``. It must not know: what is changed.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from schemas.errors import LogError
from schemas.events import IndexRecord
from schemas.ids import Position, ShardId
from tests.integration.cluster import Cluster
from tests.integration.node import Document

SEARCHERS = 4
PAUSE_S = 0.1
"""Between a searcher's searches, and a writer's posts: the cores are for the moves too."""

WRITTEN_AT_ONCE = 5
RETRY_S = 0.2
"""Until the writer tries a post again that the log did not take."""

WORD = "film"
"""Every document has it."""


class Search(NamedTuple):
    """One search: when it ended, how long it took, and what was wrong with it."""

    ended_s: float
    took_s: float
    failed: str = ""
    incomplete: str = ""


class Traffic:
    """Searches and writes that go on for as long as it is entered.

    Args:
        cluster: whose log is written to.
        index: all documents are the writer's, and those of ``load``.
        urls: of the query services; searchers take turns.
        pause_s: between a searcher's searches, and a writer's posts.

    Attributes:
        documents: what the log must hold now, by id.
        seen: every search.
    """

    def __init__(self, cluster: Cluster, index: IndexRecord, urls: Sequence[str], *, pause_s: float = PAUSE_S) -> None:
        self.documents: dict[str, Document] = {}
        self.seen: list[Search] = []
        self._cluster = cluster
        self._index = index
        self._urls = urls
        self._pause_s = pause_s
        self._sent: set[str] = set()
        self._floor = 0
        self._fresh: list[str] = []
        self._writing = asyncio.Lock()
        self._ended = False

    async def load(self, count: int) -> None:
        """Produce so many documents; they are never deleted."""
        loaded = {f"base-{n}": {"id": f"base-{n}", "title": f"{WORD} {n}", "edition": 0} for n in range(count)}
        await self._cluster.produce(self._index, loaded)
        self._sent |= loaded.keys()
        self.documents |= loaded

    async def mark(self) -> None:
        """Wait until every copy shows what is in the log now; no search may find less from then on."""
        async with self._writing:
            self._fresh.clear()
            floor = len(self.documents)
            bounds = await self._cluster.bounds(self._index)
        await self._reached({shard: found.end for shard, found in bounds.items()})
        self._floor = floor

    async def _reached(self, ends: Mapping[ShardId, Position]) -> None:
        async def all_reached() -> bool:
            replicas = await self._cluster.replicas(self._index)
            return bool(replicas) and all(
                seen is not None and not seen.away and seen.at_end_ms > 0 and seen.cursor >= ends[replica.shard]
                for replica, seen in replicas.items()
            )

        await self._cluster.until(all_reached, "every copy to show what is in the log")

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Search and write until the block ends."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for number in range(SEARCHERS):
                group.create_task(self._search(session, number))
            group.create_task(self._write())
            try:
                yield
            finally:
                self._ended = True

    async def _search(self, session: aiohttp.ClientSession, number: int) -> None:
        urls = itertools.cycle(self._urls)
        for at in itertools.count(number):
            if self._ended:
                return
            body = {"q": WORD, "limit": at % 20, "offset": at * 7 % 100}
            floor, begun_s = self._floor, time.perf_counter()
            failed = incomplete = ""
            try:
                async with session.post(f"{next(urls)}/indexes/{self._index.uid}/search", json=body) as response:
                    answer = await response.json()
                if response.status != 200:
                    failed = f"{response.status} {answer}"
                elif "X-Miroir-Degraded" in response.headers:
                    incomplete = response.headers["X-Miroir-Degraded"]
                else:
                    incomplete = self._judge(answer, floor)
            except aiohttp.ClientError as error:
                failed = repr(error)
            ended_s = time.perf_counter()
            self.seen.append(Search(ended_s, ended_s - begun_s, failed, incomplete))
            await asyncio.sleep(self._pause_s)

    def _judge(self, answer: Mapping[str, Any], floor: int) -> str:
        """Return what is wrong with an answer: too few or too many documents, one twice, one that never was."""
        total = answer["estimatedTotalHits"]
        ids = [hit["id"] for hit in answer["hits"]]
        if not floor <= total <= len(self._sent):
            return f"{total} hits, {floor} to {len(self._sent)} are in the log"
        if len(set(ids)) < len(ids) or not self._sent.issuperset(ids):
            return f"ids twice or unknown: {ids}"
        return ""

    async def _write(self) -> None:
        base = itertools.cycle([key for key in self.documents if key.startswith("base-")])
        for at in itertools.count():
            if self._ended:
                return
            async with self._writing:
                keys = [f"late-{at}-{n}" for n in range(WRITTEN_AT_ONCE)]
                changed: dict[str, Document | None] = {
                    key: {"id": key, "title": f"{WORD} {key}", "edition": at} for key in keys
                }
                updated = next(base)
                changed[updated] = {**self.documents[updated], "edition": at}
                if self._fresh:
                    changed[self._fresh.pop(0)] = None
                self._sent.update(keys)
                await self._append(changed)
                self._fresh.append(keys[0])
                for key, document in changed.items():
                    if document is None:
                        del self.documents[key]
                    else:
                        self.documents[key] = document
            await asyncio.sleep(self._pause_s)

    async def _append(self, changed: Mapping[str, Document | None]) -> None:
        """Produce until the log has taken it: what it may have taken before is the same."""
        while True:
            try:
                return await self._cluster.produce(self._index, changed)
            except LogError:
                await asyncio.sleep(RETRY_S)
