"""An operator's walk: a cluster grows, shrinks, loses processes, changes its copies while clients search and write.

``python -m bench.moves [--kafka real|embedded] [--node-binary PATH] [--walk nodes|copies|all] [--json]``: real
processes throughout. For each step: how long it took, searches, failed and incomplete ones, documents in the copies
that were made against the least possible; after a SIGKILL the time until the node was declared failed, and until every
shard had its full set of copies again. In the end every copy is compared with the log.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.moves_steps import WALKS
from bench.moves_traffic import PAUSE_S, Traffic
from bench.moves_walk import Broker, Walk
from bench.setting import run, show
from tests.integration.cluster import Cluster
from tests.integration.real_kafka import RealKafka

SHARDS = 12
SERVICES = 2
"""Each learns of a change in its own time."""

FAILED_AFTER_S = 3.0
"""Instead of five minutes: nobody waits for those. The time to be declared failed is told with it."""

SETTINGS = {
    "MIROIR_NODE_FAILED_AFTER_S": str(FAILED_AFTER_S),
    "MIROIR_NODE_RETURN_AFTER_S": "1",
    "MIROIR_LOG_JSON": "true",
}


@asynccontextmanager
async def walking(
    directory: Path,
    *,
    kafka: RealKafka | None,
    node_binary: str | None,
    documents: int,
    search_timeout_s: float = 5.0,
    pause_s: float = PAUSE_S,
) -> AsyncIterator[Walk]:
    """Yield a walk over three nodes with single copies and two workers, under traffic; compare all at its end.

    Args:
        directory: for everything.
        kafka: it runs; the embedded broker where it is None.
        node_binary: a real Meilisearch; the embedded node where it is None.
        documents: in the log from the beginning.
        search_timeout_s: deadline of a search; also how long copies that leave are kept for the last one.
        pause_s: between a searcher's searches, and a writer's posts.
    """
    config = kafka.config if kafka else None
    broker = Broker(kafka.kill, kafka.start) if kafka else None
    settings = {**SETTINGS, "MIROIR_SEARCH_TIMEOUT_S": str(search_timeout_s)}
    async with Cluster(directory, kafka=config, workers=2, node_binary=node_binary, settings=settings) as cluster:
        index = await cluster.create_index("walk", shards=SHARDS, replication=1)
        urls = [await cluster.start_service() for _ in range(SERVICES)]
        traffic = Traffic(cluster, index, urls, pause_s=pause_s)
        await traffic.load(documents)
        await traffic.mark()
        walk = Walk(cluster, index, traffic, broker)
        async with traffic.going_on():
            yield walk
        await cluster.compare(index, traffic.documents)


async def measure(name: str, *, real_kafka: bool, node_binary: Path | None, documents: int) -> dict[str, object]:
    """Return the figures of a walk."""
    directory = Path(tempfile.mkdtemp(prefix="miroir-bench-moves-"))
    kafka = RealKafka(directory / "kafka") if real_kafka else None
    try:
        if kafka:
            kafka.directory.mkdir()
            await asyncio.to_thread(kafka.start)
        binary = str(node_binary) if node_binary else None
        async with walking(directory, kafka=kafka, node_binary=binary, documents=documents) as walk:
            await WALKS[name](walk)
        return {"steps": [asdict(report) for report in walk.reports], "verified_documents": len(walk.traffic.documents)}
    finally:
        if kafka:
            await asyncio.to_thread(kafka.stop)
        shutil.rmtree(directory, ignore_errors=True)


def print_table(result: dict[str, Any]) -> None:
    """Print a line a step."""
    counts = ("searches", "failed", "incomplete", "p99_ms", "documents_moved", "documents_least")
    names = ("seconds", *counts, "failed_s", "full_again_s")
    width = max(len(step["name"]) for step in result["steps"])
    print(f"{'':<{width}}", *(f"{name:>15}" for name in names))
    for step in result["steps"]:
        cells = (f"{step[name]:>15,.1f}" if isinstance(step[name], float) else f"{step[name]:>15,}" for name in names)
        print(f"{step['name']:<{width}}", *cells, step["first_wrong"][:200])
    print(f"every copy equals the log: {result['verified_documents']} documents")


def main() -> int:
    """Run it; the exit code is 1 where a search failed or was incomplete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object, last")
    parser.add_argument("--kafka", choices=["real", "embedded"], default="real", help="which broker is started")
    parser.add_argument("--node-binary", type=Path, help="a Meilisearch program instead of embedded nodes")
    parser.add_argument("--documents", type=int, default=3000, help="in the log from the beginning")
    parser.add_argument("--walk", choices=list(WALKS), default="all", help="which steps")
    given = parser.parse_args()
    measuring = measure(
        given.walk, real_kafka=given.kafka == "real", node_binary=given.node_binary, documents=given.documents
    )
    result = run(measuring)
    if given.json:
        show(result, as_json=True)
    else:
        print_table(result)
    steps: Any = result["steps"]
    return int(any(step["failed"] or step["incomplete"] for step in steps))


if __name__ == "__main__":
    sys.exit(main())
