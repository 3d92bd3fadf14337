"""Searches of 16 clients while a node dies, freezes, is slow or answers nonsense: none fails, none is incomplete."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.failures import CLIENTS, FAULTS, HEAL_S, Scene, scene
from tests.integration.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    # Of a proxy's connection whose peer is killed before it has begun: shown, but no fault of what is tested.
    pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"),
]

BEFORE_S = 0.5
AFTER_S = 2.0
"""Of load under the fault: the node is found out within a fraction of it. How fast is the benchmark's matter."""

DOCUMENTS = 300
TRIED = ("sigkill", "sigstop", "delay 500 ms", "500", "reset")
"""The others differ from these in nothing but the first line that reads them; the benchmark has them all."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Three embedded nodes behind proxies, with the films, and a query service."""
    async with scene(tmp_path_factory.mktemp("faults"), node_binary=None, documents_max=DOCUMENTS) as on:
        await on.load.run(BEFORE_S)
        yield on


@pytest.mark.parametrize("name", TRIED)
async def test_searches_while_a_node_fails_are_whole(running: Scene, name: str) -> None:
    """Whatever a node does, other copies answer within the same search; and it is asked again once it is well."""
    begin, end = FAULTS[name]
    running.next_victim()

    async with asyncio.TaskGroup() as group:
        load = group.create_task(running.load.run(BEFORE_S + AFTER_S))
        await asyncio.sleep(BEFORE_S)
        await begin(running)
    await end(running)
    await until(running.healed, f"every copy to be read again after {name}", timeout_s=HEAL_S)

    seen = load.result()
    assert [each.wrong for each in seen if each.wrong] == []
    assert len(seen) >= CLIENTS
