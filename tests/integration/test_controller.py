"""The controller on a real Kafka: transactions, a successor, and an end that moves without records."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agents.nodes.admin import HttpNodeAdmin
from agents.worker.control import Controller, ControllerPorts
from schemas.events import AnswerRecord, NodeState
from schemas.ids import IndexUid, NodeId, Offset, Partition, Position
from schemas.kafka import KafkaConfig
from schemas.requests import AddNode, CreateIndex, DeleteIndex, Request, UpdateSettings, build_request
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append, TopicPartition
from streams.topics import CLUSTER, REQUESTS, own_topics
from streams.topology import Topology, fold_cluster
from tests.agents.stub_meilisearch import MASTER_KEY, StubMeilisearch
from tests.integration.real_kafka import RealKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

MOVIES = IndexUid("movies")
WAIT_S = 100.0


class Operator:
    """Asks for things, and reads what became of them as anybody would."""

    def __init__(self, config: KafkaConfig) -> None:
        self.config = config
        self.topology = Topology()
        self.stub = StubMeilisearch()
        self._writer = KafkaLogWriter(config)
        self._reader = KafkaLogReader(config)
        self._admin = KafkaLogAdmin(config)

    async def start(self) -> None:
        """Make our topics and begin to read."""
        await self._admin.create(own_topics())
        where = TopicPartition(CLUSTER, Partition(0))
        async with asyncio.timeout(WAIT_S):
            while CLUSTER not in await self._admin.describe([CLUSTER, REQUESTS]):  # noqa: ASYNC110 - Kafka has no event
                await asyncio.sleep(0.05)
        await self._reader.assign({where: Position(0)})

    async def stop(self) -> None:
        """Leave."""
        await self._writer.close()
        await self._reader.close()
        await self._admin.close()

    def controller(self) -> Controller:
        """Return a controller that does not run yet."""
        ports = ControllerPorts(
            reader=lambda: KafkaLogReader(self.config),
            transactions=lambda: KafkaTransactions(self.config, "test-controller"),
            admin=self._admin,
            node=lambda node: HttpNodeAdmin(node.id, node.url, MASTER_KEY, transport=self.stub.transport()),
        )
        return Controller(ports, cluster="test")

    async def ask(self, request: Request) -> AnswerRecord:
        """Ask, and return the answer."""
        append = Append(REQUESTS, Partition(0), None, build_request(request))
        (offset,) = await self._writer.append([append])
        return await self.answer(offset)

    async def answer(self, offset: Offset) -> AnswerRecord:
        """Return what became of a request."""
        await self.until(lambda: self.topology.answer(offset))
        found = self.topology.answer(offset)
        assert found is not None
        return found

    async def until(self, condition: Callable[[], object]) -> None:
        """Read on until the condition holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                batches = await self._reader.read(timeout_s=0.1, records_max=1000)
                self.topology = fold_cluster(self.topology, batches)

    async def joined(self) -> None:
        """Add the stub node and wait until it is active."""
        await self.ask(AddNode(NodeId("a"), "http://a:7700"))
        await self.until(lambda: self.topology.nodes[NodeId("a")].state is NodeState.ACTIVE)


@pytest.fixture
async def operator(own_kafka: RealKafka) -> AsyncIterator[Operator]:
    """An operator of a Kafka of the test's own: our topics have fixed names."""
    made = Operator(replace(own_kafka.config, replication_factor=1))
    await made.start()
    yield made
    await made.stop()


@asynccontextmanager
async def running(controller: Controller) -> AsyncIterator[None]:
    """Run a controller."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(controller.run())
        yield
        task.cancel()


async def test_requests_are_answered_over_transactions(operator: Operator) -> None:
    """Each in one transaction; a fresh fold of the topic equals what was followed."""
    async with running(operator.controller()):
        await operator.joined()
        started_s = time.monotonic()
        assert (await operator.ask(CreateIndex(MOVIES, "id", shards=12, replication=1))).accepted
        assert (await operator.ask(UpdateSettings(MOVIES, {"stopWords": ["the"]}))).accepted
        assert time.monotonic() - started_s < WAIT_S
        assert not (await operator.ask(UpdateSettings(MOVIES, {"nope": 1}))).accepted
        await operator.until(lambda: len(operator.stub.indexes) == 1)
        assert (await operator.ask(DeleteIndex(MOVIES))).accepted
        await operator.until(lambda: not any(operator.topology.retired()))

    assert operator.topology.requests_cursor == 5
    assert operator.stub.indexes == {}


async def test_successor_shuts_out_its_predecessor(operator: Operator) -> None:
    """Both believe that they are the controller; only the later one writes, and the other one stands back."""
    predecessor, successor = operator.controller(), operator.controller()
    async with running(predecessor):
        await operator.joined()
        async with running(successor):
            answers = [
                await operator.ask(CreateIndex(IndexUid(f"index{number}"), shards=2, replication=1))
                for number in range(5)
            ]
            await operator.until(lambda: predecessor.fenced)

    assert (predecessor.fenced, successor.fenced) == (1, 0)
    assert all(answer.accepted for answer in answers)
    assert len(operator.topology.indexes) == 5
