"""Streams that bring nothing although the log has more are told again where to read; what goes with an index."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from agents.stalls import STALLED_LOOKS
from agents.worker.applier import Applier
from agents.worker.loud_stops import BAD_IN_A_ROW_MAX
from agents.worker.metrics import WorkerMetrics
from schemas.config import parse_settings
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, SettingsVersion
from streams.log import Append, Bounds, LogBatch, LogRecord, TopicPartition, TopicSpec
from streams.topics import own_topics
from streams.topology import Topology
from tests.background import background
from tests.builders import make_topology
from tests.fakes.log import FakeLog, FakeLogReader, FakeLogWriter
from tests.fakes.node import FakeNode, FakeNodeWriter

TOPIC = "miroir.docs.films"
PLACE = TopicPartition(TOPIC, Partition(0))
INDEX = IndexRecord(
    IndexUid("films"), Incarnation(1), TOPIC, 1, 1, SettingsVersion(1), created_ms=0, updated_ms=0, primary_key="id"
)


class Stream:
    """A live stream that only remembers what it was told."""

    def __init__(self) -> None:
        self.sought: list[Mapping[TopicPartition, Position]] = []

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver no more of these."""

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on with these."""

    async def seek(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read on from there."""
        self.sought.append(positions)


def make_applier(records: int, metrics: WorkerMetrics | None = None) -> tuple[Applier, Stream]:
    """Return an applier that owns the one partition from its beginning, with so many records in the log."""
    log = FakeLog()
    for spec in (TopicSpec(TOPIC, 1, {}), *own_topics()):
        log.create(spec)
    for at in range(records):
        log.append(Append(TOPIC, Partition(0), str(at).encode(), b"{}"))
    applier = Applier(
        parse_settings({}),
        worker="w",
        log=FakeLogWriter(log),
        make_reader=lambda: FakeLogReader(log),
        metrics=metrics or WorkerMetrics(),
        make_writer=lambda node, key: FakeNodeWriter(FakeNode(node.id), key),
        now_s=time.monotonic,
        now_ms=lambda: 0,
        draw=lambda: 0.0,
    )
    stream = Stream()
    applier.stream = stream
    applier.topology = make_topology(INDEX)
    applier.own({PLACE: Bounds(Position(0), Position(0))})
    applier.note_ends({PLACE: Position(records)})
    return applier, stream


async def test_silent_stream_is_told_again_after_some_looks() -> None:
    """At its window's end, once: whoever is slow, not silent, is left alone."""
    applier, stream = make_applier(5)

    for _ in range(STALLED_LOOKS - 1):
        applier.find_stalled()
        await applier.mend()
    assert stream.sought == []

    applier.find_stalled()
    await applier.mend()
    assert stream.sought == [{PLACE: Position(0)}]


async def test_stream_at_the_end_of_the_log_is_left_alone() -> None:
    """It brings nothing because there is nothing."""
    applier, stream = make_applier(0)

    for _ in range(STALLED_LOOKS * 2):
        applier.find_stalled()
        await applier.mend()

    assert stream.sought == []


async def test_metrics_of_a_deleted_index_end_with_it() -> None:
    """What an alert or a table shows is of indexes that there are."""
    metrics = WorkerMetrics()
    applier, _ = make_applier(0, metrics)
    metrics.records.labels(index="films").inc(7)
    started = asyncio.Event()

    async with background(applier.run(started=started)):
        await started.wait()
        await applier.set_topology(applier.topology)
        kept = metrics.registry.get_sample_value("miroir_records_total", {"index": "films"})
        await applier.set_topology(Topology())

    assert kept == 7
    assert metrics.registry.get_sample_value("miroir_records_total", {"index": "films"}) is None


async def test_bad_records_that_were_counted_once_do_not_stop_the_index_again() -> None:
    """The live stream comes by them anew where every copy is made anew; somebody has resumed the index since."""
    applier, _ = make_applier(0)
    records = tuple(LogRecord(Offset(at), 0, b"%d" % at, b"no document") for at in range(BAD_IN_A_ROW_MAX))
    batch = LogBatch(TOPIC, Partition(0), Position(0), Position(BAD_IN_A_ROW_MAX), records)
    await applier.receive(batch)
    assert applier.stops.is_stopped(INDEX.uid, INDEX.incarnation)

    applier.stops.take_states({INDEX.uid: INDEX}, Position(1))
    applier.own({PLACE: Bounds(Position(0), Position(0))})
    await applier.receive(batch)

    assert not applier.stops.is_stopped(INDEX.uid, INDEX.incarnation)
