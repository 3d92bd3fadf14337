"""Reading the log again for shards that are behind: contiguous, bounded, loud where records are missing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agents.operations import parse_operations
from agents.window import Window
from agents.worker import replay as replay_module
from agents.worker.feed import Assignment, Feed
from agents.worker.replay import Replay
from schemas.errors import MissedRecordsError
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Partition, Position, SettingsVersion, ShardId
from streams.log import Append, LogBatch, TopicPartition, TopicSpec
from tests.background import background
from tests.fakes.log import FakeLog, FakeLogReader
from tests.integration.waiting import DEADLINE_S

TOPIC = "miroir.docs.films"
PLACE = TopicPartition(TOPIC, Partition(0))
INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), TOPIC, 1, 1, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)


def make_assignment(index: IndexRecord = INDEX) -> Assignment:
    """Return the index's one replica, whose live window begins far ahead."""
    place = TopicPartition(index.topic, Partition(0))
    feed = Feed(place, index.uid, index.incarnation, ShardId(0), Window(Position(10**6), bytes_max=1))
    return Assignment(feed, index, ReplicaRecord(index.uid, index.incarnation, ShardId(0), NodeId("a"), Attempt(1)))


def make_log(records: int) -> FakeLog:
    """Return a log of one partition with so many documents."""
    log = FakeLog()
    log.create(TopicSpec(TOPIC, 1, {}))
    for at in range(records):
        log.append(Append(TOPIC, Partition(0), str(at).encode(), b'{"id": %d}' % at))
    return log


class Running:
    """A replay at work, and what it told."""

    def __init__(self, log: FakeLog) -> None:
        self.fed = asyncio.Event()
        self.missed: list[MissedRecordsError] = []
        self.replay = Replay(FakeLogReader(log), self._take, fed=self.fed.set, missed=self._miss)

    async def _take(self, feed: Feed, index: IndexRecord, batch: LogBatch, window: Window) -> None:
        assert feed.partition.topic == index.topic
        parsed, _ = parse_operations(batch, index, document_bytes_max=1000)
        window.append(parsed)

    async def _miss(self, error: MissedRecordsError) -> None:
        self.missed.append(error)
        self.fed.set()

    async def until_held(self, assignment: Assignment, cursor: int, end: int) -> Window:
        """Wait until the shard's window reaches ``end``, exclusive."""
        async with asyncio.timeout(DEADLINE_S):
            while (window := self.replay.window(assignment, Position(cursor))).end < end:
                self.fed.clear()
                await self.fed.wait()
        return window


@asynccontextmanager
async def running(log: FakeLog) -> AsyncIterator[Running]:
    """Run a replay until the end of the block."""
    found = Running(log)
    async with background(found.replay.run()):
        yield found


async def test_replay_fills_the_window_from_the_cursor() -> None:
    """Everything from the cursor to the end of the log, and nothing before it."""
    assignment = make_assignment()
    async with running(make_log(10)) as found:
        window = await found.until_held(assignment, 4, 10)

    held = [operation.offset for batch in window.batches_from(Position(4)) for operation in batch.operations]
    assert held == [4, 5, 6, 7, 8, 9]


async def test_replay_follows_a_cursor_that_steps_back() -> None:
    """A late post takes the cursor back: the window begins anew from there."""
    assignment = make_assignment()
    async with running(make_log(10)) as found:
        await found.until_held(assignment, 6, 10)
        window = await found.until_held(assignment, 2, 10)

    assert window.start == 2


async def test_replay_forgets_what_the_node_has_taken() -> None:
    """Memory is for what is still to be posted."""
    assignment = make_assignment()
    async with running(make_log(10)) as found:
        await found.until_held(assignment, 0, 10)
        window = found.replay.window(assignment, Position(10))

    assert window.bytes_held == 0


async def test_replay_stops_loudly_where_the_log_was_trimmed() -> None:
    """A position that the log no longer holds is told, never skipped."""
    log = make_log(10)
    log.trim(PLACE, 5)
    assignment = make_assignment()
    async with running(log) as found:
        found.replay.window(assignment, Position(2))
        async with asyncio.timeout(DEADLINE_S):
            await found.fed.wait()

    assert [(error.wanted, error.beginning) for error in found.missed] == [(2, 5)]
    assert found.replay.shards == 0


async def test_replay_reads_no_further_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a node is bounded, however long the log is; posting some lets it go on."""
    monkeypatch.setattr(replay_module, "REPLAY_BYTES_MAX", 10_000)
    monkeypatch.setattr(replay_module, "RECORDS_MAX", 20)
    assignment = make_assignment()
    async with running(make_log(500)) as found:
        first = await found.until_held(assignment, 0, 40)
        assert first.bytes_held < 20_000
        assert first.end < 500
        cursor = 0
        while cursor < 500:
            cursor = (await found.until_held(assignment, cursor, min(500, cursor + 10))).end


async def test_missing_topic_holds_up_its_own_shards_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shards of other indexes on the node are read; once the topic is there, its own are too."""
    monkeypatch.setattr(replay_module, "ABSENT_S", 0.05)
    missing = replace(INDEX, uid=IndexUid("gone"), incarnation=Incarnation(2), topic="miroir.docs.gone")
    log = make_log(10)
    async with running(log) as found:
        found.replay.window(make_assignment(missing), Position(0))
        await found.until_held(make_assignment(), 0, 10)

        log.create(TopicSpec(missing.topic, 1, {}))
        log.append(Append(missing.topic, Partition(0), b"1", b'{"id": 1}'))
        await found.until_held(make_assignment(missing), 0, 1)


async def test_partition_without_a_leader_holds_up_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other shards on the node are read meanwhile; once a broker leads it, its own records are too."""
    monkeypatch.setattr(replay_module, "ABSENT_S", 0.05)
    away = replace(INDEX, uid=IndexUid("away"), incarnation=Incarnation(2), topic="miroir.docs.away")
    log = make_log(10)
    log.create(TopicSpec(away.topic, 1, {}))
    log.append(Append(away.topic, Partition(0), b"1", b'{"id": 1}'))
    log.leaderless.add(TopicPartition(away.topic, Partition(0)))
    async with running(log) as found:
        found.replay.window(make_assignment(away), Position(0))
        await found.until_held(make_assignment(), 0, 10)

        log.leaderless.clear()
        await found.until_held(make_assignment(away), 0, 1)


async def test_replay_goes_on_when_the_broker_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away costs time, nothing else."""
    monkeypatch.setattr(replay_module, "RETRY_S", 0.01)
    log = make_log(10)
    log.away = True
    assignment = make_assignment()
    async with running(log) as found:
        found.replay.window(assignment, Position(0))
        await asyncio.sleep(0)
        log.away = False
        window = await found.until_held(assignment, 0, 10)

    assert window.end == 10
