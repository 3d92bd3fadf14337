"""Searches while a node dies, freezes, is slow or answers nonsense.

``python -m bench.failures [--node-binary PATH] [--seconds S] [--json]``: three nodes, each behind a proxy that can
spoil its answers, a query service of its own process, 16 clients. For each fault: errors and incomplete answers among
all searches from its moment on, the p99 once it has been noticed, and how many requests the nodes got beyond those that
searches need, probes counted.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson

from bench.fault_proxy import Fault, FaultProxy
from bench.figures import quantile
from bench.setting import make_parser, run, show
from miroir.demo import FILMS
from miroir.document_files import read_documents
from miroir.ports import free_port
from tests.integration.cluster import Cluster
from tests.integration.waiting import until

CLIENTS = 16
PAUSE_S = 0.1
"""Between a client's searches: a service that is not at its limit, so that p99 tells of the fault."""

NOTICED_S = {"sigkill": 2.0, "sigstop": 2.0, "delay 500 ms": 5.0}
"""How long a fault may take to be noticed, in seconds; the others have 2."""

WORDS = ("love", "star", "night", "the man", "dead", "alien", "king", "christmas", "girls", "war", "blood", "city")
HEAL_S = 150.0
DELAY_S = 0.5


class Expected(NamedTuple):
    """What every answer to a search must be: hits of the same score may be any, in either order."""

    total: int
    scores: tuple[float, ...]


class Search(NamedTuple):
    """One search: when it began, how long it took, and what was wrong with it."""

    begun_s: float
    took_s: float
    wrong: str


@dataclass
class Load:
    """The clients and what they saw.

    Attributes:
        films: what every hit must be, by id.
        expected: what was answered while all was well.
    """

    session: aiohttp.ClientSession
    url: str
    films: Mapping[str, Mapping[str, Any]]
    expected: dict[str, Expected] = field(default_factory=dict)

    async def one(self, word: str) -> Search:
        """Search once, and judge the answer."""
        begun_s = time.perf_counter()
        asked = {"q": word, "showRankingScore": True}
        async with self.session.post(f"{self.url}/indexes/films/search", json=asked) as answer:
            body = await answer.json()
        took_s = time.perf_counter() - begun_s
        return Search(begun_s, took_s, self._wrong(word, answer.status, body))

    def _wrong(self, word: str, status: int, body: Mapping[str, Any]) -> str:
        if status != 200:
            return f"{status} {body.get('code')}"
        hits, scores = body["hits"], tuple(hit.pop("_rankingScore") for hit in body["hits"])
        found = Expected(body["estimatedTotalHits"], scores)
        expected = self.expected.setdefault(word, found)
        if found != expected:
            return f"{found} where {expected} was to be expected"
        if len({str(hit["id"]) for hit in hits}) != len(hits):
            return "a film twice"
        return "" if all(self.films.get(str(hit["id"])) == hit for hit in hits) else "a hit that is no film"

    async def run(self, seconds: float) -> list[Search]:
        """Let 16 clients search for some time, and return what they saw."""
        seen: list[Search] = []
        end_s = time.perf_counter() + seconds

        async def client(number: int) -> None:
            await asyncio.sleep(PAUSE_S * number / CLIENTS)
            at = number
            while time.perf_counter() < end_s:
                seen.append(await self.one(WORDS[at % len(WORDS)]))
                at += 1
                await asyncio.sleep(PAUSE_S)

        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(client(number))
        return seen


@dataclass
class Scene:
    """A running cluster, its proxies, and a service before it."""

    cluster: Cluster
    proxies: list[FaultProxy]
    load: Load
    victim: int = 0

    def next_victim(self) -> None:
        """Let another node be hurt: one that relapses is left alone longer each time."""
        self.victim = (self.victim + 1) % len(self.proxies)

    async def healed(self) -> bool:
        """Return whether every node answers, and every shard can be read from all of its copies."""
        async with self.load.session.get(f"{self.load.url}/_miroir/status") as answer:
            status = await answer.json()
        shards = [shard for index in status["indexes"] for shard in index["shards"]]
        whole = all(len(shard["readable"]) == len(shard["replicas"]) for shard in shards)
        return whole and all(node["answers"] for node in status["nodes"])


@asynccontextmanager
async def scene(directory: Path, *, node_binary: Path | None, documents_max: int | None = None) -> AsyncIterator[Scene]:
    """Yield a cluster with the films, two copies of each shard, and a service in a process of its own."""
    cluster = Cluster(directory, node_binary=str(node_binary) if node_binary else None)
    async with AsyncExitStack() as stack:
        proxies = []
        for node in cluster.nodes:
            proxies.append(await stack.enter_async_context(FaultProxy(free_port(), node.url)))
            # What the cluster is told is the proxy's address; the node's own process has its own already.
            node.url = proxies[-1].url
        await stack.enter_async_context(cluster)
        index = await cluster.create_index("films", shards=12, replication=2)
        films = [orjson.loads(each.value) for each in read_documents(FILMS)]
        by_id = {str(film["id"]): film for film in films[:documents_max]}
        await cluster.produce(index, by_id)
        await cluster.caught_up(index, timeout_s=300.0)
        url = await cluster.start_service()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Scene(cluster, proxies, Load(session, url, by_id))


Action = Callable[[Scene], Awaitable[None]]


async def _kill(on: Scene) -> None:
    await on.proxies[on.victim].__aexit__(None, None, None)
    await on.cluster.nodes[on.victim].kill()


async def _revive(on: Scene) -> None:
    await on.cluster.nodes[on.victim].start()
    await on.proxies[on.victim].__aenter__()


async def _freeze(on: Scene) -> None:
    on.cluster.nodes[on.victim].freeze()


async def _thaw(on: Scene) -> None:
    on.cluster.nodes[on.victim].thaw()


def _slow(seconds: float) -> Action:
    async def act(on: Scene) -> None:
        on.proxies[on.victim].delay_s = seconds

    return act


def _spoil(fault: Fault | None) -> Action:
    async def act(on: Scene) -> None:
        on.proxies[on.victim].fault = fault

    return act


FAULTS: dict[str, tuple[Action, Action]] = {
    "delay 500 ms": (_slow(DELAY_S), _slow(0.0)),
    "sigstop": (_freeze, _thaw),
    **{str(fault): (_spoil(fault), _spoil(None)) for fault in Fault},
    # Last: a node that comes back has its copies to catch up.
    "sigkill": (_kill, _revive),
}


async def measure_fault(on: Scene, name: str, *, seconds: float) -> dict[str, Any]:
    """Return what 16 clients see when a fault begins in the midst of their searches."""
    begin, end = FAULTS[name]
    on.next_victim()
    reads = sum(proxy.reads for proxy in on.proxies)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(on.load.run(seconds + 1.0))
        await asyncio.sleep(1.0)
        begun_s = time.perf_counter()
        await begin(on)
    seen = running.result()
    reads = sum(proxy.reads for proxy in on.proxies) - reads
    await end(on)
    await until(on.healed, f"every copy to be read again after {name}", timeout_s=HEAL_S)
    later = [each.took_s for each in seen if each.begun_s >= begun_s + NOTICED_S.get(name, 2.0)]
    wrong = [each.wrong for each in seen if each.wrong]
    return {
        "searches": len(seen),
        "wrong": len(wrong),
        "first_wrong": wrong[0] if wrong else "",
        "p99_ms": quantile(later, 0.99) * 1000,
        "p50_ms": quantile(later, 0.5) * 1000,
        "max_ms": max(each.took_s for each in seen) * 1000,
        "reads_per_search": reads / len(seen),
    }


async def measure(seconds: float, *, node_binary: Path | None, faults: list[str]) -> dict[str, object]:
    """Return the healthy figures and those of each fault."""
    directory = Path(tempfile.mkdtemp(prefix="miroir-bench-failures-"))
    try:
        async with scene(directory, node_binary=node_binary) as on:
            await on.load.run(2.0)
            before = sum(proxy.reads for proxy in on.proxies)
            seen = await on.load.run(seconds)
            reads = sum(proxy.reads for proxy in on.proxies) - before
            took = [each.took_s for each in seen]
            healthy = {
                "searches": len(seen),
                "wrong": sum(bool(each.wrong) for each in seen),
                "p50_ms": quantile(took, 0.5) * 1000,
                "p99_ms": quantile(took, 0.99) * 1000,
                "reads_per_search": reads / len(seen),
            }
            result: dict[str, object] = {f"healthy {name}": value for name, value in healthy.items()}
            for fault in faults:
                found = await measure_fault(on, fault, seconds=seconds)
                found["p99_ratio"] = found["p99_ms"] / healthy["p99_ms"]
                result |= {f"{fault} {name}": value for name, value in found.items()}
            return result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Run it."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load, for each fault")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only these")
    given = parser.parse_args()
    faults = given.fault or list(FAULTS)
    show(run(measure(given.seconds, node_binary=given.node_binary, faults=faults)), as_json=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
