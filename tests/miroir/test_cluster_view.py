"""The cluster folded from the log itself, on the embedded broker."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker
from miroir.cluster_view import ClusterView
from schemas.errors import LogError
from schemas.events import NodeRecord, build_key, build_value
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Partition, Position, SettingsVersion, ShardId
from schemas.progress import Progress, build_progress, build_progress_key
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.topics import CLUSTER, PROGRESS, own_topics

pytestmark = pytest.mark.slow

NODE = NodeRecord(NodeId("n1"), "http://10.0.0.1:7700")
PROGRESS_SEEN = Progress(
    IndexUid("films"), Incarnation(3), ShardId(0), NODE.id, Attempt(4), Position(5), Position(6), SettingsVersion(3), 0
)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker without topics."""
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    yield broker
    await broker.stop()


async def make_topics(broker: EmbeddedBroker) -> None:
    """Make miroir's own topics."""
    admin = KafkaLogAdmin(broker.config)
    await admin.create(own_topics())
    await admin.close()


async def append(broker: EmbeddedBroker, *appends: Append) -> None:
    """Append records."""
    writer = KafkaLogWriter(broker.config)
    await writer.append(appends)
    await writer.close()


async def test_refresh_folds_what_stands_in_both_topics(broker: EmbeddedBroker) -> None:
    """What was appended before a refresh is in it, at first and again, but for progress that cannot be read."""
    await make_topics(broker)
    async with ClusterView(broker.config) as view:
        await view.refresh()
        assert dict(view.topology.nodes) == {}

        await append(
            broker,
            Append(CLUSTER, Partition(0), build_key(NODE).encode(), build_value(NODE)),
            Append(PROGRESS, Partition(0), b"foreign", b"no progress"),
            Append(PROGRESS, Partition(0), build_progress_key(PROGRESS_SEEN), build_progress(PROGRESS_SEEN)),
        )
        await view.refresh()

    assert dict(view.topology.nodes) == {NODE.id: NODE}
    assert list(view.progress.replicas.values()) == [PROGRESS_SEEN]


async def test_refresh_without_topics_raises(broker: EmbeddedBroker) -> None:
    """A Kafka on which no cluster lives is an error, and nothing is made on it."""
    async with ClusterView(broker.config) as view:
        with pytest.raises(LogError):
            await view.refresh()

    admin = KafkaLogAdmin(broker.config)
    assert await admin.describe([CLUSTER]) == {}
    await admin.close()
