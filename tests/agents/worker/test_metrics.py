"""What Prometheus is told by a worker."""

from dataclasses import replace
from pathlib import Path

from agents.worker.metrics import SAMPLE, WorkerMetrics
from schemas.ids import IndexUid, NodeId, Position
from tests.agents.test_window import make_operations
from tests.builders import UID, make_progress, make_replica

LABELS = {"index": UID, "shard": "0", "node": "a"}


def sample(metrics: WorkerMetrics, name: str, labels: dict[str, str]) -> float | None:
    """Return a metric's value; None where it is not told."""
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_is_documented() -> None:
    """A name that an operator cannot look up is as good as none."""
    documented = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()

    names = {metric.name for metric in WorkerMetrics().registry.collect()}

    assert names
    assert {name for name in names if f"`{name}" not in documented} == set()


def test_lag_is_told_for_each_replica_in_seconds_and_records() -> None:
    """Until the replica is not fed here any more: a gauge that nobody sets would look like a stuck copy."""
    metrics = WorkerMetrics()
    behind = replace(make_progress(make_replica("a"), 5), end=Position(9), lag_ms=2500)

    metrics.observe([behind])
    assert sample(metrics, "miroir_apply_lag_seconds", LABELS) == 2.5
    assert sample(metrics, "miroir_apply_lag_records", LABELS) == 4
    metrics.observe([])

    assert sample(metrics, "miroir_apply_lag_seconds", LABELS) is None
    assert sample(metrics, "miroir_apply_lag_records", LABELS) is None


def test_freshness_is_measured_of_what_has_become_visible_only() -> None:
    """A sample of each batch, from its record's timestamp to now; never less than nothing, whatever clocks say."""
    metrics = WorkerMetrics()
    batches = [make_operations(0, 2 * SAMPLE), make_operations(2 * SAMPLE, 3 * SAMPLE)]

    metrics.note_visible(UID, batches, Position(SAMPLE + 1), now_ms=1500)
    metrics.note_visible(UID, [make_operations(0, 1)], Position(1), now_ms=-1)

    assert sample(metrics, "miroir_freshness_seconds_count", {"index": UID}) == 3
    assert sample(metrics, "miroir_freshness_seconds_sum", {"index": UID}) == 3.0
    assert sample(metrics, "miroir_freshness_seconds_bucket", {"index": UID, "le": "1.0"}) == 1


def test_counters_are_told_by_index_and_reason() -> None:
    """Each worker has a registry of its own: two in a process do not count together."""
    metrics, other = WorkerMetrics(), WorkerMetrics()

    metrics.records.labels(index=UID).inc(7)
    metrics.dead.labels(index=UID, reason="invalid_id").inc()

    assert sample(metrics, "miroir_records_total", {"index": UID}) == 7
    assert sample(metrics, "miroir_dead_letters_total", {"index": UID, "reason": "invalid_id"}) == 1
    assert sample(other, "miroir_records_total", {"index": UID}) is None


def test_what_was_counted_of_an_index_or_a_node_that_is_gone_is_forgotten() -> None:
    """A worker that runs for months has as many series as there are indexes and nodes; the others count on."""
    metrics = WorkerMetrics()
    for uid in (UID, "gone"):
        metrics.records.labels(index=uid).inc(7)
        metrics.dead.labels(index=uid, reason="invalid_id").inc()
        metrics.sampled.labels(index=uid).inc()
        metrics.note_visible(IndexUid(uid), [make_operations(0, 1)], Position(1), now_ms=1500)
        for node in ("a", "removed"):
            metrics.sampled_differences.labels(index=uid, node=node).inc()

    metrics.forget_all_but({UID}, {NodeId("a")})

    told = [each.labels for family in metrics.registry.collect() for each in family.samples]
    assert not [labels for labels in told if "gone" in labels.values() or "removed" in labels.values()]
    assert sample(metrics, "miroir_records_total", {"index": UID}) == 7
    assert sample(metrics, "miroir_dead_letters_total", {"index": UID, "reason": "invalid_id"}) == 1
    assert sample(metrics, "miroir_sampled_documents_total", {"index": UID}) == 1
    assert sample(metrics, "miroir_sampled_differences_total", {"index": UID, "node": "a"}) == 1
    assert sample(metrics, "miroir_freshness_seconds_count", {"index": UID}) == 1
