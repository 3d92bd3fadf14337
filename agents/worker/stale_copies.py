"""Copies that may have missed deletes: found, not fed, and rebuilt at the controller's hands.

What always holds: a stale copy is given nothing, so that it cannot reach the end and pass for whole; the controller
gives it a new attempt behind the node's search key, as in every rebuild. Who calls it: the applier once a second, and a
feeder before every post. It must not know: Faust, HTTP.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from agents.tombstones import Copy, choose_rebuilds, may_miss_deletes
from agents.worker.feed import Feed
from agents.worker.metrics import WorkerMetrics
from schemas.events import IndexState, ReplicaRecord
from schemas.ids import Incarnation, IndexUid, NodeId, Partition, ShardId
from schemas.requests import RebuildNode, build_request
from streams.cursor import ShardCursor
from streams.log import Append, TopicFound
from streams.readable import LAG_RECORDS_MAX, ProgressView, readable_replicas
from streams.topics import REQUESTS, tombstones_kept_ms
from streams.topology import Topology

ASK_AGAIN_MS = 60_000
"""A rebuild that has not begun is asked for again: the request may have been refused; asking twice is once."""

NODE_ASKED_MS = 10_000
"""Between two requests about one node: each takes its next search key, which must have been made by then."""

_log = logging.getLogger(__name__)

Standing = Callable[[NodeId, Incarnation, ShardId], ShardCursor | None]
"""Where a copy stands by its node's own task list; None where the node does not tell."""


class StaleCopies:
    """The stale copies among those that this worker feeds.

    Args:
        append: appends requests, however long it takes.
        standing: where a copy stands.
        metrics: shows how many there are.
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        append: Callable[[Sequence[Append]], Awaitable[None]],
        *,
        standing: Standing,
        metrics: WorkerMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._append = append
        self._standing = standing
        self._metrics = metrics
        self._now_ms = now_ms
        self._kept_ms: dict[str, int] = {}
        self._asked_ms: dict[ReplicaRecord, int] = {}
        self._node_asked_ms: dict[NodeId, int] = {}

    def note_topics(self, topics: Mapping[str, TopicFound]) -> None:
        """Remember how long each topic keeps tombstones: one that is the user's own has its own time."""
        self._kept_ms |= {name: tombstones_kept_ms(name, found) for name, found in topics.items()}

    def is_stale(self, topology: Topology, progress: ProgressView, feed: Feed, at: ShardCursor) -> bool:
        """Return whether a copy that stands there may have missed deletes.

        Besides the copy's own task list, what is known is where the log ended: as this worker saw it, and as any copy
        of the shard was published to have stood at the end.
        """
        copies = (progress.of(replica) for replica in topology.replicas_of(feed.uid, feed.shard))
        told = (copy.at_end_ms for copy in copies if copy is not None and copy.cursor <= at.cursor)
        whole_ms = max(at.whole_ms, feed.ends.whole_ms(at.cursor), *told)
        topic = feed.partition.topic
        kept_ms = self._kept_ms[topic] if topic in self._kept_ms else tombstones_kept_ms(topic, None)
        return may_miss_deletes(whole_ms, now_ms=self._now_ms(), kept_ms=kept_ms)

    async def look(self, topology: Topology, progress: ProgressView, feeds: Iterable[Feed]) -> None:
        """Ask for the rebuild of stale copies, of as many as may be rebuilt at once."""
        stale: set[ReplicaRecord] = set()
        chosen: dict[tuple[NodeId, IndexUid], list[ReplicaRecord]] = {}
        for feed in feeds:
            copies = self._copies(topology, progress, feed)
            stale |= {replica for replica, copy in copies.items() if copy.is_stale}
            nodes = choose_rebuilds(copies.values())
            for replica in copies:
                if replica.node in nodes:
                    chosen.setdefault((replica.node, feed.uid), []).append(replica)
        self._metrics.stale_copies.set(len(stale))
        self._asked_ms = {replica: at_ms for replica, at_ms in self._asked_ms.items() if replica in stale}
        for (node, uid), replicas in chosen.items():
            await self._ask(node, uid, replicas)

    def _copies(self, topology: Topology, progress: ProgressView, feed: Feed) -> dict[ReplicaRecord, Copy]:
        index = topology.indexes.get(feed.uid)
        if index is None or index.incarnation != feed.incarnation or index.state is not IndexState.ACTIVE:
            return {}
        readable = readable_replicas(topology, progress, index, feed.shard, lag_records_max=LAG_RECORDS_MAX)
        copies = {}
        for replica in topology.replicas_of(feed.uid, feed.shard):
            at = self._standing(replica.node, feed.incarnation, feed.shard)
            has_begun = at is not None and at.attempt == replica.attempt
            is_stale = at is not None and has_begun and self.is_stale(topology, progress, feed, at)
            is_readable = has_begun and not is_stale and replica.node in readable
            copies[replica] = Copy(replica.node, is_stale, at is not None, is_readable)
        return copies

    async def _ask(self, node: NodeId, uid: IndexUid, replicas: Sequence[ReplicaRecord]) -> None:
        now_ms = self._now_ms()
        due = [replica for replica in replicas if now_ms - self._asked_ms.get(replica, 0) >= ASK_AGAIN_MS]
        if not due or now_ms - self._node_asked_ms.get(node, 0) < NODE_ASKED_MS:
            return
        self._node_asked_ms[node] = now_ms
        self._asked_ms |= dict.fromkeys(due, now_ms)
        shards = tuple(sorted(replica.shard for replica in due))
        _log.warning(
            "copies may have missed deletes that the log does not hold any more: they are rebuilt",
            extra={"node": node, "index": uid, "shards": shards},
        )
        attempt = max(replica.attempt for replica in due)
        request = build_request(RebuildNode(node, uid, shards, attempt))
        await self._append([Append(REQUESTS, Partition(0), None, request)])
