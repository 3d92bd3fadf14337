"""Search: what the scatter and the merge cost.

``python -m bench.search [--searches N] [--json]``. Three questions: over three nodes that each hold a third of the
films, how much longer is one client's search than the slowest node's own answer to its part; how do latency, searches
a second and processor time stand beside those of one node that holds all films and is asked directly; and with 32
clients and stub nodes on the same cores, how many searches a second are there against a bare aiohttp client that only
scatters to the same stubs. All sides are measured in turns, so that whatever else the machine does meets all alike;
beside the rates stands the processor time of a search, of all processes together, which depends less on it.

The bare scatter asks the stubs itself; before miroir somebody stands who asks miroir, and who takes processor time of
the same two cores that is not miroir's. So the 32 clients are there twice: as aiohttp's, which takes 0.35 ms a search,
and as the query service's own client for nodes, which takes a third of that.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp
import orjson

from bench.figures import quantile
from bench.films import load_films
from bench.processor_time import used_s
from bench.setting import create_index, make_parser, running_stack, show
from bench.setting import run as run_measure
from miroir.cluster_view import ClusterView
from miroir.stack import Stack
from query.nodes.client import NodeClient
from query.ports import NodeQuestion
from schemas.events import NodeRecord
from schemas.ids import IndexUid, NodeId, ShardId, node_index_uid
from schemas.keys import derive_key
from schemas.requests import CreateIndex

INDEX = IndexUid("bench")
ONE_NODE = IndexUid("bench-one")
"""The same documents in one shard, so on one node."""

WORDS = ("love", "star", "night", "the man", "dead", "alien", "king", "christmas", "girls", "war")
CLIENTS = 32
TURNS = 6
TURN_S = 2.0
ASK_TIMEOUT_S = 30.0
IDENTITY = {"Accept-Encoding": "identity", "Content-Type": "application/json"}

Ask = Callable[[str], Awaitable[None]]


class Load(NamedTuple):
    """What one turn of 32 clients came to."""

    per_s: float
    processor_ms: float
    """Of one search, all processes together."""
    query_ms: float
    """Of one search, the query service alone."""
    p50_ms: float
    p99_ms: float

    def to_json(self, name: str) -> dict[str, object]:
        """Return the figures under names that begin with this one."""
        return {
            f"{name}_per_s": self.per_s,
            f"{name}_processor_ms": self.processor_ms,
            f"{name}_p50_ms": self.p50_ms,
            f"{name}_p99_ms": self.p99_ms,
        }


async def time_in_turns(asks: Sequence[Ask], searches: int) -> list[list[float]]:
    """Return for each way of asking the milliseconds of its searches, one after the other and in turns."""
    took: list[list[float]] = [[] for _ in asks]
    for word in itertools.islice(itertools.cycle(WORDS), searches):
        for ask, found in zip(asks, took, strict=True):
            started = time.perf_counter()
            await ask(word)
            found.append((time.perf_counter() - started) * 1000)
    return took


async def load(ask: Ask, pids: Sequence[int], query_pid: int) -> Load:
    """Return what 32 clients get in one turn, and what it costs."""
    began, query_began = used_s(pids), used_s([query_pid])
    started = time.perf_counter()
    until = started + TURN_S
    took_ms: list[float] = []

    async def client() -> None:
        for word in itertools.cycle(WORDS):
            if (begun := time.perf_counter()) > until:
                return
            await ask(word)
            took_ms.append((time.perf_counter() - begun) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    seconds = time.perf_counter() - started
    used, query_used = used_s(pids) - began, used_s([query_pid]) - query_began
    done = len(took_ms)
    tail = (quantile(took_ms, 0.5), quantile(took_ms, 0.99))
    return Load(done / seconds, 1000 * used / done, 1000 * query_used / done, *tail)


def middle(turns: Sequence[Load]) -> Load:
    """Return the median of each figure."""
    return Load(*(median(values) for values in zip(*turns, strict=True)))


def asker(session: aiohttp.ClientSession, urls: Sequence[tuple[str, str]], *, details: bool = True) -> Ask:
    """Return what posts a search to every url with its key, and waits for all; nodes are asked for score details."""

    async def one(url: str, key: str, body: bytes) -> None:
        headers = {**IDENTITY, "Authorization": f"Bearer {key}"} if key else IDENTITY
        async with session.post(url, data=body, headers=headers) as answer:
            data = await answer.read()
            assert answer.status == 200, data[:300]

    async def ask(word: str) -> None:
        body = orjson.dumps({"q": word, "limit": 20, "showRankingScoreDetails": details})
        await asyncio.gather(*(one(url, key, body) for url, key in urls))

    return ask


@asynccontextmanager
async def lean_asker(url: str) -> AsyncIterator[Ask]:
    """Yield what posts a search as the query service asks nodes, by the cheapest client there is here."""
    node = NodeRecord(NodeId("miroir"), url)
    async with NodeClient("", searches_max=CLIENTS) as client:

        async def ask(word: str) -> None:
            body = orjson.dumps({"q": word, "limit": 20})
            await client.ask(node, NodeQuestion("POST", f"/indexes/{INDEX}/search", body), timeout_s=ASK_TIMEOUT_S)

        yield ask


async def node_urls(stack: Stack, name: IndexUid = INDEX) -> list[tuple[str, str]]:
    """Return the search route and key of the index on every node that holds some of it."""
    async with ClusterView(stack.kafka) as view:
        await view.refresh()
        index, nodes = view.topology.index(name), view.topology.nodes
        shards = map(ShardId, range(index.shards))
        holders = {replica.node for shard in shards for replica in view.topology.replicas_of(name, shard)}
    uid = node_index_uid(name, index.incarnation)
    master = stack.settings.node_master_key.get_secret_value()
    return [
        (f"{n.url}/indexes/{uid}/search", derive_key(master, n.search_key)) for n in nodes.values() if n.id in holders
    ]


async def measure_added(searches: int, *, kafka: str | None, binary: Path | None) -> dict[str, object]:
    """Return how much a search through miroir takes above the slowest node's own answer."""
    async with running_stack(kafka=kafka, node_binary=binary) as stack, aiohttp.ClientSession() as session:
        await load_films(stack, INDEX, replication=1)
        await load_films(stack, ONE_NODE, replication=1, shards=1)
        urls = await node_urls(stack)
        ours = asker(session, [(f"{stack.url}/indexes/{INDEX}/search", "")], details=False)
        alone = asker(session, await node_urls(stack, ONE_NODE), details=False)
        asks = [ours, alone, asker(session, urls), *(asker(session, [url]) for url in urls)]
        await time_in_turns(asks, len(WORDS))
        through, one, scatter, *nodes = await time_in_turns(asks, searches)
        query_pid, pids = _processes(stack)
        turns = [[await load(ask, pids, query_pid) for ask in (ours, alone)] for _ in range(TURNS)]
    loads = [middle(each) for each in zip(*turns, strict=True)]
    slowest = max(quantile(node, 0.5) for node in nodes)
    return {
        "searches": searches,
        "p50_ms": quantile(through, 0.5),
        "p99_ms": quantile(through, 0.99),
        "one_node_p50_ms": quantile(one, 0.5),
        "one_node_p99_ms": quantile(one, 0.99),
        **loads[0].to_json("loaded"),
        "loaded_query_processor_ms": loads[0].query_ms,
        **loads[1].to_json("one_node_loaded"),
        "slowest_node_p50_ms": slowest,
        "added_p50_ms": quantile(through, 0.5) - slowest,
        # Asked at once, the nodes share the cores: what is above this is the query service's own.
        "scatter_p50_ms": quantile(scatter, 0.5),
        "added_to_scatter_p50_ms": quantile(through, 0.5) - quantile(scatter, 0.5),
    }


async def measure_rate(*, kafka: str | None) -> dict[str, object]:
    """Return the searches a second of 32 clients, through miroir and by a bare scatter, over stub nodes."""
    async with running_stack(kafka=kafka, stubs=True) as stack, aiohttp.ClientSession() as session:
        await create_index(stack, CreateIndex(INDEX, "id", replication=1))
        urls = await node_urls(stack)
        ours = asker(session, [(f"{stack.url}/indexes/{INDEX}/search", "")], details=False)
        async with asyncio.timeout(30):
            while True:
                try:
                    await ours(WORDS[0])
                    break
                except AssertionError:
                    await asyncio.sleep(0.2)
        query_pid, pids = _processes(stack)
        bare = asker(session, urls)
        await load(ours, pids, query_pid)
        async with lean_asker(stack.url) as lean:
            turns = [[await load(ask, pids, query_pid) for ask in (lean, ours, bare)] for _ in range(TURNS)]
    through, by_aiohttp, scatter = zip(*turns, strict=True)
    return {
        "clients": CLIENTS,
        "searches_per_s": median(each.per_s for each in through),
        "searches_p50_ms": median(each.p50_ms for each in through),
        "searches_p99_ms": median(each.p99_ms for each in through),
        "bare_scatter_per_s": median(each.per_s for each in scatter),
        "bare_scatter_p50_ms": median(each.p50_ms for each in scatter),
        "bare_scatter_p99_ms": median(each.p99_ms for each in scatter),
        "ratio": _median_ratio([(ours.per_s, each.per_s) for ours, each in zip(through, scatter, strict=True)]),
        "processor_ms": median(each.processor_ms for each in through),
        "query_processor_ms": median(each.query_ms for each in through),
        "bare_processor_ms": median(each.processor_ms for each in scatter),
        "aiohttp_clients_per_s": median(each.per_s for each in by_aiohttp),
        "aiohttp_clients_ratio": _median_ratio(
            [(ours.per_s, each.per_s) for ours, each in zip(by_aiohttp, scatter, strict=True)]
        ),
        "aiohttp_clients_processor_ms": median(each.processor_ms for each in by_aiohttp),
    }


def _processes(stack: Stack) -> tuple[int, list[int]]:
    """Return the query service's process, and all that take part in a search."""
    children = [child.pid for child in stack.children() if child.pid is not None]
    return stack.child("query").pid or 0, [os.getpid(), *children]


def _median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return median(ours / theirs for ours, theirs in pairs)


async def measure(searches: int, *, kafka: str | None, binary: Path | None) -> dict[str, object]:
    """Return all figures."""
    added = await measure_added(searches, kafka=kafka, binary=binary)
    return {**added, **await measure_rate(kafka=kafka)}


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("What the scatter and the merge cost.")
    parser.add_argument("--searches", type=int, default=500)
    arguments = parser.parse_args()
    result = run_measure(measure(arguments.searches, kafka=arguments.kafka, binary=arguments.node_binary))
    show(result, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
