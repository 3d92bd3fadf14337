"""Metrics in Prometheus' form: counted as they happen, gauges read from the views."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from query.http.metrics import Metrics
from query.http.views import Views
from schemas.dead_letters import build_dead_letter, build_dead_letter_key
from schemas.events import ClusterValue, IndexRecord, NodeRecord, ReplicaRecord, build_key, build_value
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Offset, Partition, Position, SettingsVersion, ShardId
from schemas.progress import Progress, build_progress, build_progress_key
from streams.log import LogBatch, LogRecord
from streams.topics import CLUSTER, DEAD, PROGRESS
from tests.query.http.stand import dead_letter

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(3), "miroir.docs.films", 1, 2, SettingsVersion(3), 0, 0, primary_key="id"
)
NODES = (NodeId("n1"), NodeId("n2"))


def batch(topic: str, *records: tuple[bytes, bytes]) -> LogBatch:
    """Return records of a topic as they are read from its beginning."""
    found = tuple(LogRecord(Offset(n), 0, key, value) for n, (key, value) in enumerate(records))
    return LogBatch(topic, Partition(0), Position(0), Position(len(found)), found)


def views_of_two_copies() -> Views:
    """Return views in which one copy is whole and the other 100 records and two seconds behind."""
    views = Views(lag_records_max=10, away=frozenset)
    copies = [ReplicaRecord(INDEX.uid, INDEX.incarnation, ShardId(0), node, Attempt(1)) for node in NODES]
    progress = [
        Progress(
            uid=INDEX.uid,
            incarnation=INDEX.incarnation,
            shard=ShardId(0),
            node=node,
            attempt=Attempt(1),
            cursor=Position(100 - lag),
            end=Position(100),
            settings_version=INDEX.settings_version,
            seen_ms=0,
            at_end_ms=0,
            lag_ms=20 * lag,
            differing=3,
        )
        for node, lag in zip(NODES, (0, 100), strict=True)
    ]
    letter = dead_letter(INDEX, 0, 7)
    cluster: tuple[ClusterValue, ...] = (*copies, INDEX)
    views.fold(
        [
            batch(CLUSTER, *((build_key(value).encode(), build_value(value)) for value in cluster)),
            batch(PROGRESS, *((build_progress_key(each), build_progress(each)) for each in progress)),
            batch(DEAD, (build_dead_letter_key(letter), build_dead_letter(letter))),
        ]
    )
    return views


def views_of_nodes() -> Views:
    """Return views in which there are two nodes and nothing else."""
    views = Views(lag_records_max=10, away=frozenset)
    nodes = [NodeRecord(node, f"http://{node}:7700") for node in NODES]
    views.fold([batch(CLUSTER, *((build_key(node).encode(), build_value(node)) for node in nodes))])
    return views


def values(text: bytes) -> dict[tuple[str, str], float]:
    """Return the samples by name and by their labels' values."""
    return {
        (sample.name, " ".join(value for name, value in sorted(sample.labels.items()) if name != "le")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_gauges_say_what_the_views_say() -> None:
    """Copies that may not be read, lag by copy and by index, dead letters, nodes away, the epoch."""
    views = views_of_two_copies()
    views.skipped[DEAD] += 2
    found = values(Metrics().render(views, nodes_away=1, lag_records_max=10))

    assert found["miroir_replicas_not_readable", "films"] == 1
    assert [found["miroir_replica_lag_records", f"films {node} 0"] for node in NODES] == [0, 100]
    assert found["miroir_index_lag_seconds", "films"] == 2
    assert found["miroir_shards_below_replication", "films"] == 1
    assert found["miroir_copies_read_beyond_bound", "films"] == 1, "neither copy has ever been whole: the best is read"
    assert found["miroir_documents_differing", "films"] == 6
    assert found["miroir_dead_letters", "films"] == 1
    assert found["miroir_records_skipped", DEAD] == 2
    assert (found["miroir_nodes_away", ""], found["miroir_epoch", ""]) == (1, 3)


def test_gauges_of_what_is_gone_are_gone() -> None:
    """A deleted index is not told of for ever."""
    metrics = Metrics()
    metrics.render(views_of_two_copies(), nodes_away=0, lag_records_max=10)

    empty = values(metrics.render(Views(lag_records_max=10, away=frozenset), nodes_away=0, lag_records_max=10))

    assert not [labels for _, labels in empty if "films" in labels]


def test_counters_count_searches_nodes_and_documents() -> None:
    """By outcome and by node, with their times."""
    metrics = Metrics()
    for outcome in ("ok", "ok", "failed"):
        metrics.observe_search(outcome, 0.5)
    metrics.observe_node(NODES[0], 0.25)
    metrics.count_produced(7)

    found = values(metrics.render(views_of_nodes(), nodes_away=0, lag_records_max=10))

    assert [found["miroir_searches_total", outcome] for outcome in ("ok", "failed")] == [2, 1]
    assert (found["miroir_search_seconds_sum", ""], found["miroir_search_seconds_count", ""]) == (1.5, 3)
    assert found["miroir_node_search_seconds_sum", "n1"] == 0.25
    assert found["miroir_documents_produced_total", ""] == 7


def test_every_outcome_of_searches_is_told_from_the_beginning() -> None:
    """An alert on failures needs their zero: a series that begins with its first failure has not risen."""
    found = values(Metrics().render(views_of_nodes(), nodes_away=0, lag_records_max=10))

    outcomes = {labels: value for (name, labels), value in found.items() if name == "miroir_searches_total"}
    assert outcomes == {"ok": 0, "partial": 0, "refused": 0, "failed": 0}


def test_index_without_a_primary_key_raises_no_alarm() -> None:
    """Nothing is applied to it yet, so that no copy lacks anything: `miroir status` says nothing of it either."""
    views = Views(lag_records_max=10, away=frozenset)
    index = replace(INDEX, primary_key=None)
    copy = ReplicaRecord(INDEX.uid, INDEX.incarnation, ShardId(0), NODES[0], Attempt(1))
    cluster: tuple[ClusterValue, ...] = (copy, index)
    views.fold([batch(CLUSTER, *((build_key(value).encode(), build_value(value)) for value in cluster))])

    found = values(Metrics().render(views, nodes_away=0, lag_records_max=10))

    assert not found.get(("miroir_shards_below_replication", "films"))
    assert not found.get(("miroir_replicas_not_readable", "films"))


def test_latencies_of_a_node_that_is_gone_are_dropped() -> None:
    """A cluster whose nodes are replaced again and again has as many series as it has nodes."""
    metrics = Metrics()
    for node in (*NODES, NodeId("gone")):
        metrics.observe_node(node, 0.01)

    found = values(metrics.render(views_of_nodes(), nodes_away=0, lag_records_max=10))

    assert {node for name, node in found if name == "miroir_node_search_seconds_count"} == set(NODES)
