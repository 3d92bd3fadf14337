"""Publishing progress: only news, of what is fed now, and removed once nobody feeds it."""

from dataclasses import replace

import pytest

from agents.progress import FORGET_S, Sight
from agents.window import Window
from agents.worker.metrics import WorkerMetrics
from agents.worker.progress_publisher import FORGOTTEN_AT_ONCE_MAX, ProgressPublisher, Watched
from schemas.errors import LogUnavailableError
from schemas.events import ReplicaRecord
from schemas.ids import Attempt, NodeId, Partition, Position, SettingsVersion
from schemas.progress import REPEAT_S, Progress, build_progress, build_progress_key, parse_progress
from streams.cursor import ShardCursor
from streams.log import Append, LogBatch, TopicSpec
from streams.readable import ProgressView, fold_progress
from streams.topics import PROGRESS
from tests.agents.test_window import make_operations
from tests.builders import make_index, make_progress, make_replica, make_topology
from tests.fakes.log import FakeLog, FakeLogWriter


class Publishing:
    """A publisher, and the progress topic that it writes."""

    def __init__(self) -> None:
        self.log = FakeLog()
        self.log.create(TopicSpec(PROGRESS, 1, {}))
        self.metrics = WorkerMetrics()
        self.publisher = ProgressPublisher(FakeLogWriter(self.log), self.metrics)

    def view(self) -> ProgressView:
        """Return the topic, folded."""
        records = tuple(self.log.records(PROGRESS))
        return fold_progress(ProgressView(), [LogBatch(PROGRESS, Partition(0), Position(0), Position(99), records)])

    async def publish(self, *watched: Watched, now_ms: int = 0) -> list[Progress]:
        """Publish, and return what was new."""
        before = len(self.log.records(PROGRESS))
        await self.publisher.publish(watched, self.view(), now_ms=now_ms)
        return [parse_progress(record.value or b"") for record in self.log.records(PROGRESS)[before:]]


def make_watched(cursor: int, *, replica: ReplicaRecord | None = None, end: int = 9) -> Watched:
    """Return a replica that stands there, in a log that ends at 9, of which the records from 5 on are held."""
    stands = ShardCursor(Position(cursor), Attempt(1))
    sight = Sight(replica or make_replica("a"), stands, Position(end), SettingsVersion(1), "key", "")
    window = Window(Position(5), bytes_max=1000)
    batch = make_operations(5, end)
    window.append(replace(batch, operations=tuple(each._replace(timestamp_ms=1) for each in batch.operations)))
    return Watched(sight, window)


async def test_only_news_is_published() -> None:
    """A cursor that moved, at once; an unchanged one after a while; everything after an assignment."""
    found = Publishing()

    assert [each.cursor for each in await found.publish(make_watched(3))] == [3]
    assert await found.publish(make_watched(3), now_ms=50) == []
    assert [each.cursor for each in await found.publish(make_watched(4), now_ms=60)] == [4]
    assert len(await found.publish(make_watched(4), now_ms=60 + int(REPEAT_S * 1000))) == 1
    found.publisher.begin()
    assert len(await found.publish(make_watched(4), now_ms=61 + int(REPEAT_S * 1000))) == 1


async def test_copy_is_near_the_end_once_it_has_what_was_there_when_it_was_first_seen() -> None:
    """All records are young: what other copies showed by then it must show too, of what came later it may lack some."""
    found = Publishing()

    seen = [
        (await found.publish(make_watched(cursor, end=end), now_ms=cursor))[0]
        for cursor, end in ((5, 9), (8, 10), (9, 12))
    ]

    assert [each.at_end_ms > 0 for each in seen] == [False, False, True]


async def test_unpublished_news_is_published_when_the_broker_returns() -> None:
    """What could not be appended does not count as published."""
    found = Publishing()
    found.log.away = True
    with pytest.raises(LogUnavailableError):
        await found.publisher.publish([make_watched(3)], ProgressView(), now_ms=0)

    found.log.away = False

    assert [each.cursor for each in await found.publish(make_watched(3))] == [3]


async def test_lag_is_measured_of_what_is_fed_now_only() -> None:
    """A replica that went elsewhere leaves no gauge behind."""
    found = Publishing()
    elsewhere = make_replica("b")
    await found.publish(make_watched(3), make_watched(9, replica=elsewhere))
    labels = {"index": elsewhere.uid, "shard": "0", "node": "b"}
    assert found.metrics.registry.get_sample_value("miroir_apply_lag_records", labels) == 0

    await found.publish(make_watched(3))

    assert found.metrics.registry.get_sample_value("miroir_apply_lag_records", labels) is None
    assert found.metrics.registry.get_sample_value("miroir_apply_lag_records", {**labels, "node": "a"}) == 6


async def test_progress_of_deleted_indexes_is_removed() -> None:
    """At most so many at once; what is placed stays."""
    found = Publishing()
    kept = make_progress(make_replica("a"), 5)
    gone = [replace(kept, node=NodeId(f"n{at}"), seen_ms=0) for at in range(FORGOTTEN_AT_ONCE_MAX + 1)]
    for each in (kept, *gone):
        found.log.append(Append(PROGRESS, Partition(0), build_progress_key(each), build_progress(each)))
    topology = make_topology(make_index(), make_replica("a"))
    now_ms = int(FORGET_S * 1000) + kept.seen_ms + 1

    await found.publisher.forget(found.view(), topology, now_ms=now_ms)
    assert len(found.view().replicas) == 2
    await found.publisher.forget(found.view(), topology, now_ms=now_ms)

    assert list(found.view().replicas.values()) == [kept]
