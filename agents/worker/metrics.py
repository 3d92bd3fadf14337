"""What one looks at first on a worker, for Prometheus.

What always holds: names and labels are documented in ``docs/operating.md``. Who calls it: the applier. It must not
know: who scrapes.
"""

from collections.abc import Collection, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agents.operations import OperationBatch
from schemas.ids import IndexUid, Position
from schemas.progress import Progress

FRESHNESS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""From a blink to a settings change that keeps every node busy."""

SAMPLE = 50
"""One record in so many is measured for freshness: enough for a quantile, nearly free."""


class WorkerMetrics:
    """The worker's counters, gauges and histograms, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._observed: set[tuple[str, str, str]] = set()
        self.records = Counter("miroir_records_total", "Records taken from the log.", ["index"], registry=self.registry)
        self.dead = Counter(
            "miroir_dead_letters_total", "Records set aside.", ["index", "reason"], registry=self.registry
        )
        self.skipped = Counter(
            "miroir_records_skipped_total",
            "Records of our own topics that cannot be read and were passed over.",
            ["topic"],
            registry=self.registry,
        )
        self.lag_s = Gauge(
            "miroir_apply_lag_seconds",
            "Age of the oldest record that is not visible.",
            ["index", "shard", "node"],
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "miroir_apply_lag_records",
            "Positions between the visible cursor and the log's end.",
            ["index", "shard", "node"],
            registry=self.registry,
        )
        self.stale_copies = Gauge(
            "miroir_stale_copies",
            "Copies that may have missed deletes and wait for being rebuilt.",
            registry=self.registry,
        )
        self.sampled = Counter(
            "miroir_sampled_documents_total",
            "Documents on nodes that were compared with their last write.",
            ["index"],
            registry=self.registry,
        )
        self.sampled_differences = Counter(
            "miroir_sampled_differences_total",
            "Of them, documents that were not what the log says.",
            ["index", "node"],
            registry=self.registry,
        )
        self.freshness_s = Histogram(
            "miroir_freshness_seconds",
            "From a record's timestamp until it was visible on a replica (sampled).",
            ["index"],
            buckets=FRESHNESS_S,
            registry=self.registry,
        )

    def observe(self, replicas: Iterable[Progress]) -> None:
        """Set the gauges of each replica, and forget those of replicas that are not among them any more."""
        seen: set[tuple[str, str, str]] = set()
        for progress in replicas:
            labels = (progress.uid, str(progress.shard), progress.node)
            seen.add(labels)
            self.lag_s.labels(*labels).set(progress.lag_ms / 1000)
            self.lag_records.labels(*labels).set(progress.end - progress.cursor)
        for gone in self._observed - seen:
            self.lag_s.remove(*gone)
            self.lag_records.remove(*gone)
        self._observed = seen

    def forget_all_but(self, indexes: Collection[str], nodes: Collection[str]) -> None:
        """Drop what was counted of indexes and nodes that are gone."""
        for metric in (self.records, self.dead, self.sampled, self.sampled_differences, self.freshness_s):
            told = [sample.labels for family in metric.collect() for sample in family.samples]
            gone = [
                labels for labels in told if labels["index"] not in indexes or labels.get("node") not in {None, *nodes}
            ]
            # A series of a histogram is told of once a bucket.
            for values in {tuple(value for name, value in labels.items() if name != "le") for labels in gone}:
                metric.remove(*values)

    def note_visible(self, index: IndexUid, batches: Iterable[OperationBatch], cursor: Position, now_ms: int) -> None:
        """Measure how fresh the records were that have become visible, up to ``cursor``, exclusive."""
        histogram = self.freshness_s.labels(index=index)
        for batch in batches:
            for operation in batch.operations[::SAMPLE]:
                if operation.offset >= cursor:
                    return
                histogram.observe(max(0, now_ms - operation.timestamp_ms) / 1000)
