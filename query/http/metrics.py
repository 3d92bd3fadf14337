"""What one looks at first, in Prometheus' form.

What always holds: one registry a process, no label with unbounded values. Who calls it: the routes count, ``/metrics``
renders. It must not know: how a search works.
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from query.http.views import Views
from schemas.events import IndexRecord
from schemas.ids import NodeId, ShardId
from streams.readable import read_beyond_bound, readable_replicas

_LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

OUTCOMES = ("ok", "partial", "refused", "failed")
"""What becomes of a search."""


class Metrics:
    """Counters and gauges of one query service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._node_latency = Histogram(
            "miroir_node_search_seconds",
            "Time until a node answered.",
            ["node"],
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._searches = Counter(
            "miroir_searches",
            f"Searches by outcome: {', '.join(OUTCOMES)}.",
            ["outcome"],
            registry=self._registry,
        )
        self._search_latency = Histogram(
            "miroir_search_seconds", "Time of a whole search.", buckets=_LATENCY_BUCKETS, registry=self._registry
        )
        self._produced = Counter("miroir_documents_produced", "Records appended for clients.", registry=self._registry)
        self._unreadable = Gauge(
            "miroir_replicas_not_readable", "Replicas that may not be read.", ["index"], registry=self._registry
        )
        self._below_wanted = Gauge(
            "miroir_shards_below_replication",
            "Shards with fewer readable copies than the index asks for.",
            ["index"],
            registry=self._registry,
        )
        self._beyond_bound = Gauge(
            "miroir_copies_read_beyond_bound",
            "Copies that are read although they lack what another has, or have never had all: there is no better one.",
            ["index"],
            registry=self._registry,
        )
        self._differing = Gauge(
            "miroir_documents_differing",
            "Sampled documents that are not what the log says, on copies as they are placed now.",
            ["index"],
            registry=self._registry,
        )
        self._lag = Gauge(
            "miroir_replica_lag_records",
            "Log end minus visible cursor.",
            ["index", "shard", "node"],
            registry=self._registry,
        )
        self._lag_seconds = Gauge(
            "miroir_index_lag_seconds",
            "Age of the oldest record not visible on a replica.",
            ["index"],
            registry=self._registry,
        )
        self._dead = Gauge("miroir_dead_letters", "Records set aside.", ["index"], registry=self._registry)
        self._skipped = Gauge(
            "miroir_records_skipped",
            "Records of our own topics that cannot be read here and were passed over.",
            ["topic"],
            registry=self._registry,
        )
        self._epoch = Gauge("miroir_epoch", "Position in the cluster topic.", registry=self._registry)
        self._log_age = Gauge(
            "miroir_log_read_age_seconds", "Time since the log was last read.", registry=self._registry
        )
        # Looking a label up costs as much as counting.
        self._latency_of: dict[NodeId, Histogram] = {}
        # All are there at once: what begins with the first failure has not risen for who watches it.
        self._outcomes = {outcome: self._searches.labels(outcome) for outcome in OUTCOMES}
        self._away = Gauge("miroir_nodes_away", "Nodes that do not answer.", registry=self._registry)

    def observe_node(self, node: NodeId, seconds: float) -> None:
        """Count one answer of a node."""
        found = self._latency_of.get(node)
        if found is None:
            found = self._latency_of[node] = self._node_latency.labels(node)
        found.observe(seconds)

    def observe_search(self, outcome: str, seconds: float) -> None:
        """Count one search, of one of ``OUTCOMES``."""
        self._outcomes[outcome].inc()
        self._search_latency.observe(seconds)

    def count_produced(self, records: int) -> None:
        """Count records appended."""
        self._produced.inc(records)

    def render(self, views: Views, *, nodes_away: int, lag_records_max: int) -> bytes:
        """Return the text of all metrics; gauges are read from the views now."""
        by_index = (self._unreadable, self._below_wanted, self._beyond_bound, self._differing)
        for gauge in (*by_index, self._lag, self._lag_seconds, self._dead, self._skipped):
            gauge.clear()
        self._epoch.set(views.topology.epoch)
        self._log_age.set(time.monotonic() - views.connected_s)
        self._away.set(nodes_away)
        for uid, count in views.dead.counts().items():
            self._dead.labels(uid).set(count)
        for topic, count in views.skipped.items():
            self._skipped.labels(topic).set(count)
        for index in views.topology.indexes.values():
            # Nothing is applied before the primary key is known: there is nothing that a copy could lack.
            if index.primary_key is not None:
                self._observe_index(views, index, lag_records_max)
        self._forget_nodes(views)
        return generate_latest(self._registry)

    def _forget_nodes(self, views: Views) -> None:
        """Drop the latencies of nodes that are not in the cluster any more."""
        for node in self._latency_of.keys() - views.topology.nodes.keys():
            self._node_latency.remove(node)
            del self._latency_of[node]

    def _observe_index(self, views: Views, index: IndexRecord, lag_records_max: int) -> None:
        topology, progress = views.topology, views.progress
        placed = readable = below = beyond = lag_ms = differing = 0
        wanted = index.replication * len(index.groups)
        for shard in map(ShardId, range(index.shards)):
            replicas = topology.replicas_of(index.uid, shard)
            read = readable_replicas(topology, progress, index, shard, lag_records_max=lag_records_max)
            placed, readable, below = placed + len(replicas), readable + len(read), below + (len(read) < wanted)
            beyond += len(read_beyond_bound(topology, progress, index, shard, lag_records_max=lag_records_max))
            for replica in replicas:
                if (seen := progress.of(replica)) is not None:
                    self._lag.labels(index.uid, shard, replica.node).set(max(0, seen.end - seen.cursor))
                    lag_ms, differing = max(lag_ms, seen.lag_ms), differing + seen.differing
        self._unreadable.labels(index.uid).set(placed - readable)
        self._below_wanted.labels(index.uid).set(below)
        self._beyond_bound.labels(index.uid).set(beyond)
        self._differing.labels(index.uid).set(differing)
        self._lag_seconds.labels(index.uid).set(lag_ms / 1000)
