"""Copies that move between real processes, on a real Kafka where there is one, while clients search and write."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bench.moves import walking
from bench.moves_steps import (
    drain,
    grow,
    kill_controller,
    kill_in_a_move,
    kill_worker,
    one_group,
    replace_node,
    replicate,
    restart_broker,
    second_group,
    walk_all,
    wipe,
)
from bench.moves_walk import Walk
from tests.integration.real_kafka import RealKafka, RealKafkaMissingError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DOCUMENTS = 600
LONG_DOCUMENTS = 5000
PAUSE_S = 0.3
"""Between a client's requests: three times the benchmark's, since many tests share the cores."""

SEARCH_TIMEOUT_S = 3.0
"""Each time copies leave a node, the longest search is waited for."""


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[RealKafka | None]:
    """A real Kafka of the test's own; None, for the embedded broker, where it cannot be brought."""
    running = RealKafka(tmp_path / "kafka")
    running.directory.mkdir()
    try:
        await asyncio.to_thread(running.start)
    except RealKafkaMissingError:
        yield None
        return
    yield running
    await asyncio.to_thread(running.stop)


Go = Callable[[Walk], Awaitable[None]]


async def nodes_come_and_go(walk: Walk) -> None:
    """With single copies: nothing but the order of steps keeps every search whole."""
    await grow(walk, "node-4")
    await drain(walk, "node-1")
    await replace_node(walk, "node-3", "node-5")


async def nodes_die(walk: Walk) -> None:
    """One while another joins, one with its disk."""
    await replicate(walk, 2)
    await kill_in_a_move(walk, "node-4", "node-2")
    await wipe(walk, "node-3")


async def others_die(walk: Walk) -> None:
    """Workers and the broker, while copies become more and fewer."""
    await replicate(walk, 2, kill_worker)
    await replicate(walk, 1, kill_controller)
    await second_group(walk, "twin-1", hurt=restart_broker)
    await one_group(walk)


@pytest.mark.parametrize("go", [nodes_come_and_go, nodes_die, others_die], ids=lambda go: go.__name__)
async def test_searches_and_copies_are_whole_while_copies_move(
    tmp_path: Path, kafka: RealKafka | None, node_binary: str | None, go: Go
) -> None:
    """No search fails or misses a document that was in the log before; in the end every copy equals the log."""
    if go is others_die and kafka is None:
        pytest.skip("needs Java and Maven: the embedded broker cannot be killed and started with its data")
    await check(tmp_path, kafka, node_binary, go, documents=DOCUMENTS)


async def test_whole_walk_keeps_searches_and_copies_whole(
    request: pytest.FixtureRequest, tmp_path: Path, kafka: RealKafka | None, node_binary: str | None
) -> None:
    """The same over everything an operator may do, one step after the other on one cluster."""
    if not request.config.getoption("--long"):
        pytest.skip("minutes: with --long only")
    await check(tmp_path, kafka, node_binary, walk_all, documents=LONG_DOCUMENTS)


async def check(directory: Path, kafka: RealKafka | None, node_binary: str | None, go: Go, *, documents: int) -> None:
    """Walk, and look at every report; the copies are compared at the walk's end."""
    async with walking(
        directory,
        kafka=kafka,
        node_binary=node_binary,
        documents=documents,
        search_timeout_s=SEARCH_TIMEOUT_S,
        pause_s=PAUSE_S,
    ) as walk:
        await go(walk)

    assert [report for report in walk.reports if report.failed or report.incomplete] == []
    assert all(report.searches > 0 for report in walk.reports)
    assert len(walk.traffic.documents) > documents
