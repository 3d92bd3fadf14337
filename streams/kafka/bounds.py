"""Where partitions begin and end, and whether anything stands before an end.

The end is asked with a fetch besides ``ListOffsets``: the embedded broker answers the latter with the *base* offset of
the last batch plus one, and only a fetch can show that a tail is empty. Every question goes over the client's second
connection to a broker: on the first it would wait behind a fetch that the broker holds open.

What always holds: nothing here moves a position or makes a topic. Who calls it: the reader. It must not know: what is
read.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from schemas.errors import NoLeaderError, NoTopicError
from schemas.ids import Partition, Position
from streams.kafka.metadata import UNREACHED, ClusterMetadata, fetch_metadata, require_topics
from streams.log import Bounds, TopicPartition

EARLIEST = -2
"""The protocol's timestamp for the first offset a partition holds."""

LATEST = -1
"""The protocol's timestamp for its end."""

READ_COMMITTED = 1
"""The protocol's number for it: the end is the last stable offset."""

WAIT_MS = 100
"""Kafka answers at once where zero bytes are enough; the embedded broker takes it for the time it has to look."""

PROBE_BYTES = 1
"""Enough: a broker answers with a whole batch where there is one at all (KIP-74)."""

ELECTION_S = 5.0
"""How long a partition may be without a leader before it counts as away, for whoever asks only once; a new topic's took
under one."""

ELECTION_RETRY_S = 0.1
"""Between two questions meanwhile."""

_NOT_LED = (NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError)
"""What a broker answers that leads a partition no more, or does not know yet that it is to."""

_Topics = list[tuple[str, list[tuple[int, ...]]]]
"""As the protocol nests a question: topic, then partition and its fields."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Tail:
    """What a fetch at a position found: the last stable offset, and whether it brought no batch at all.

    Only the answer to a question about *one* partition proves anything by being empty: among several, one that comes
    later in the answer may be empty because the answer was full.
    """

    end: Position
    empty: bool


async def fetch_bounds(
    client: AIOKafkaClient, partitions: Sequence[TopicPartition], *, election_s: float
) -> Mapping[TopicPartition, Bounds]:
    """Return what each partition holds now: four small questions one after the other, whatever their number.

    Args:
        client: the library's connection.
        partitions: what is asked about.
        election_s: for so long partitions whose leader is being chosen (just created, or its broker gone) are asked
            about again; 0 is once.

    Raises:
        NoTopicError: a topic, or a partition, does not exist.
        NoLeaderError: no broker leads some of them, or none that can be reached; it names them, as many as one
            question shows.
        aiokafka.errors.KafkaError: a broker does not answer, or refuses.
    """
    deadline_s = time.monotonic() + election_s
    while True:
        try:
            return await _fetch_bounds(client, partitions)
        except NoLeaderError:
            if time.monotonic() >= deadline_s:
                raise
            await asyncio.sleep(ELECTION_RETRY_S)


async def _fetch_bounds(
    client: AIOKafkaClient, partitions: Sequence[TopicPartition]
) -> Mapping[TopicPartition, Bounds]:
    metadata = await _metadata(client, partitions)
    beginnings = await _list_offsets(client, metadata, partitions, EARLIEST)
    listed = await _list_offsets(client, metadata, partitions, LATEST)
    tails = await _tails(client, metadata, listed)
    return {each: Bounds(beginnings[each], tails[each].end) for each in partitions}


async def fetch_tail(client: AIOKafkaClient, partition: TopicPartition, position: Position) -> Tail:
    """Return what stands in one partition from the position on, without waiting for more.

    Raises:
        NoTopicError: the topic does not exist.
        NoLeaderError: no broker leads it, or none that can be reached.
        aiokafka.errors.KafkaError: the broker does not answer, or the position is out of range.
    """
    metadata = await _metadata(client, [partition])
    return (await _tails(client, metadata, {partition: position}))[partition]


async def _metadata(client: AIOKafkaClient, partitions: Sequence[TopicPartition]) -> ClusterMetadata:
    topics = sorted({each.topic for each in partitions})
    metadata = await fetch_metadata(client, topics)
    require_topics(metadata, topics)
    for topic, partition in partitions:
        if partition not in metadata.topics[topic].leaders:
            message = f"{topic}: no partition {partition}, found {metadata.topics[topic].partitions}"
            raise NoTopicError(message, frozenset({topic}))
    _require_led(each for each in partitions if metadata.topics[each.topic].leaders[each.partition] < 0)
    return metadata


def _require_led(not_led: Iterable[TopicPartition]) -> None:
    """Raise ``NoLeaderError`` that names these, where there are any."""
    if partitions := frozenset(not_led):
        raise NoLeaderError(partitions)


async def _list_offsets(
    client: AIOKafkaClient, metadata: ClusterMetadata, partitions: Sequence[TopicPartition], timestamp: int
) -> Mapping[TopicPartition, Position]:
    found: dict[TopicPartition, Position] = {}
    for leader, topics in _by_leader(metadata, dict.fromkeys(partitions, (timestamp,))):
        for each, answer in await _ask(client, leader, topics, OffsetRequest(-1, READ_COMMITTED, topics)):
            found[each] = Position(answer[-1])
    return _complete(found, partitions)


async def _tails(
    client: AIOKafkaClient, metadata: ClusterMetadata, positions: Mapping[TopicPartition, Position]
) -> Mapping[TopicPartition, Tail]:
    found: dict[TopicPartition, Tail] = {}
    asked = {each: (position, PROBE_BYTES) for each, position in positions.items()}
    for leader, topics in _by_leader(metadata, asked):
        request = FetchRequest(WAIT_MS, 0, PROBE_BYTES, READ_COMMITTED, topics, rack_id="")
        for each, answer in await _ask(client, leader, topics, request):
            found[each] = _tail(answer)
    return _complete(found, positions)


def _tail(answer: Sequence[Any]) -> Tail:
    """Return what one partition's answer says: high watermark, last stable offset, …, records."""
    high_watermark, stable, *_, records = answer
    return Tail(end=Position(stable if stable >= 0 else high_watermark), empty=not records)


def _by_leader(
    metadata: ClusterMetadata, asked: Mapping[TopicPartition, tuple[int, ...]]
) -> Iterator[tuple[int, _Topics]]:
    """Yield for every leader what to ask it."""
    leaders: dict[int, dict[str, list[tuple[int, ...]]]] = defaultdict(lambda: defaultdict(list))
    for (topic, partition), fields in asked.items():
        leaders[metadata.topics[topic].leaders[partition]][topic].append((partition, *fields))
    for leader, topics in leaders.items():
        yield leader, list(topics.items())


async def _ask(
    client: AIOKafkaClient, leader: int, topics: _Topics, request: FetchRequest | OffsetRequest
) -> Sequence[tuple[TopicPartition, Sequence[Any]]]:
    """Return for every partition in the answer the fields after its error code."""
    try:
        answer = await client.send(leader, request, group=ConnectionGroup.COORDINATION)
    except UNREACHED as fault:
        # It was killed, and the cluster names it until it is missed: its partitions wait, and no others.
        client.force_metadata_update()
        asked = frozenset(TopicPartition(topic, Partition(number)) for topic, wanted in topics for number, *_ in wanted)
        raise NoLeaderError(asked, f"broker {leader} cannot be reached") from fault
    except KafkaError:
        # It may be a broker the client has not heard of yet, or one that has gone.
        client.force_metadata_update()
        raise
    found, not_led = [], []
    for topic, partitions in answer.topics:
        for partition, code, *fields in partitions:
            error = for_code(code)
            if error in _NOT_LED:
                not_led.append(TopicPartition(topic, partition))
            elif error is not NoError:
                raise error(f"{topic}/{partition}")
            found.append((TopicPartition(topic, partition), fields))
    _require_led(not_led)
    return found


def _complete(
    found: Mapping[TopicPartition, _Found], asked: Collection[TopicPartition]
) -> Mapping[TopicPartition, _Found]:
    """Return ``found``, or raise where the broker was silent on a partition."""
    missing = sorted(set(asked) - found.keys())
    if missing:
        raise RequestTimedOutError(f"no word on {missing}")
    return found
