"""Partitions that no broker leads are named; where they begin and end when all is well: conformance/test_log."""

import pytest
from aiokafka.errors import NodeNotReadyError

from schemas.errors import NoLeaderError
from schemas.ids import Partition, Position
from streams.kafka.bounds import fetch_bounds, fetch_tail
from streams.log import Bounds, TopicPartition
from tests.fakes.kafka_client import LeadingClient

PLACES = [TopicPartition(topic, Partition(number)) for topic in ("a", "b") for number in range(2)]
TOPICS = {"a": 2, "b": 2}

ELECTION_S = 0.25
"""Enough for two questions, and for a third where the machine is idle."""


async def test_all_partitions_without_a_leader_are_named_at_once() -> None:
    """Of every topic, and no others: whoever asks again without them is answered."""
    away = [PLACES[1], PLACES[2]]
    client = LeadingClient(TOPICS, leaderless=away)

    with pytest.raises(NoLeaderError, match="a/1, b/0") as caught:
        await fetch_bounds(client, PLACES, election_s=0.0)
    led = await fetch_bounds(client, [PLACES[0], PLACES[3]], election_s=0.0)

    assert caught.value.partitions == frozenset(away)
    assert led == dict.fromkeys([PLACES[0], PLACES[3]], Bounds(Position(0), Position(7)))
    assert client.asked == 2


@pytest.mark.parametrize("code", [3, 5, 6], ids=["knows it not yet", "is being chosen", "leads it no more"])
async def test_leader_that_is_none_counts_as_none(code: int) -> None:
    """A broker may be behind what another one says of it."""
    client = LeadingClient(TOPICS, refused={PLACES[0]: code, PLACES[1]: code})

    with pytest.raises(NoLeaderError) as caught:
        await fetch_bounds(client, PLACES, election_s=0.0)

    assert caught.value.partitions == frozenset(PLACES[:2])


async def test_leader_that_cannot_be_reached_counts_as_none() -> None:
    """A broker that was killed is named until the cluster misses it; what others lead is known all the same."""
    client = LeadingClient(TOPICS, others=PLACES[2:], away=[2])

    with pytest.raises(NoLeaderError, match="b/0, b/1: broker 2 cannot be reached") as caught:
        await fetch_bounds(client, PLACES, election_s=0.0)
    led = await fetch_bounds(client, PLACES[:2], election_s=0.0)

    assert caught.value.partitions == frozenset(PLACES[2:])
    assert led == dict.fromkeys(PLACES[:2], Bounds(Position(0), Position(7)))


async def test_cluster_without_a_broker_is_an_error() -> None:
    """Nothing is known then, not even who leads."""
    with pytest.raises(NodeNotReadyError):
        await fetch_bounds(LeadingClient(TOPICS, away=[1, 2]), PLACES, election_s=0.0)


async def test_leader_that_is_being_chosen_is_waited_for() -> None:
    """As long as whoever asks wants to wait, and no longer."""
    client = LeadingClient(TOPICS, leaderless=PLACES[:1])

    with pytest.raises(NoLeaderError):
        await fetch_bounds(client, PLACES, election_s=ELECTION_S)

    assert client.asked >= 2


async def test_tail_without_a_leader_is_named() -> None:
    """Nothing is known of it, least of all that it is empty."""
    with pytest.raises(NoLeaderError):
        await fetch_tail(LeadingClient(TOPICS, leaderless=PLACES[:1]), PLACES[0], Position(3))
