"""Feeding one node of several indexes, one of which cannot be fed."""

import asyncio
from dataclasses import replace

import pytest

from agents.window import Window
from agents.worker import replay as replay_module
from agents.worker.feed import Assignment, Feed
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Incarnation, IndexUid, NodeIndexUid, Partition, SettingsVersion, ShardId, node_index_uid
from streams.log import Append, LogBatch, TopicPartition, TopicSpec
from tests.agents.worker.test_feeder import INDEX, UID, WAIT_S, Bench, feeding, make_feed

BROKEN = replace(INDEX, uid=IndexUid("broken"), incarnation=Incarnation(2), topic="miroir.docs.broken")
BROKEN_UID = node_index_uid(BROKEN.uid, BROKEN.incarnation)


class TwoIndexes(Bench):
    """A feeder of two indexes; ``other`` comes first in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.log.create(TopicSpec(BROKEN.topic, 1, {}))
        self.node.create_index(BROKEN_UID, version=BROKEN.settings_version)
        self.other = BROKEN
        place = TopicPartition(BROKEN.topic, Partition(0))
        window = make_feed(ShardId(0)).window
        self.other_feed = Feed(place, BROKEN.uid, BROKEN.incarnation, ShardId(0), window)

    def _assignments(self) -> list[Assignment]:
        replica = ReplicaRecord(BROKEN.uid, BROKEN.incarnation, ShardId(0), self.node.id, self.attempt)
        return [Assignment(self.other_feed, self.other, replica), *super()._assignments()]

    async def _take(self, feed: Feed, index: IndexRecord, batch: LogBatch, window: Window) -> None:
        feeds = {**self._feeds, feed.shard: feed} if feed is self.other_feed else self._feeds
        mine, self._feeds = self._feeds, feeds
        try:
            await super()._take(feed, index, batch, window)
        finally:
            self._feeds = mine

    def produce_other(self, start: int, end: int) -> None:
        """Append documents of the other index."""
        for at in range(start, end):
            self.log.append(Append(BROKEN.topic, Partition(0), b"%d" % at, b'{"id":%d}' % at))

    async def until_has(self, uid: NodeIndexUid, count: int) -> None:
        """Let the node work until the index has so many documents there."""
        async with asyncio.timeout(WAIT_S):
            while len(self.node.documents(uid)) != count:
                self.node.run()
                await self.turn()


async def test_index_that_the_node_refuses_keeps_no_other_waiting() -> None:
    """Its posts may be larger than the node takes, or it cannot be opened there."""
    bench = TwoIndexes()
    bench.node.refused = {BROKEN_UID}
    async with feeding(bench):
        bench.produce(0, 100)
        await bench.until_visible(100)

    assert bench.ids() == set(range(100))


async def test_index_without_its_settings_keeps_no_other_from_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read for it waits nowhere: all copies that replay on a node share one bound."""
    monkeypatch.setattr(replay_module, "REPLAY_BYTES_MAX", 5_000)
    bench = TwoIndexes()
    async with feeding(bench):
        bench.produce_other(0, 10)
        await bench.until_has(BROKEN_UID, 10)
        bench.other = replace(BROKEN, settings_version=SettingsVersion(9))
        bench.produce_other(10, 200)
        for _ in range(10):
            await bench.turn()

        bench.produce(0, 100)
        await bench.until_has(UID, 100)

        bench.node.create_index(BROKEN_UID, version=SettingsVersion(9))
        await bench.until_has(BROKEN_UID, 200)
