"""Apply: how many documents a second one worker takes from a real Kafka to nodes that answer at once.

``python -m bench.apply [--documents N] [--json]``: 12 partitions, documents of 1 KB, replication factor 2 over three
stub nodes. The documents are in the log before the worker starts. Beside it, the same topic read by a bare aiokafka
consumer; and the worker's processor time, which unlike the rates hardly depends on who else uses the machine.
"""

import asyncio
import sys
import time
from collections.abc import Sequence

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.processor_time import used_s
from bench.setting import create_index, kafka_address, make_parser, running_stack, show
from bench.setting import run as run_measure
from miroir.stack import Stack
from schemas.events import PartitionerName
from schemas.ids import IndexUid
from schemas.requests import CreateIndex
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.partitioning import partition_of

INDEX = IndexUid("bench")
TOPIC = "miroir.docs.bench"
SHARDS = 12
REPLICATION = 2
DOCUMENT_BYTES = 1024
CHUNK = 10_000
DEADLINE_S = 300.0
POLL_S = 0.1


def make_appends(start: int, end: int) -> Sequence[Append]:
    """Return documents ``start`` to ``end``, exclusive, of about 1 KB each."""
    filler = "lorem ipsum dolor sit amet " * 36
    appends = []
    for at in range(start, end):
        key = str(at).encode()
        value = orjson.dumps({"id": at, "title": f"document {at}", "text": filler})
        appends.append(Append(TOPIC, partition_of(key, SHARDS, PartitionerName.MURMUR2), key, value))
    return appends


async def produce(stack: Stack, documents: int) -> None:
    """Produce so many documents."""
    writer = KafkaLogWriter(stack.kafka)
    for start in range(0, documents, CHUNK):
        await writer.append(make_appends(start, min(start + CHUNK, documents)))
    await writer.close()


async def read_bare(address: str, documents: int) -> float:
    """Return how many records a second a bare consumer reads of the topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    consumer.assign([TopicPartition(TOPIC, partition) for partition in range(SHARDS)])
    await consumer.start()
    read, started = 0, time.perf_counter()
    while read < documents:
        read += sum(map(len, (await consumer.getmany(timeout_ms=1000, max_records=4000)).values()))
    rate = read / (time.perf_counter() - started)
    await consumer.stop()
    return rate


async def until_applied(stack: Stack, documents: int) -> dict[str, float]:
    """Wait until the nodes have taken every document on every copy; return what they counted.

    The worker's processor time counts from when some were first seen to be taken: not its start.
    """
    deadline = time.monotonic() + DEADLINE_S
    worker = [stack.child("worker-1").pid or 0]
    begun: tuple[int, float] | None = None
    async with httpx.AsyncClient() as client:
        while True:
            counts = [(await client.get(f"{stack.node_url(node)}/bench")).json() for node in stack.plan.node_ids]
            taken = sum(count["documents"] for count in counts)
            used = used_s(worker)
            if taken and begun is None:
                begun = taken, used
            if taken >= documents * REPLICATION:
                assert begun is not None, "something was taken"
                first_s = min(count["first_s"] for count in counts if count["posts"])
                return {
                    "taken": taken,
                    "posts": sum(count["posts"] for count in counts),
                    "seconds": max(count["last_s"] for count in counts) - first_s,
                    "worker_us": (used - begun[1]) * 1e6 * REPLICATION / max(1, taken - begun[0]),
                }
            if time.monotonic() > deadline:
                raise TimeoutError(f"{taken} of {documents * REPLICATION} documents after {DEADLINE_S} s")
            await asyncio.sleep(POLL_S)


async def measure(kafka: str | None, documents: int) -> dict[str, object]:
    """Return the figures."""
    async with kafka_address(kafka) as address, running_stack(kafka=address, stubs=True) as stack:
        await create_index(stack, CreateIndex(INDEX, "id", SHARDS, REPLICATION))
        await stack.child("worker-1").stop()
        await produce(stack, documents)
        bare = await read_bare(address, documents)
        started = time.time()
        await stack.child("worker-1").start()
        found = await until_applied(stack, documents)
        rate = documents / found["seconds"]
        return {
            "documents": documents,
            "documents_per_s": rate,
            "bare_consumer_per_s": bare,
            "ratio": rate / bare,
            "worker_processor_us_per_document": found["worker_us"],
            "posts": found["posts"],
            "sent_twice": found["taken"] - documents * REPLICATION,
            "seconds": found["seconds"],
            "seconds_with_start": time.time() - started,
        }


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("How many documents a second one worker applies.")
    parser.add_argument("--documents", type=int, default=300_000)
    arguments = parser.parse_args()
    result = run_measure(measure(arguments.kafka, arguments.documents))
    show(result, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
