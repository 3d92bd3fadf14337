"""A shard with two copies on nodes that hold what its log says, and what a worker sees of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from agents.operations import parse_operations
from agents.posts import ShardSlice, build_parts
from agents.tail import NodeTail, start_tail
from agents.window import Window
from agents.worker.feed import Assignment, Feed
from agents.worker.log_sampler import LogSampler
from agents.worker.metrics import WorkerMetrics
from agents.worker.sampler import Place, Sampler
from schemas.ids import NodeId, NodeIndexUid, Offset, Partition, Position, ShardId, node_index_uid
from schemas.posts import Drop, PositionRange, build_metadata
from schemas.requests import RebuildNode, parse_request
from streams.log import Append, LogBatch, TopicPartition, TopicSpec
from streams.marker import marker_of
from tests.builders import make_index, make_replica
from tests.fakes.log import FakeLog, FakeLogReader
from tests.fakes.node import Document, FakeNode, FakeNodeWriter, Work

INDEX = make_index(shards=1, primary_key="id")
UID = node_index_uid(INDEX.uid, INDEX.incarnation)
SHARD = ShardId(0)
PLACE = TopicPartition(INDEX.topic, Partition(0))
BYTES_MAX = 10_000


class Copy:
    """A node with one copy; what is asked of it.

    Attributes:
        asked: how often documents were asked for.
        before_answer: called before each answer with documents.
        is_stuck: whether its tasks wait.
    """

    def __init__(self, name: str) -> None:
        self.node = NodeId(name)
        self.replica = make_replica(name, attempt=5)
        self.disk = FakeNode(self.node)
        self.disk.create_index(UID, version=INDEX.settings_version)
        self.writer = FakeNodeWriter(self.disk)
        self.tail = NodeTail()
        self.is_away = False
        self.is_stuck = False
        self.asked = 0
        self.before_answer: Callable[[], None] = lambda: None

    async def begin(self) -> None:
        """Begin the attempt."""
        drop = Drop(INDEX.incarnation, {SHARD: self.replica.attempt}, is_whole=True)
        await self.writer.clear(UID, build_metadata(drop))
        self.disk.run_all()

    async def apply(self, slices: ShardSlice) -> None:
        """Be sent the next positions, and run them where it is not stuck."""
        for each in build_parts(f"w-{slices.range.end}", INDEX.incarnation, {SHARD: slices}):
            await self.writer.post(UID, each)
        self.run()

    def run(self) -> None:
        """Run what waits, and let the task list be known."""
        if not self.is_stuck:
            self.disk.run_all()
        self.tail = start_tail(self.disk.list_tasks(0))

    def spoil(self, key: int, text: str | None) -> None:
        """Write or delete a document behind everybody's back."""
        document: Document = {"id": key, "text": text, "_miroir": marker_of(SHARD)}
        work = Work(UID, deletes=(str(key),)) if text is None else Work(UID, upserts=(document,))
        self.disk.take("worker", "post", work, "")
        self.disk.run_all()

    async def documents(self, index: NodeIndexUid, ids: Sequence[str]) -> Sequence[dict[str, Any]]:
        """Return the documents; see ``SampledNode``."""
        self.asked += 1
        self.before_answer()
        return [dict(each) for each in await self.writer.documents(index, ids)]

    async def read_tail(self) -> None:
        """Read the whole task list; see ``SampledNode``."""
        self.tail = start_tail(self.disk.list_tasks(0))


async def _nothing() -> None:
    pass


class Shard:
    """The shard's log, its feed, its two copies, and what looks at them.

    Attributes:
        letters: offsets of records that were set aside.
        slept_s: how long the sampler has slept, in all; no time passes.
        on_sleep: called whenever it sleeps.
        requests: what was asked of the controller.
    """

    def __init__(self) -> None:
        self.log = FakeLog()
        self.log.create(TopicSpec(INDEX.topic, 1, {}))
        self.copies = (Copy("n1"), Copy("n2"))
        self.feed = self._make_feed()
        self.has_other = True
        self.letters: set[Offset] = set()
        self.slept_s = 0.0
        self.on_sleep: Callable[[], Awaitable[None]] = _nothing
        self.requests: list[RebuildNode] = []
        self.metrics = WorkerMetrics()
        self.sampler = Sampler(
            self.places,
            has_other=lambda _: self.has_other,
            append=self._append,
            metrics=self.metrics,
            interval_s=0.0,
            draw=lambda: 0.0,
            now_ms=lambda: 0,
        )

    def _make_feed(self) -> Feed:
        return Feed(PLACE, INDEX.uid, INDEX.incarnation, SHARD, Window(Position(0), bytes_max=10**6))

    def disown(self) -> None:
        """Let another assignment begin."""
        self.feed = self._make_feed()

    def places(self) -> Sequence[Place]:
        """Return what can be looked at."""
        return [Place(copy, (Assignment(self.feed, INDEX, copy.replica),)) for copy in self.copies]

    def log_sampler(self, *, interval_s: float = 0.01) -> LogSampler:
        """Return what looks at old documents."""
        return LogSampler(
            self.sampler,
            self.places,
            make_reader=lambda: FakeLogReader(self.log),
            letters=lambda _: self.letters,
            document_bytes_max=BYTES_MAX,
            interval_s=interval_s,
            draw=lambda: 0.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        await self.on_sleep()
        await asyncio.sleep(0)

    async def _append(self, appends: Sequence[Append]) -> None:
        for append in appends:
            request = parse_request(append.value or b"")
            assert isinstance(request, RebuildNode)
            self.requests.append(request)

    async def begin(self, documents: int = 10) -> None:
        """Let both copies hold documents that are not in the window any more."""
        for copy in self.copies:
            await copy.begin()
        for key in range(documents):
            self.write(key, "right")
        await self.feed_all()
        self.forget()

    def write(self, key: int, text: str | None) -> Offset:
        """Append a record to the log: a document, or a delete."""
        value = None if text is None else orjson.dumps({"id": key, "text": text})
        return self.log.append(Append(INDEX.topic, Partition(0), str(key).encode(), value))

    def take(self) -> ShardSlice:
        """Let the live stream bring what is new in the log."""
        end = Position(self.log.partition(PLACE).end)
        start = self.feed.window.end
        new = tuple(each for each in self.log.records(INDEX.topic) if each.offset >= start)
        read = LogBatch(INDEX.topic, Partition(0), start, end, new)
        parsed, _ = parse_operations(read, INDEX, condemned=self.letters, document_bytes_max=BYTES_MAX)
        self.feed.window.append(parsed)
        return ShardSlice(PositionRange(start, end), parsed.operations)

    async def feed_all(self) -> None:
        """Let the live stream bring what is new, and both copies be sent it."""
        slices = self.take()
        for copy in self.copies:
            await copy.apply(slices)

    def forget(self) -> None:
        """Let the window let go of everything."""
        self.feed.window.forget(self.feed.window.end)

    async def look(self) -> None:
        """Look at all copies once."""
        await self.log_sampler().look(self.feed)

    def differing(self) -> Sequence[int]:
        """Return how many documents of each copy were found to differ."""
        return [self.sampler.differing(copy.replica) for copy in self.copies]

    def rebuilt(self) -> Sequence[NodeId]:
        """Return the nodes whose copy was asked to be made anew."""
        return [request.id for request in self.requests]

    def counted(self) -> float:
        """Return how many documents were looked at."""
        labels = {"index": str(INDEX.uid)}
        return self.metrics.registry.get_sample_value("miroir_sampled_documents_total", labels) or 0.0
