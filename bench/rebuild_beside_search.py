"""Rebuild beside search: what searches notice of a rebuild, at full speed and limited to a share of the node's time.

``python -m bench.rebuild_beside_search [--documents N] [--share X] [--whole] [--json]``: two nodes, replication factor
2. Both hold the films, which one client searches all the time; on the second node an index of N documents is rebuilt
over its disk (with ``--whole`` everything on it is, so that nobody reads it meanwhile). Once with a share of 1, once
with ``--share``, each in a stack of its own with a quiet time before. A rebuild's rate runs from the drop on.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bench.endurance import generated
from bench.figures import quantile
from bench.films import load, load_films
from bench.rebuild import dropped_at_s
from bench.search import WORDS, Ask, asker
from bench.setting import make_parser, running_stack, show
from bench.setting import run as run_measure
from miroir.cluster_view import ClusterView
from miroir.stack import Stack
from miroir.visibility import attempts_on, until_rebuilt
from schemas.config import PREFIX, parse_settings
from schemas.ids import IndexUid
from schemas.requests import RebuildNode

SEARCHED = IndexUid("films")
REBUILT = IndexUid("bench")
PAUSE_S = 0.01
"""Between a search's answer and the next search: a load that the machine bears easily."""

QUIET_S = 10.0
REBUILD_S = 600.0


async def search_until(done: asyncio.Event, ask: Ask) -> list[float]:
    """Search again and again; return how many milliseconds each search took."""
    took: list[float] = []
    for word in itertools.cycle(WORDS):
        if done.is_set():
            return took
        started = time.perf_counter()
        await ask(word)
        took.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(PAUSE_S)
    return took


@asynccontextmanager
async def searching(ask: Ask) -> AsyncIterator[list[float]]:
    """Search while inside; the times are there once it is left."""
    done = asyncio.Event()
    took: list[float] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(search_until(done, ask))
        try:
            yield took
        finally:
            done.set()
        took += await task


async def rebuild(stack: Stack, *, whole: bool) -> float:
    """Rebuild on the last node; return how many seconds that took from the drop on."""
    node = stack.plan.node_ids[-1]
    uid = None if whole else REBUILT
    async with ClusterView(stack.kafka) as view, stack.client() as client:
        await view.refresh()
        before = {at: attempt for at, attempt in attempts_on(view, node).items() if uid in {None, at[0]}}
        await client.request(RebuildNode(node, uid, () if whole else tuple(sorted(shard for _, shard in before))))
        await until_rebuilt(view, node, before, timeout_s=REBUILD_S)
        return time.time() - await dropped_at_s(stack)


async def measure_share(
    share: float, documents: int, *, whole: bool, kafka: str | None, binary: Path | None
) -> tuple[Sequence[float], Sequence[float], float]:
    """Return the times of searches in quiet and during the rebuild, and documents a second of the rebuild."""
    os.environ[f"{PREFIX}REPLAY_SHARE"] = str(share)
    async with running_stack(kafka=kafka, node_binary=binary, nodes=2) as stack, aiohttp.ClientSession() as session:
        await load_films(stack, SEARCHED, replication=2)
        await load(stack, REBUILT, generated(documents), replication=2)
        ask = asker(session, [(f"{stack.url}/indexes/{SEARCHED}/search", "")], details=False)
        async with searching(ask) as quiet:
            await asyncio.sleep(QUIET_S)
        async with searching(ask) as beside:
            seconds = await rebuild(stack, whole=whole)
    return quiet, beside, documents / seconds


async def measure(
    documents: int, *, share: float, whole: bool, kafka: str | None, binary: Path | None
) -> dict[str, object]:
    """Return the figures."""
    quiet_full, beside_full, full = await measure_share(1.0, documents, whole=whole, kafka=kafka, binary=binary)
    quiet_slow, beside_slow, slow = await measure_share(share, documents, whole=whole, kafka=kafka, binary=binary)
    quiet = quantile([*quiet_full, *quiet_slow], 0.99)
    return {
        "documents": documents,
        "share": share,
        "searches_beside": len(beside_slow),
        "quiet_p50_ms": quantile([*quiet_full, *quiet_slow], 0.5),
        "quiet_p99_ms": quiet,
        "full_speed_p50_ms": quantile(beside_full, 0.5),
        "full_speed_p99_ms": quantile(beside_full, 0.99),
        "full_speed_p99_ratio": quantile(beside_full, 0.99) / quiet,
        "full_speed_per_s": full,
        "limited_p50_ms": quantile(beside_slow, 0.5),
        "limited_p99_ms": quantile(beside_slow, 0.99),
        "limited_p99_ratio": quantile(beside_slow, 0.99) / quiet,
        "limited_per_s": slow,
        "rate_kept": slow / full,
    }


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("What searches notice of a rebuild.")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--share", type=float, default=parse_settings({}).replay_share, help="of the node's time")
    parser.add_argument("--whole", action="store_true", help="rebuild all of the node")
    given = parser.parse_args()
    result = run_measure(
        measure(given.documents, share=given.share, whole=given.whole, kafka=given.kafka, binary=given.node_binary)
    )
    show(result, as_json=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
