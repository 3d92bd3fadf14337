"""The library's connection to brokers, of which not every partition has a leader that knows that it is one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from schemas.ids import Partition
from streams.kafka.bounds import EARLIEST
from streams.kafka.metadata import _MetadataResponse12
from streams.log import TopicPartition

_NO_ID = UUID(int=0)
_METADATA, _FETCH = 3, 1
_BROKER = 1


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an answer is read for."""

    topics: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]


@dataclass(slots=True)
class LeadingClient:
    """One broker, every partition of which ends at ``end``.

    Attributes:
        topics: how many partitions each has.
        leaderless: partitions that the cluster says no broker leads.
        refused: error codes with which the broker answers about a partition that it leads.
        end: of every partition.
        asked: how often metadata was asked for.
    """

    topics: Mapping[str, int]
    leaderless: Collection[TopicPartition] = ()
    refused: Mapping[TopicPartition, int] = field(default_factory=dict)
    end: int = 7
    asked: int = 0

    def get_random_node(self) -> int:
        """Return the only broker."""
        return _BROKER

    def force_metadata_update(self) -> None:
        """Do nothing: every question asks."""

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        """Answer about metadata, offsets, and tails, which are empty."""
        assert node == _BROKER
        assert group is not None
        if request.API_KEY == _METADATA:
            self.asked += 1
            topics: list[tuple[Any, ...]] = [
                (0, topic, _NO_ID, False, self._led(topic), 0, {}) for topic in self.topics
            ]
            return _MetadataResponse12(0, [], "cluster", _BROKER, topics, {})
        asked = request._topics
        is_fetch = request.API_KEY == _FETCH
        return _Answer(
            [(topic, [self._answer(topic, *each, is_fetch=is_fetch) for each in wanted]) for topic, wanted in asked]
        )

    def _led(self, topic: str) -> list[tuple[Any, ...]]:
        leaders = {
            number: -1 if (topic, number) in self.leaderless else _BROKER for number in range(self.topics[topic])
        }
        return [(0, number, leader, 0, [_BROKER], [_BROKER], [], {}) for number, leader in leaders.items()]

    def _answer(self, topic: str, number: int, at: int, *_: object, is_fetch: bool) -> tuple[Any, ...]:
        code = self.refused.get(TopicPartition(topic, Partition(number)), 0)
        if is_fetch:
            return number, code, self.end, self.end, b""
        return number, code, 0, 0 if at == EARLIEST else self.end
