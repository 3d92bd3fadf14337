"""A reader whose position stays before the end: what moves it, and what must not. The rest: conformance/test_log."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from aiokafka.protocol.fetch import FetchResponse_v11
from aiokafka.structs import TopicPartition as TheirPartition

from schemas.ids import Partition, Position
from schemas.kafka import KafkaConfig
from streams.kafka.metadata import _MetadataResponse12
from streams.kafka.reader import KafkaLogReader
from streams.log import LogBatch, TopicPartition

NO_ID = UUID(int=0)
HERE = TopicPartition("stuck", Partition(0))


class SilentCluster:
    """Stands for what the library knows of the brokers: there is one."""

    def brokers(self) -> list[SimpleNamespace]:
        """Return the only broker."""
        return [SimpleNamespace(nodeId=1)]


class SilentClient:
    """Stands for the library's connection to a broker whose tail, from 5 to 9, brings ``records``."""

    def __init__(self, records: bytes) -> None:
        self.records = records
        self.cluster = SilentCluster()

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        """Answer what is asked about metadata, and to a fetch with the given bytes."""
        assert node == 1
        assert group is not None
        if request.API_KEY == 3:
            led: tuple[Any, ...] = (0, 0, 1, 0, [1], [1], [], {})
            return _MetadataResponse12(0, [], "cluster", 1, [(0, "stuck", NO_ID, False, [led], 0, {})], {})
        return FetchResponse_v11(0, 0, 0, [("stuck", [(0, 0, 9, 9, 0, [], -1, self.records)])])


class SilentConsumer:
    """Stands for the library's consumer that knows of an end at 9 and brings nothing."""

    def __init__(self, records: bytes) -> None:
        self._client = SilentClient(records)
        self.sought: list[tuple[TheirPartition, int]] = []

    def last_stable_offset(self, partition: TheirPartition) -> int:
        """Return the end its last fetch told."""
        assert partition.topic == "stuck"
        return 9

    def seek(self, partition: TheirPartition, position: int) -> None:
        """Remember it."""
        self.sought.append((partition, position))


def _stuck_reader(records: bytes) -> tuple[KafkaLogReader, SilentConsumer]:
    reader, consumer = KafkaLogReader(KafkaConfig("nowhere:1"), check_s=0.0), SilentConsumer(records)
    reader._consumer = consumer
    reader._positions = {HERE: Position(5)}
    reader._topic_ids = {"stuck": str(NO_ID)}
    return reader, consumer


async def test_tail_without_a_byte_is_passed_at_the_second_check() -> None:
    """Once a position has stayed from one check to the next, an empty fetch of it alone gives an empty batch."""
    reader, consumer = _stuck_reader(b"")

    first = await reader._check()
    second = await reader._check()

    assert list(first) == []
    assert list(second) == [LogBatch("stuck", Partition(0), Position(5), Position(9), ())]
    assert consumer.sought == [(TheirPartition("stuck", 0), 9)]
    assert reader._positions == {HERE: 9}


async def test_tail_with_any_byte_is_never_passed() -> None:
    """Whatever a fetch still brings must come through the consumer, however long that takes."""
    reader, consumer = _stuck_reader(b"\x00")

    found = [batch for _ in range(5) for batch in await reader._check()]

    assert found == []
    assert consumer.sought == []
    assert reader._positions == {HERE: 5}
