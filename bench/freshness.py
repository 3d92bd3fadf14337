"""Freshness: from producing a document to Kafka until a search finds it, at 100 documents a second.

``python -m bench.freshness [--seconds S] [--json]``: embedded stack, 12 shards, replication factor 2. One document in
ten is searched for by its own word until it is found; the others are the load.
"""

import asyncio
import sys
import time
from pathlib import Path

import httpx
import orjson

from bench.figures import quantile
from bench.films import load_films
from bench.setting import make_parser, running_stack, show
from bench.setting import run as run_measure
from miroir.stack import Stack
from schemas.events import PartitionerName
from schemas.ids import IndexUid
from schemas.requests import SHARDS_DEFAULT
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.partitioning import partition_of

INDEX = IndexUid("bench")
TOPIC = "miroir.docs.bench"
RATE_PER_S = 100
WATCHED_EVERY = 10
POLL_S = 0.02
FOUND_S = 30.0


async def until_found(client: httpx.AsyncClient, url: str, word: str, produced_s: float) -> float:
    """Return how many seconds it took until the very word was found: a phrase bears no typo."""
    while True:
        answer = await client.post(f"{url}/indexes/{INDEX}/search", json={"q": f'"{word}"', "limit": 1})
        if answer.is_success and [hit["title"] for hit in answer.json()["hits"]] == [word]:
            return time.perf_counter() - produced_s
        if time.perf_counter() - produced_s > FOUND_S:
            raise TimeoutError(f"{word} is not found after {FOUND_S} s")
        await asyncio.sleep(POLL_S)


async def run(stack: Stack, seconds: float) -> list[float]:
    """Produce at the rate, watch some; return the seconds each took."""
    writer = KafkaLogWriter(stack.kafka)
    found: list[asyncio.Task[float]] = []
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as group:
        begun = time.perf_counter()
        for number in range(int(seconds * RATE_PER_S)):
            await asyncio.sleep(max(0.0, begun + number / RATE_PER_S - time.perf_counter()))
            key = f"fresh-{number}".encode()
            word = f"zq{number:07d}xv"
            value = orjson.dumps({"id": key.decode(), "title": word})
            produced_s = time.perf_counter()
            partition = partition_of(key, SHARDS_DEFAULT, PartitionerName.MURMUR2)
            group.create_task(writer.append([Append(TOPIC, partition, key, value)]))
            if number % WATCHED_EVERY == 0:
                found.append(group.create_task(until_found(client, stack.url, word, produced_s)))
    await writer.close()
    return [task.result() for task in found]


async def measure(seconds: float, *, kafka: str | None, binary: Path | None) -> dict[str, object]:
    """Return the figures."""
    async with running_stack(kafka=kafka, node_binary=binary) as stack:
        documents = await load_films(stack, INDEX, replication=2)
        found = await run(stack, seconds)
    return {
        "documents_before": documents,
        "documents_per_s": RATE_PER_S,
        "watched": len(found),
        "p50_s": quantile(found, 0.5),
        "p95_s": quantile(found, 0.95),
        "max_s": max(found),
    }


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("From producing a document until a search finds it.")
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    result = run_measure(measure(arguments.seconds, kafka=arguments.kafka, binary=arguments.node_binary))
    show(result, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
