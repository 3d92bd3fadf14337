"""Feeding one node from where its task list says it stands, whatever happens to the node."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import orjson
import pytest

from agents.batching import PostLimits
from agents.operations import Operation, parse_operations
from agents.posts import ShardSlice, build_parts
from agents.window import Window
from agents.worker import feeder as feeder_module
from agents.worker import fence as fence_module
from agents.worker import tail_follower as tail_module
from agents.worker.feed import Assignment, Feed
from agents.worker.feeder import Feeder
from agents.worker.feeder_settings import FeederSettings
from agents.worker.replay import Replay
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import (
    Attempt,
    Incarnation,
    IndexUid,
    NodeId,
    Offset,
    Partition,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from schemas.posts import Drop, PositionRange, Post, build_metadata, parse_metadata
from streams.log import Append, LogBatch, TopicPartition, TopicSpec
from streams.marker import shards_filter, splice_marker
from streams.partitioning import partition_of
from tests.background import background
from tests.fakes.log import FakeLog, FakeLogReader
from tests.fakes.node import Disk, FakeNode, FakeNodeWriter

TOPIC = "miroir.docs.films"
PLACE = TopicPartition(TOPIC, Partition(0))
INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), TOPIC, 1, 1, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)
UID = node_index_uid(INDEX.uid, INDEX.incarnation)
WAIT_S = 60.0


def make_feed(shard: ShardId) -> Feed:
    """Return the feed of a shard whose window has nothing."""
    place = TopicPartition(TOPIC, Partition(shard))
    return Feed(place, INDEX.uid, INDEX.incarnation, shard, Window(Position(10**9), bytes_max=1))


class Bench:
    """A log of two partitions, a node, and a feeder between them that reads everything from the log."""

    def __init__(self, *, search_deadline_s: float = 0.0, replay_share: float = 1.0) -> None:
        self.log = FakeLog()
        self.log.create(TopicSpec(TOPIC, 2, {}))
        self.node = FakeNode()
        self.node.create_index(UID, version=INDEX.settings_version)
        self.attempt = Attempt(5)
        self.search_key = "search-1"
        self.node.other_keys = {self.search_key}
        self.condemned: list[int] = []
        self.stale_below = 0
        self.others: dict[ShardId, Attempt] = {}
        self.index = INDEX
        self.shards = [ShardId(0)]
        self._feeds = {shard: make_feed(shard) for shard in (ShardId(0), ShardId(1))}
        self._moved = asyncio.Event()
        replay = Replay(FakeLogReader(self.log), self._take, fed=self._wake, missed=self._miss)
        self.feeder = Feeder(
            self.node.id,
            FakeNodeWriter(self.node),
            FeederSettings("w", PostLimits(50, 100_000, 0.01), 0.01, search_deadline_s, replay_share),
            assignments=self._assignments,
            placements=lambda _: {**dict.fromkeys(self.shards, self.attempt), **self.others},
            replay=replay,
            search_key=lambda: self.search_key,
            is_stale=lambda _, at: at.cursor < self.stale_below,
            is_limited=lambda _: True,
            condemn=self._condemn,
            advanced=self._moved.set,
            now=time.monotonic,
            now_ms=lambda: 1700,
        )

    def _wake(self) -> None:
        self.feeder.wake()

    def produce(self, start: int, end: int, **fields: object) -> None:
        """Append documents with these ids."""
        for at in range(start, end):
            value = orjson.dumps({"id": at, **fields})
            key = str(at).encode()
            self.log.append(Append(TOPIC, partition_of(key, self.index.shards, self.index.partitioner), key, value))

    def _assignments(self) -> list[Assignment]:
        node = NodeId(self.node.id)
        return [
            Assignment(
                self._feeds[shard], self.index, ReplicaRecord(INDEX.uid, INDEX.incarnation, shard, node, self.attempt)
            )
            for shard in self.shards
        ]

    async def _take(self, feed: Feed, index: IndexRecord, batch: LogBatch, window: Window) -> None:
        assert feed is self._feeds[feed.shard]
        condemned = {record.offset for record in batch.records if record.offset in self.condemned}
        parsed, _ = parse_operations(batch, index, condemned=condemned, document_bytes_max=10_000)
        window.append(parsed)

    async def _miss(self, error: Exception) -> None:
        raise AssertionError(error)

    async def _condemn(self, _: Assignment, operation: Operation, message: str) -> None:
        assert "invalid_document_geo_field" in message
        self.condemned.append(operation.offset)
        self.feeder.replace_by_delete(PLACE, operation.offset)
        self.feeder.wake()

    def has_seen_a_refusal(self) -> bool:
        """Return whether the feeder has seen how a post failed, and everything else that the node has done."""
        failed = any(task.status == "failed" for task in self.node.list_tasks(0))
        return failed and not self.feeder.tail.index(INDEX.incarnation).is_waiting()

    def ids(self) -> set[int]:
        """Return the ids that the node has."""
        return {int(key) for key in self.node.documents(UID)}

    async def until_visible(self, position: int) -> None:
        """Let the node work until the shard's visible cursor stands at the position, of the wanted attempt."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self.node.run()
                seen = self.feeder.tail.visible(INDEX.incarnation, ShardId(0))
                if seen.attempt == self.attempt and seen.cursor >= position:
                    return
                await self.turn()

    async def until_ids(self, wanted: set[int]) -> None:
        """Let the node work until it has just these documents."""
        async with asyncio.timeout(WAIT_S):
            while self.ids() != wanted:
                self.node.run()
                await self.turn()

    async def fill_beyond_a_copied_disk(self) -> Disk:
        """Produce a hundred documents, and return the node's disk as it was after fifty."""
        self.produce(0, 50)
        await self.until_visible(50)
        disk = self.node.copy_disk()
        self.produce(50, 100)
        await self.until_visible(100)
        return disk

    async def turn(self) -> None:
        """Wait until the feeder has done something, a short while at most: then the node is to work again."""
        self._moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await self._moved.wait()


@asynccontextmanager
async def feeding(bench: Bench) -> AsyncIterator[Bench]:
    """Feed until the end of the block."""
    async with background(bench.feeder.run()):
        yield bench


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses after failures be short."""
    monkeypatch.setattr(tail_module, "BACKOFF_S", (0.01,))
    monkeypatch.setattr(tail_module, "TAIL_IDLE_S", 0.02)
    monkeypatch.setattr(fence_module, "FENCE_S", 0.01)
    monkeypatch.setattr(feeder_module, "SETTINGS_S", 0.01)


async def test_feeder_brings_an_empty_node_to_the_end() -> None:
    """A placement begins with a drop, and goes on from the beginning of the log."""
    async with feeding(Bench()) as bench:
        bench.produce(0, 200)
        await bench.until_visible(200)

    assert bench.ids() == set(range(200))


async def test_copy_that_is_made_is_sent_one_post_at_a_time() -> None:
    """Limited to a share of the node's time, nothing of it waits at the node behind something else of it."""
    async with feeding(Bench(replay_share=0.9)) as bench:
        bench.produce(0, 200)
        async with asyncio.timeout(WAIT_S):
            while bench.feeder.tail.visible(INDEX.incarnation, ShardId(0)).cursor < 200:
                assert bench.feeder.tail.index(INDEX.incarnation).posts_ahead("w") <= 1
                await bench.turn()
                bench.node.run()

    assert bench.ids() == set(range(200))


@pytest.mark.parametrize("version", [0, 9], ids=["former", "taken back"])
async def test_feeder_waits_for_the_settings(version: int) -> None:
    """Nothing is posted before the node's index has the version wanted: others may refuse what that one allows."""
    bench = Bench()
    bench.node.create_index(UID, version=SettingsVersion(version))
    async with feeding(bench):
        bench.produce(0, 5)
        for _ in range(5):
            await bench.turn()
        assert not bench.node.is_busy()

        bench.node.create_index(UID, version=INDEX.settings_version)
        await bench.until_visible(5)

    assert bench.ids() == set(range(5))


async def test_lost_answer_is_neither_success_nor_failure() -> None:
    """The task list decides: what was taken is not missed, and nothing is lost."""
    async with feeding(Bench()) as bench:
        bench.node.answers_lost = 3
        bench.produce(0, 120)
        await bench.until_visible(120)

    assert bench.ids() == set(range(120))


async def test_failed_batch_is_posted_again() -> None:
    """A node that runs out of space for a while is sick, no document is set aside."""
    async with feeding(Bench()) as bench:
        await bench.until_visible(0)
        bench.produce(0, 30)
        async with asyncio.timeout(WAIT_S):
            while not bench.node.is_busy():
                await bench.turn()
        bench.node.run(fails_with="no_space_left_on_device")
        await bench.until_visible(30)

    assert bench.ids() == set(range(30))
    assert bench.condemned == []


async def test_refused_document_is_found_and_set_aside_alone() -> None:
    """One poisoned record among good ones: all the others are there."""
    async with feeding(Bench()) as bench:
        bench.produce(0, 70)
        bench.produce(70, 71, _poison=True)
        bench.produce(71, 140)
        await bench.until_visible(140)

    assert bench.condemned == [70]
    assert bench.ids() == set(range(140)) - {70}


async def test_shard_that_leaves_under_suspicion_keeps_no_other_waiting() -> None:
    """Its document is looked for where it has gone; the others of the index go on here."""
    bench = Bench()
    bench.index = replace(INDEX, shards=2)
    bench.shards.append(ShardId(1))
    async with feeding(bench):
        bench.produce(0, 40)
        bench.produce(100, 101, _poison=True)  # of shard 1
        async with asyncio.timeout(WAIT_S):
            while not bench.has_seen_a_refusal():
                bench.node.run()
                await bench.turn()
        bench.shards.remove(ShardId(1))
        bench.produce(50, 90)
        await bench.until_visible(bench.log.partition(PLACE).end)

    assert bench.condemned == []


async def test_older_disk_is_caught_up_from_where_it_stood() -> None:
    """Its own task list says where."""
    async with feeding(Bench()) as bench:
        disk = await bench.fill_beyond_a_copied_disk()

        bench.node.restore_disk(disk)
        assert bench.ids() == set(range(50))
        bench.produce(100, 110)
        await bench.until_visible(110)

        await bench.until_ids(set(range(110)))


async def test_nothing_is_posted_to_a_node_that_is_back_before_its_list_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older disk would be sent what leaves a gap, again and again: its tasks have the numbers of former ones."""
    async with feeding(Bench()) as bench:
        disk = await bench.fill_beyond_a_copied_disk()
        monkeypatch.setattr(tail_module, "BACKOFF_S", (0.3,))
        bench.node.is_down = True
        async with asyncio.timeout(WAIT_S):
            while not bench.feeder.is_away:
                await bench.turn()

        bench.node.restore_disk(disk)
        known = len(bench.node.list_tasks(0))
        bench.node.is_down = False
        bench.produce(100, 110)
        await bench.until_visible(110)

        posted = [parse_metadata(task.metadata) for task in bench.node.list_tasks(0)[known:]]
        starts = [each.ranges[ShardId(0)].start for each in posted if isinstance(each, Post)]
        await bench.until_ids(set(range(110)))

    assert starts[0] == 50
    assert starts == sorted(starts)


async def test_stale_copy_is_given_nothing_until_it_begins_anew() -> None:
    """It must not reach the end: then nobody would know any more that it may have missed deletes."""
    async with feeding(Bench()) as bench:
        bench.produce(0, 20)
        await bench.until_visible(20)
        bench.stale_below = 30
        bench.produce(20, 40)
        for _ in range(10):
            await bench.turn()
        assert not bench.node.is_busy()
        assert bench.ids() == set(range(20))

        bench.stale_below = 0
        bench.attempt = Attempt(9)
        bench.feeder.wake()
        await bench.until_visible(40)
        assert bench.feeder.tail.visible(INDEX.incarnation, ShardId(0)).whole_ms == 1700

    assert bench.ids() == set(range(40))


@pytest.mark.parametrize(
    ("elsewhere", "left"),
    [pytest.param(9, set(), id="all begin anew"), pytest.param(5, {"of-another"}, id="another has begun")],
)
async def test_rebuild_empties_the_index_where_nothing_else_is_placed(elsewhere: int, left: set[str]) -> None:
    """One cheap task for the whole index, or the marker's filter where a shard of another worker stays."""
    other = ShardId(1)
    async with feeding(Bench()) as bench:
        bench.produce(0, 20)
        await bench.until_visible(20)
        bench.others = {other: Attempt(5)}
        writer = FakeNodeWriter(bench.node)
        await writer.drop(UID, shards_filter([other]), build_metadata(Drop(INDEX.incarnation, bench.others)))
        operation = Operation(Offset(0), 0, "of-another", splice_marker(b'{"id":"of-another"}', other))
        slices = {other: ShardSlice(PositionRange(Position(0), Position(1)), [operation])}
        (part,) = build_parts("w2-1", INDEX.incarnation, slices)
        await writer.post(UID, part)
        bench.node.run_all()
        async with asyncio.timeout(WAIT_S):
            while bench.feeder.tail.visible(INDEX.incarnation, other).cursor != 1:
                await bench.turn()

        bench.others = {other: Attempt(elsewhere)}
        bench.attempt = Attempt(9)
        bench.feeder.wake()
        await bench.until_visible(20)

        ids = {*bench.node.documents(UID)}
        assert bench.feeder.tail.visible(INDEX.incarnation, other).cursor == len(left)

    assert ids == {str(at) for at in range(20)} | left


async def test_copy_that_may_be_read_is_dropped_only_behind_the_new_search_key() -> None:
    """Until the node knows the key that replaces the former one, and a deadline later, nothing is dropped."""
    async with feeding(Bench(search_deadline_s=0.3)) as bench:
        bench.produce(0, 20)
        await bench.until_visible(20)

        bench.search_key = "search-2"
        bench.attempt = Attempt(9)
        bench.feeder.wake()
        for _ in range(10):
            await bench.turn()
        assert not bench.node.is_busy()
        assert bench.ids() == set(range(20))

        bench.node.other_keys = {"search-2"}
        known_s = time.monotonic()
        await bench.until_visible(20)
        assert time.monotonic() - known_s >= 0.3

    assert bench.ids() == set(range(20))
