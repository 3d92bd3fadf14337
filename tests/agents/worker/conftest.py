"""Fixtures of the worker's shells."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker
from tests.agents.worker.batch_bench import Bench


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each broker in turn."""
    async with AsyncExitStack() as stack:
        if request.param == "real":
            config = request.getfixturevalue("real_kafka")
        else:
            broker = EmbeddedBroker(tmp_path / "broker.log")
            await broker.start()
            stack.push_async_callback(broker.stop)
            config = broker.config
        yield Bench(config, stack)
