"""A long run: many documents through the log at replication factor 2, the rate over time, the memory of every process.

``python -m bench.endurance [--documents N | --file FILE] [--stubs] [--json]``: producing and applying at once, until
all is visible on every copy. With ``--replay`` the worker is stopped while producing, so that it reads everything back.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from bench.setting import create_index, documents_file, kafka_address, make_parser, running_stack, show
from bench.setting import run as run_measure
from miroir.cluster_view import ClusterView
from miroir.document_files import FileDocument, read_documents
from miroir.produce import produce
from miroir.stack import Stack
from miroir.visibility import until_visible
from schemas.ids import IndexUid
from schemas.requests import CreateIndex
from streams.kafka.writer import KafkaLogWriter

INDEX = IndexUid("bench")
SAMPLE_S = 1.0
VISIBLE_S = 7200.0
REST = "producer-and-log"
"""This process, which produces, and the Kafka that it has started, if it has."""
WORDS = ("red", "green", "blue", "round", "square", "large", "small", "old", "new", "fast", "slow", "quiet", "loud")


def generated(count: int) -> Iterator[FileDocument]:
    """Yield documents of about 300 bytes that share words and have a number of their own."""
    choice = itertools.cycle(itertools.permutations(WORDS, 6))
    for at in range(count):
        fields = {"id": at, "title": f"thing {at}", "text": " ".join(next(choice)) * 6, "size": at % 1000}
        value = orjson.dumps(fields)
        yield FileDocument(f"generated {at}", fields, value, len(value))


def memory_mb(pid: int | None) -> float:
    """Return the resident memory of a process and all that it started; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        # Each thread lists the processes that it has started.
        children = [
            child for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()
        ]
    except OSError:
        return 0.0
    # A process that has just ended has no such line any more.
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0) / 1024
    return own + sum(memory_mb(int(child)) for child in children)


def quarters(samples: Sequence[Mapping[str, float]]) -> list[int]:
    """Return the rate in each quarter of the time, in documents a second on all copies together."""
    cuts = [samples[max(0, len(samples) * at // 4 - bool(at))] for at in range(5)] if samples else []
    return [
        round((late["visible"] - early["visible"]) / max(late["second"] - early["second"], SAMPLE_S))
        for early, late in itertools.pairwise(cuts)
    ]


async def sample(stack: Stack, samples: list[dict[str, float]]) -> None:
    """Note, again and again, how much is visible (of all copies together) and how large every process is."""
    begun = time.monotonic()
    async with ClusterView(stack.kafka) as view:
        await _sample(stack, view, samples, begun)


async def _sample(stack: Stack, view: ClusterView, samples: list[dict[str, float]], begun: float) -> None:
    while True:
        await asyncio.sleep(SAMPLE_S)
        await view.refresh()
        visible = sum(progress.cursor for progress in view.progress.replicas.values())
        memory = {child.name: memory_mb(child.pid) for child in stack.children()}
        memory[REST] = memory_mb(os.getpid()) - sum(memory.values())
        samples.append({"second": time.monotonic() - begun, "visible": visible, **memory})


async def run(stack: Stack, documents: Iterable[FileDocument], *, replay: bool) -> dict[str, object]:
    """Produce, wait until all is visible, return the figures."""
    await create_index(stack, CreateIndex(INDEX, "id"))
    samples: list[dict[str, float]] = []
    async with ClusterView(stack.kafka) as view:
        await view.refresh()
        if replay:
            await stack.child("worker-1").stop()
        writer = KafkaLogWriter(stack.kafka)
        watching = None if replay else asyncio.create_task(sample(stack, samples))
        started = time.perf_counter()
        produced = await produce(writer, view.topology.index(INDEX), documents, id_field="id")
        await writer.close()
        if watching is None:
            await stack.child("worker-1").start()
            started = time.perf_counter()
            watching = asyncio.create_task(sample(stack, samples))
        await until_visible(view, INDEX, produced.ends, timeout_s=VISIBLE_S)
        seconds = time.perf_counter() - started
        watching.cancel()
    names = [*(child.name for child in stack.children()), REST]
    return {
        "documents": produced.documents,
        "seconds": seconds,
        "documents_per_s": produced.documents / seconds,
        "copies_per_s_by_quarter": quarters(samples),
        "memory_max_mb": {name: round(max((s[name] for s in samples), default=0.0), 1) for name in names},
        "samples": [{name: round(value, 1) for name, value in each.items()} for each in samples],
    }


async def measure(
    documents: Iterable[FileDocument], *, stubs: bool, replay: bool, kafka: str | None, binary: Path | None
) -> dict[str, object]:
    """Return the figures."""
    async with (
        kafka_address(kafka) as address,
        running_stack(kafka=address, node_binary=binary, stubs=stubs) as stack,
    ):
        return await run(stack, documents, replay=replay)


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("The rate over time and the memory of every process.")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--file", type=documents_file, help="a file of documents instead of generated ones")
    parser.add_argument("--stubs", action="store_true", help="nodes that take everything at once")
    parser.add_argument("--replay", action="store_true", help="the worker starts when everything is in the log")
    arguments = parser.parse_args()
    documents = generated(arguments.documents) if arguments.file is None else read_documents(arguments.file)
    result = run_measure(
        measure(
            documents,
            stubs=arguments.stubs,
            replay=arguments.replay,
            kafka=arguments.kafka,
            binary=arguments.node_binary,
        )
    )
    show(result, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
