"""Following a topic from its beginning."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import pytest

from agents.worker import follow as follow_module
from agents.worker.follow import follow
from schemas.errors import LogUnavailableError, MissedRecordsError
from schemas.ids import Partition, Position
from streams.log import Append, LogBatch, TopicPartition, TopicSpec
from tests.fakes.log import FakeLog, FakeLogReader
from tests.integration.waiting import DEADLINE_S

TOPIC = "miroir.cluster"


def make_log(records: int) -> FakeLog:
    """Return a log with so many records in the topic."""
    log = FakeLog()
    log.create(TopicSpec(TOPIC, 1, {}))
    for at in range(records):
        log.append(Append(TOPIC, Partition(0), b"k", str(at).encode()))
    return log


class Follower:
    """A follower at work, and what it was handed."""

    def __init__(self, log: FakeLog, reader: FakeLogReader | None = None) -> None:
        self.values: list[bytes | None] = []
        self.caught_up = asyncio.Event()
        self._took = asyncio.Event()
        reader = reader or FakeLogReader(log)
        self.task = asyncio.create_task(follow(reader, TOPIC, self._take, caught_up=self.caught_up))

    def _take(self, batch: LogBatch) -> None:
        self.values += [record.value for record in batch.records]
        self._took.set()

    async def until(self, count: int) -> None:
        """Wait until so many records were handed over."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.values) < count:
                self._took.clear()
                await self._took.wait()

    async def stop(self) -> None:
        """End it."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def test_follower_hands_over_all_and_says_when_it_has_caught_up() -> None:
    """Records from the beginning, then those that come."""
    log = make_log(3)
    follower = Follower(log)
    async with asyncio.timeout(DEADLINE_S):
        await follower.caught_up.wait()
    assert len(follower.values) == 3

    log.append(Append(TOPIC, Partition(0), b"k", b"new"))
    await follower.until(4)

    assert follower.values[-1] == b"new"
    await follower.stop()


async def test_follower_of_an_empty_topic_has_caught_up() -> None:
    """There is nothing to wait for."""
    follower = Follower(make_log(0))
    async with asyncio.timeout(DEADLINE_S):
        await follower.caught_up.wait()
    await follower.stop()


async def test_follower_waits_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent broker ends nothing."""
    monkeypatch.setattr(follow_module, "RETRY_S", 0.01)
    log = make_log(2)
    log.away = True
    follower = Follower(log)
    await asyncio.sleep(0)
    log.away = False

    await follower.until(2)

    await follower.stop()


class _InterruptedReader(FakeLogReader):
    """Its broker goes away between the first two questions."""

    interruptions = 1

    async def assign(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Fail the first time."""
        if self.interruptions:
            self.interruptions -= 1
            raise LogUnavailableError("assign: gone")
        await super().assign(positions)


async def test_follower_whose_broker_goes_away_before_it_reads_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where to begin is known by then, and nothing is read from there yet."""
    monkeypatch.setattr(follow_module, "RETRY_S", 0.01)
    log = make_log(2)
    follower = Follower(log, _InterruptedReader(log))

    await follower.until(2)

    assert follower.values == [b"0", b"1"]
    await follower.stop()


async def test_follower_ends_loudly_where_the_topic_was_trimmed() -> None:
    """What was to be folded is gone: the view would be wrong."""
    log = make_log(2)
    follower = Follower(log)
    await follower.until(2)
    for at in range(4):
        log.append(Append(TOPIC, Partition(0), b"k", str(at).encode()))
    log.trim(TopicPartition(TOPIC, Partition(0)), 5)

    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(MissedRecordsError):
            await follower.task
