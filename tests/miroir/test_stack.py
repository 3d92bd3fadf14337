"""What the local stack refuses before it starts anything; that it works is tested with the commands."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker
from miroir.ports import HOST, free_port
from miroir.processes import Child, Command
from miroir.stack import Stack
from miroir.stack_plan import StackPlan
from schemas.errors import ConfigurationError, LogUnavailableError
from schemas.events import NodeRecord, build_key, build_value
from schemas.ids import NodeId, Partition
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.topics import CLUSTER, own_topics

pytestmark = pytest.mark.slow


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A broker that stands for a Kafka of somebody else's."""
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    yield broker
    await broker.stop()


async def add_node(broker: EmbeddedBroker, node: NodeRecord) -> None:
    """Let a node be a member of the cluster on this broker."""
    admin = KafkaLogAdmin(broker.config)
    await admin.create(own_topics())
    await admin.close()
    writer = KafkaLogWriter(broker.config)
    await writer.append([Append(CLUSTER, Partition(0), build_key(node).encode(), build_value(node))])
    await writer.close()


async def test_start_on_a_foreign_cluster_is_refused(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """A Kafka whose cluster has nodes elsewhere is left alone: no worker of ours joins it."""
    await add_node(broker, NodeRecord(NodeId("node-1"), "http://10.0.0.1:7700"))
    stack = Stack(StackPlan(tmp_path / "state", port=0, kafka=broker.address))

    with pytest.raises(ConfigurationError, match=r"node-1 at http://10\.0\.0\.1:7700"):
        await stack.start()
    await stack.stop()

    assert list(stack.children()) == []


async def test_start_member_whose_port_is_taken_is_refused(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """A member's URL never changes, so that a second stack on the same Kafka is refused."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        await add_node(broker, NodeRecord(NodeId("node-1"), f"http://{HOST}:{other.getsockname()[1]}"))
        stack = Stack(StackPlan(tmp_path / "state", port=0, kafka=broker.address))

        with pytest.raises(ConfigurationError, match="another stack may use this Kafka"):
            await stack.start()
        await stack.stop()


async def test_start_taken_port_is_refused(tmp_path: Path) -> None:
    """A query service's port that somebody listens on is refused before anything starts."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        stack = Stack(StackPlan(tmp_path / "state", port=other.getsockname()[1]))

        with pytest.raises(ConfigurationError, match="--port 0"):
            await stack.start()
        await stack.stop()


async def test_start_without_kafka_names_it(tmp_path: Path) -> None:
    """A Kafka that nobody listens for is an error that names its address."""
    address = f"{HOST}:{free_port()}"
    stack = Stack(StackPlan(tmp_path / "state", port=0, kafka=address))

    with pytest.raises(LogUnavailableError, match=f"Kafka {address} does not answer; .*--kafka names"):
        await stack.start()
    await stack.stop()


async def test_stop_never_started_child_is_no_error(tmp_path: Path) -> None:
    """A stack whose start failed half-way can be stopped."""
    child = Child(Command("thing", ["/none"], {}, tmp_path, tmp_path / "thing.log"))

    await child.stop()
    await child.kill()

    assert await child.wait() == 0
