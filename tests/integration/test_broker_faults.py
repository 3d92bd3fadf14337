"""The broker killed and started again with its data, on a real Kafka, while a whole cluster is at work on it."""

import asyncio
from pathlib import Path

import pytest

from tests.background import background
from tests.integration.cluster import Cluster
from tests.integration.documents import make_documents
from tests.integration.real_kafka import RealKafka

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

DOCUMENTS = 1000


async def test_worker_and_broker_killed_in_a_load_lose_nothing(own_kafka: RealKafka, tmp_path: Path) -> None:
    """What was acknowledged is on every copy, in order; the worker that is left does the work of both, and leads.

    Or one that is started in its place: where Kafka's client falls over the rebalance that meets the broker's end, a
    worker ends, and is for whoever supervises it to start again.
    """
    async with Cluster(tmp_path, nodes=2, workers=2, kafka=own_kafka.config) as cluster:
        index = await cluster.create_index("films")
        await cluster.produce(index, make_documents(DOCUMENTS))
        await cluster.workers[0].kill()
        await cluster.produce(index, make_documents(DOCUMENTS // 2, text="second"))
        own_kafka.kill()
        await asyncio.to_thread(own_kafka.start)

        async def is_produced() -> bool:
            await cluster.produce(index, make_documents(DOCUMENTS // 4, text="third"))
            return True

        async def supervise() -> None:
            while True:
                if not cluster.live_workers():
                    await cluster.start_worker()
                await asyncio.sleep(1.0)

        async with background(supervise()):
            await cluster.until(is_produced, "the broker to take records again")
            after = await cluster.create_index("after")

            expected = make_documents(DOCUMENTS) | make_documents(DOCUMENTS // 2, text="second")
            await cluster.compare(index, expected | make_documents(DOCUMENTS // 4, text="third"))
            await cluster.compare(after, {})
