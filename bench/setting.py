"""What a benchmark runs in: a local stack, with a real Kafka and stub nodes where it asks for them."""

import argparse
import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from miroir.stack import Stack
from miroir.stack_plan import StackPlan
from schemas.requests import CreateIndex
from tests.integration.real_kafka import RealKafka, RealKafkaMissingError


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object, last")
    parser.add_argument("--kafka", help="HOST:PORT of a Kafka; else one is started, or the embedded broker taken")
    parser.add_argument("--node-binary", type=Path, help="a Meilisearch program instead of embedded nodes")
    return parser


def documents_file(text: str) -> Path:
    """Return the path of an option that names a file of documents, or a pipe.

    Raises:
        ArgumentTypeError: there is none.
    """
    path = Path(text)
    if not path.exists() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no such file")
    return path


def show(result: Mapping[str, object], *, as_json: bool) -> None:
    """Print the result: a line a figure, or one JSON object."""
    if as_json:
        print(orjson.dumps(result).decode())
        return
    width = max(map(len, result))
    for name, value in result.items():
        print(f"{name:<{width}}  {value:,.2f}" if isinstance(value, float) else f"{name:<{width}}  {value}")


def run(measuring: Coroutine[None, None, dict[str, object]]) -> dict[str, object]:
    """Run a benchmark; a SIGTERM ends it as an interrupt does, with all that it started."""

    async def guarded() -> dict[str, object]:
        task = asyncio.ensure_future(measuring)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    return asyncio.run(guarded())


@asynccontextmanager
async def kafka_address(given: str | None) -> AsyncIterator[str]:
    """Yield the address of the Kafka given, or of a real one started for this.

    Raises:
        RealKafkaMissingError: Java or Maven is missing; name a Kafka with ``--kafka``.
    """
    if given is not None:
        yield given
        return
    directory = Path(tempfile.mkdtemp(prefix="miroir-bench-kafka-"))
    kafka = RealKafka(directory)
    await asyncio.to_thread(kafka.start)
    try:
        yield kafka.address
    finally:
        await asyncio.to_thread(kafka.stop)
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def running_stack(
    *, kafka: str | None = None, node_binary: Path | None = None, stubs: bool = False, nodes: int = 3
) -> AsyncIterator[Stack]:
    """Yield a stack in a directory of its own; stubs take the place of the nodes where asked."""
    directory = Path(tempfile.mkdtemp(prefix="miroir-bench-"))
    if stubs:
        node_binary = directory / "stub-node"
        here = shlex.quote(str(Path(__file__).parent.parent))
        node_binary.write_text(f'#!/bin/sh\ncd {here} && exec {shlex.quote(sys.executable)} -m bench.stub_node "$@"\n')
        node_binary.chmod(0o700)
    stack = Stack(StackPlan(directory / "state", nodes=nodes, port=0, kafka=kafka, node_binary=node_binary))
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def create_index(stack: Stack, request: CreateIndex) -> None:
    """Create an index.

    Raises:
        MiroirError: it is refused.
    """
    async with stack.client() as client:
        await client.request(request)


__all__ = [
    "RealKafkaMissingError",
    "create_index",
    "documents_file",
    "kafka_address",
    "make_parser",
    "run",
    "running_stack",
    "show",
]
