"""The library's connection to brokers, of which not every partition has a leader that knows that it is one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from aiokafka.errors import NodeNotReadyError

from schemas.ids import Partition
from streams.kafka.bounds import EARLIEST
from streams.kafka.metadata import _MetadataResponse12
from streams.log import TopicPartition

_NO_ID = UUID(int=0)
_METADATA, _FETCH, _CONFIGS = 3, 1, 32
_BROKER, _OTHER = 1, 2


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an answer is read for."""

    topics: Sequence[tuple[str, Sequence[tuple[Any, ...]]]] = ()
    resources: Sequence[tuple[Any, ...]] = ()


@dataclass(slots=True)
class LeadingClient:
    """Two brokers, every partition of which ends at ``end``; the first leads all but what is said here.

    Attributes:
        topics: how many partitions each has.
        others: partitions that the second leads.
        away: brokers to which there is no connection.
        leaderless: partitions that the cluster says no broker leads.
        refused: error codes with which the broker answers about a partition that it leads.
        end: of every partition.
        configs: of every topic.
        asked: how often metadata was asked for.
    """

    topics: Mapping[str, int]
    others: Collection[TopicPartition] = ()
    away: Collection[int] = ()
    leaderless: Collection[TopicPartition] = ()
    refused: Mapping[TopicPartition, int] = field(default_factory=dict)
    end: int = 7
    configs: Mapping[str, str] = field(default_factory=dict)
    asked: int = 0

    @property
    def cluster(self) -> SimpleNamespace:
        """What is known of the cluster: both brokers, and that one is away shows in being asked."""
        return SimpleNamespace(brokers=lambda: [SimpleNamespace(nodeId=each) for each in (_BROKER, _OTHER)])

    def force_metadata_update(self) -> None:
        """Do nothing: every question asks."""

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        """Answer about metadata, configurations, offsets, and tails, which are empty."""
        assert group is not None
        if node in self.away:
            raise NodeNotReadyError
        if request.API_KEY == _METADATA:
            self.asked += 1
            topics: list[tuple[Any, ...]] = [
                (0, topic, _NO_ID, False, self._led(topic), 0, {}) for topic in self.topics
            ]
            return _MetadataResponse12(0, [], "cluster", _BROKER, topics, {})
        if request.API_KEY == _CONFIGS:
            entries = [(key, text, False) for key, text in self.configs.items()]
            names = [(name, entries if name in self.topics else []) for _, name, _ in request._resources]
            return _Answer(resources=[(0 if found else 3, "", 2, name, found) for name, found in names])
        asked = request._topics
        is_fetch = request.API_KEY == _FETCH
        return _Answer(
            [(topic, [self._answer(topic, *each, is_fetch=is_fetch) for each in wanted]) for topic, wanted in asked]
        )

    def _led(self, topic: str) -> list[tuple[Any, ...]]:
        leaders = {number: self._leader(topic, number) for number in range(self.topics[topic])}
        return [(0, number, leader, 0, [_BROKER], [_BROKER], [], {}) for number, leader in leaders.items()]

    def _leader(self, topic: str, number: int) -> int:
        if (topic, number) in self.leaderless:
            return -1
        return _OTHER if (topic, number) in self.others else _BROKER

    def _answer(self, topic: str, number: int, at: int, *_: object, is_fetch: bool) -> tuple[Any, ...]:
        code = self.refused.get(TopicPartition(topic, Partition(number)), 0)
        if is_fetch:
            return number, code, self.end, self.end, b""
        return number, code, 0, 0 if at == EARLIEST else self.end
