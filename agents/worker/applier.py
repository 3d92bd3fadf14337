"""Applying the partitions this worker owns to the replicas that the topology names.

It joins three things that each go their own way: the live stream (Faust), the feeders (one a node), and the topology.
What always holds: a dead letter is in the log before anything after its record can be posted; a partition whose window
is full is paused alone. Who calls it: the worker's app. It must not know: how the topology came to be.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from agents.batching import PostLimits
from agents.log_identity import CURE
from agents.operations import Operation, parse_operations
from agents.ports import NodeWriter
from agents.progress import Sight
from agents.replay_pace import is_limited
from agents.sampling import has_other_whole
from agents.stalls import Behind, StreamSight, look_for_stalls
from agents.window import Window, share_bytes
from agents.worker.feed import Assignment, Feed, LiveStream, assignments_on, attempts_on, fence_key
from agents.worker.feeder import Feeder
from agents.worker.feeder_settings import FeederSettings
from agents.worker.known_bounds import known_bounds
from agents.worker.loud_stops import LoudStops
from agents.worker.metrics import WorkerMetrics
from agents.worker.node_feeders import NodeFeeders
from agents.worker.progress_publisher import ProgressPublisher, Watched
from agents.worker.replay import Replay
from agents.worker.sampler import find_places
from agents.worker.samplers import Samplers
from agents.worker.set_aside import DeadLetters
from agents.worker.stale_copies import StaleCopies
from schemas.config import Settings
from schemas.errors import LogError, MissedRecordsError
from schemas.events import IndexRecord, IndexState, NodeRecord
from schemas.ids import Incarnation, IndexUid, NodeId, Partition, Position, ShardId
from schemas.keys import derive_key
from streams.cursor import UNTOUCHED, ShardCursor
from streams.log import Bounds, LogBatch, LogReader, LogWriter, TopicPartition
from streams.readable import ProgressView
from streams.topology import Topology

_log = logging.getLogger(__name__)


class Applier:
    """Everything between the live stream and the nodes, for one worker.

    Args:
        settings: limits, keys, intervals.
        worker: unique among all worker processes that ever were.
        log: appends dead letters, progress and requests.
        make_reader: makes a reader for one node's replay.
        metrics: what is counted.
        make_writer: makes a way to a node with a worker's key.
        now_s: monotonic seconds.
        now_ms: milliseconds since 1970.
        draw: a number in [0, 1).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        worker: str,
        log: LogWriter,
        make_reader: Callable[[], LogReader],
        metrics: WorkerMetrics,
        make_writer: Callable[[NodeRecord, str], NodeWriter],
        now_s: Callable[[], float],
        now_ms: Callable[[], int],
        draw: Callable[[], float],
    ) -> None:
        self.topology = Topology()
        self.dead = DeadLetters(log, make_reader, metrics)
        self.stops = LoudStops(self.dead.place)
        self.stale = StaleCopies(self.dead.append, standing=self._standing, metrics=metrics, now_ms=now_ms)
        self.progress = ProgressView()
        self.stream: LiveStream | None = None
        self._settings = settings
        self._worker = worker
        self._make_reader = make_reader
        self._make_writer = make_writer
        self._now_s = now_s
        self._now_ms = now_ms
        self._bounds = make_reader()
        self._metrics = metrics
        self._feeds: dict[TopicPartition, Feed] = {}
        self._feeders = NodeFeeders(self._make_feeder)
        self._publisher = ProgressPublisher(log, metrics)
        self._samplers = Samplers(
            settings,
            lambda: find_places((feeder for _, feeder in self._feeders.all()), self.assignments),
            has_other=lambda replica: has_other_whole(self.topology, self.progress, replica),
            dead=self.dead,
            make_reader=make_reader,
            metrics=metrics,
            draw=draw,
            now_ms=now_ms,
        )
        self._ends: dict[TopicPartition, Position] = {}
        self._behind: Mapping[TopicPartition, Behind] = {}
        self._owned: frozenset[TopicPartition] = frozenset()
        self._window_bytes_max = settings.partition_queue_bytes_max
        self._mending = asyncio.Lock()

    # --- from the topology ---

    def index_of(self, topic: str) -> IndexRecord | None:
        """Return the index whose topic this is."""
        return next((index for index in self.topology.indexes.values() if index.topic == topic), None)

    async def set_topology(self, topology: Topology) -> None:
        """Take the new view: feeders come and go, and what waited for it goes on."""
        self.topology = topology
        self._feeders.follow(topology)
        self.stops.take_states(topology.indexes, topology.requests_cursor)
        for feed in list(self._feeds.values()):
            index = self.index_of(feed.partition.topic)
            if index is None or index.incarnation != feed.incarnation:
                del self._feeds[feed.partition]
        self._metrics.forget_all_but(topology.indexes.keys(), topology.nodes.keys())
        await self.mend()
        self._feeders.wake()

    def _make_feeder(self, node: NodeRecord) -> Feeder:
        settings = self._settings
        master_key, node_id = settings.node_master_key.get_secret_value(), node.id
        key = derive_key(master_key, node.worker_key)
        replay = Replay(
            self._make_reader(), self._take, fed=lambda: self._feeders.wake_one(node_id), missed=self.missed
        )
        return Feeder(
            node.id,
            self._make_writer(node, key),
            FeederSettings(
                self._worker,
                PostLimits(settings.post_records_max, settings.post_bytes_max, settings.post_age_max_s),
                settings.tail_interval_s,
                settings.search_timeout_s,
                settings.replay_share,
            ),
            assignments=lambda: self.assignments(node_id),
            placements=lambda incarnation: attempts_on(self.topology, node_id, incarnation),
            replay=replay,
            search_key=lambda: fence_key(self.topology, node_id, master_key),
            is_stale=lambda feed, at: self.stale.is_stale(self.topology, self.progress, feed, at),
            is_limited=lambda replica: is_limited(self.topology, self.progress, replica),
            condemn=self._condemn,
            advanced=self._release,
            now=self._now_s,
            now_ms=self._now_ms,
        )

    def assignments(self, node: NodeId) -> Sequence[Assignment]:
        """Return the replicas on the node that this worker feeds, and those that it drops because they leave."""
        feeds = [feed for feed in self._feeds.values() if not self.stops.is_stopped(feed.uid, feed.incarnation)]
        return assignments_on(self.topology, node, feeds)

    # --- from the live stream ---

    def own(self, bounds: Mapping[TopicPartition, Bounds | None]) -> Mapping[TopicPartition, Position]:
        """Own exactly these partitions of index topics; return where the live stream of each is to start.

        That is where the furthest replica stands: it is fed live from there on, and the others, if they are behind,
        replay up to there. Where no node has told its task list, it is the log's end.

        Args:
            bounds: what each partition holds now; None where that is not known yet, and ``mend`` begins it later.
        """
        self._window_bytes_max = share_bytes(len(bounds), self._settings.partition_queue_bytes_max)
        self._owned = frozenset(bounds)
        self._feeds = {}
        for partition, held in bounds.items():
            self._begin(partition, held)
        self._publisher.begin()
        return {partition: feed.window.end for partition, feed in self._feeds.items()}

    def _begin(self, partition: TopicPartition, held: Bounds | None, *, must_seek: bool = False) -> None:
        """Begin to feed an owned partition, where its topic has an index and its bounds are known."""
        index, shard = self.index_of(partition.topic), ShardId(partition.partition)
        if index is None or held is None:
            return
        known = self._furthest(index.uid, index.incarnation, shard) if self._feeders.is_any_told else held.end
        window = Window(max(held.beginning, min(known, held.end)), bytes_max=self._window_bytes_max)
        feed = self._feeds[partition] = Feed(partition, index.uid, index.incarnation, shard, window)
        feed.must_seek = must_seek
        self._ends[partition] = held.end
        feed.ends.note(held.end, self._now_ms())
        self._feeders.wake()

    async def mend(self) -> None:
        """Let every live stream that has stopped go on where its window ends, if its index is applied now.

        A stream stops where its index was paused, had no primary key yet, or no broker answered; and an owned partition
        has no feed where brokers did not know it yet, or its index was made anew over the same topic.
        """
        async with self._mending:
            missing = {each for each in self._owned - self._feeds.keys() if self.index_of(each.topic) is not None}
            try:
                bounds = await known_bounds(self._bounds, missing)
            except LogError as error:
                bounds = {}
                _log.warning("bounds are not known", extra={"reason": str(error)})
            if waiting := sorted(missing - bounds.keys()):
                _log.warning("partitions cannot be begun", extra={"partitions": waiting})
            for partition in sorted((self._owned - self._feeds.keys()) & bounds.keys()):
                self._begin(partition, bounds[partition], must_seek=True)
            for feed in list(self._feeds.values()):
                if feed.must_seek and self._applied(feed) is not None and self.stream is not None:
                    feed.must_seek = feed.is_paused = False
                    await self.stream.seek({feed.partition: feed.window.end})

    def find_stalled(self) -> None:
        """Let a stream go on that brings nothing although the log has more.

        The second line: nothing is known to lose a batch between broker and agent. Whoever brings nothing for some
        looks in a row is told again, by ``mend``, where to read. Called once a second.
        """
        sights = {
            partition: StreamSight(feed.window.end, self._ends.get(partition, feed.window.end))
            for partition, feed in self._feeds.items()
            if not feed.is_paused and not feed.must_seek
        }
        self._behind, stalled = look_for_stalls(self._behind, sights)
        for partition in stalled:
            self._feeds[partition].must_seek = True
            _log.warning("stream is told again where to read", extra=partition._asdict())

    def _applied(self, feed: Feed) -> IndexRecord | None:
        """Return the feed's index where its log is applied now."""
        index = self.topology.indexes.get(feed.uid)
        if index is None or index.incarnation != feed.incarnation or index.primary_key is None:
            return None
        is_held = index.state is not IndexState.ACTIVE or self.stops.is_stopped(index.uid, index.incarnation)
        return None if is_held else index

    async def stopped(self, partition: TopicPartition, error: LogError) -> None:
        """A live stream cannot go on: loudly where records are missing, else it is tried again."""
        if (feed := self._feeds.get(partition)) is None:
            return
        feed.must_seek = True
        if isinstance(error, MissedRecordsError):
            await self.missed(error)

    async def wait_for_tails(self, timeout_s: float) -> None:
        """Wait until every node has told its task list, at most so long: one may be away."""
        await self._feeders.wait_told(timeout_s)

    def disown(self) -> None:
        """Own nothing until ``own`` is called."""
        self._owned = frozenset()
        self._feeds = {}
        self._feeders.wake()

    async def receive(self, batch: LogBatch) -> None:
        """Take a batch of the live stream."""
        partition = TopicPartition(batch.topic, batch.partition)
        feed = self._feeds.get(partition)
        if feed is None:
            return
        index = self._applied(feed)
        if index is None or feed.must_seek:
            feed.must_seek = True
            self._pause(feed)
            return
        self._ends[partition] = max(self._ends.get(partition, batch.end), batch.end)
        await self._take(feed, index, batch, feed.window)
        self._metrics.records.labels(index=feed.uid).inc(len(batch.records))
        if feed.window.is_full and feed.window.release(self._furthest(feed.uid, feed.incarnation, feed.shard)):
            self._pause(feed)
        self._feeders.wake()

    async def _take(self, feed: Feed, index: IndexRecord, batch: LogBatch, window: Window) -> None:
        """Parse a batch into a window; its dead letters are in the log before it is."""
        parsed, dead = parse_operations(
            batch, index, condemned=self.dead.condemned(feed), document_bytes_max=self._settings.post_bytes_max
        )
        fresh = await self.dead.set_aside(feed, dead)
        window.append(parsed)
        # A replay reads what the live stream has judged already; so does that itself where no copy is further.
        if window is feed.window:
            await self.stops.count_bad(index, parsed, fresh)

    def _pause(self, feed: Feed) -> None:
        if not feed.is_paused and self.stream is not None:
            feed.is_paused = True
            self.stream.pause([feed.partition])

    def _furthest(self, uid: IndexUid, incarnation: Incarnation, shard: ShardId) -> Position:
        return self._feeders.furthest(self.topology, uid, incarnation, shard)

    def _release(self) -> None:
        """A feeder has advanced: let go of what one replica has taken, and resume what was full."""
        self._feeders.note_moved()
        for feed in self._feeds.values():
            if not feed.is_paused or feed.must_seek or self.stream is None:
                continue
            if not feed.window.release(self._furthest(feed.uid, feed.incarnation, feed.shard)):
                feed.is_paused = False
                self.stream.resume([feed.partition])

    # --- records that a node refuses ---

    async def _condemn(self, assignment: Assignment, operation: Operation, message: str) -> None:
        feed = assignment.feed
        await self.dead.condemn(feed, operation, message)
        feed.window.replace_by_delete(operation.offset)
        self._feeders.replace_by_delete(feed.partition, operation.offset)
        self._feeders.wake()

    # --- loud stops ---

    async def missed(self, error: MissedRecordsError) -> None:
        """Stop an index whose log no longer, or not yet, holds what a replica needs."""
        feed = self._feeds.get(TopicPartition(error.topic, Partition(error.partition)))
        if feed is not None and (index := self._applied(feed)) is not None:
            reason = f"{error}: the log was trimmed or made anew; {CURE.format(uid=index.uid)}"
            await self.stops.stop(index, reason)

    async def check_logs(self, topics: Mapping[str, str]) -> None:
        """Stop every index whose topic is gone, or not the one that it was begun on.

        Args:
            topics: the id of each index's topic that exists; empty where the broker does not tell.
        """
        faults = self.stops.look(self.topology.indexes.values(), topics, self.progress.replicas.values())
        for fault in faults:
            for feed in self._feeds.values():
                feed.must_seek = feed.must_seek or feed.incarnation == fault.index.incarnation
            await self.stops.stop(fault.index, fault.reason)

    # --- progress ---

    def note_ends(self, ends: Mapping[TopicPartition, Position]) -> None:
        """Remember where the logs end."""
        self._ends.update(ends)
        for partition, end in ends.items():
            if (feed := self._feeds.get(partition)) is not None:
                feed.ends.note(end, self._now_ms())

    async def look_for_stale(self) -> None:
        """Let copies be rebuilt that may have missed deletes. Called once a second."""
        await self.stale.look(self.topology, self.progress, list(self._feeds.values()))

    def _standing(self, node: NodeId, incarnation: Incarnation, shard: ShardId) -> ShardCursor | None:
        """Return where a copy stands; None where its node does not tell."""
        found = self._feeders.of(node)
        if found is None or found.is_away or not found.tail.is_whole:
            return None
        return found.accepted(incarnation).get(shard, UNTOUCHED)

    def partitions(self) -> Sequence[TopicPartition]:
        """Return the owned partitions."""
        return list(self._feeds)

    async def publish_progress(self) -> None:
        """Publish what has changed of each replica.

        Raises:
            LogUnavailableError: no broker answers; it is tried again at the next interval.
        """
        watched = [
            Watched(self._sight(assignment, node, feeder), assignment.feed.window)
            for node, feeder in self._feeders.all()
            for assignment in self.assignments(node.id)
        ]
        await self._publisher.publish(watched, self.progress, now_ms=self._now_ms())

    async def forget_progress(self) -> None:
        """Remove the progress of replicas that are placed no more; for one worker of all, the controller.

        Raises:
            LogUnavailableError: no broker answers; it is tried again later.
        """
        await self._publisher.forget(self.progress, self.topology, now_ms=self._now_ms())

    def _sight(self, assignment: Assignment, node: NodeRecord, feeder: Feeder) -> Sight:
        """Return what is seen of a replica now."""
        feed = assignment.feed
        is_told = feeder.tail.is_whole and not feeder.is_away
        return Sight(
            assignment.replica,
            feeder.tail.visible(feed.incarnation, feed.shard) if is_told else None,
            max(self._ends.get(feed.partition, feed.window.end), feed.window.end),
            feeder.settings_version(feed.incarnation),
            node.worker_key,
            self.stops.log_of(feed.incarnation),
            self._samplers.differing(assignment.replica),
        )

    async def run(self, *, started: asyncio.Event) -> None:
        """Keep the feeders, and look at what they have fed, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feeders.run(started=started))
                group.create_task(self._samplers.run())
        finally:
            await self._bounds.close()
