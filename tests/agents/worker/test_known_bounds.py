"""Bounds of what is there."""

import pytest

from agents.worker.known_bounds import known_bounds
from schemas.errors import LogUnavailableError
from schemas.ids import Partition
from streams.log import Append, Bounds, TopicPartition, TopicSpec
from tests.fakes.log import FakeLog, FakeLogReader


def at(topic: str, partition: int = 0) -> TopicPartition:
    """Return a partition."""
    return TopicPartition(topic, Partition(partition))


def make_log() -> FakeLog:
    """Return a log of two topics, of two partitions each; one record in the first."""
    log = FakeLog()
    for topic in ("a", "b"):
        log.create(TopicSpec(topic, 2, {}))
    log.append(Append("a", Partition(0), b"k", b"v"))
    return log


async def test_missing_topics_are_left_out() -> None:
    """Whole topics, and those that lack one of the partitions; the others are answered."""
    reader = FakeLogReader(make_log())

    found = await known_bounds(reader, [at("a"), at("a", 1), at("gone"), at("b"), at("b", 5)])

    assert found == {at("a"): Bounds(0, 1), at("a", 1): Bounds(0, 0)}  # type: ignore[arg-type]
    assert await known_bounds(reader, [at("gone")]) == {}
    assert await known_bounds(reader, []) == {}


async def test_partitions_without_a_leader_are_left_out() -> None:
    """They alone: the other partitions of their topic are answered."""
    log = make_log()
    log.leaderless = {at("a", 1), at("b")}
    reader = FakeLogReader(log)

    found = await known_bounds(reader, [at("a"), at("a", 1), at("gone"), at("b"), at("b", 1)])

    assert found == {at("a"): Bounds(0, 1), at("b", 1): Bounds(0, 0)}  # type: ignore[arg-type]
    assert await known_bounds(reader, [at("b")]) == {}


async def test_absent_broker_is_an_error() -> None:
    """Nothing is known then, of no topic."""
    log = make_log()
    log.away = True

    with pytest.raises(LogUnavailableError):
        await known_bounds(FakeLogReader(log), [at("a")])
