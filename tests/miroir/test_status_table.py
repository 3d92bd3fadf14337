"""What a status comes to."""

from typing import Any

import pytest
from rich.console import Console

from miroir.processes import ProcessId
from miroir.status_table import ShardSummary, faults, status_tables, summarise


def make_replica(node: str, *, readable: bool = True, lag: int | None = 0) -> dict[str, Any]:
    """Return a copy as the query service tells it; a lag of None was never seen."""
    seen = {"cursor": 5, "end": 5 + (lag or 0), "lag_records": lag, "lag_ms": None if lag is None else lag * 10}
    return {"node": node, "attempt": 3, "readable": readable, **seen, "cursor": None if lag is None else 5}


def make_status(**changes: Any) -> dict[str, Any]:
    """Return a status in which all is well, with changes to its only index."""
    shard = {"shard": 0, "readable": ["n1", "n2"], "replicas": [make_replica("n1"), make_replica("n2", lag=2)]}
    index = {
        "uid": "films",
        "state": "active",
        "reason": "",
        "topic": "miroir.docs.films",
        "primary_key": "id",
        "shards": [shard],
        **changes,
    }
    node = {
        "id": "n1",
        "url": "http://h:1",
        "state": "active",
        "weight": 1.0,
        "zone": "",
        "replicas": 1,
        "answers": True,
    }
    return {
        "epoch": 9,
        "log": {"connected": True, "stopped": ""},
        "nodes": [node],
        "indexes": [index],
        "dead_letters": 1,
    }


def test_summarise_counts_copies_and_takes_the_largest_lag() -> None:
    """An index lags as its last copy does."""
    assert summarise(make_status()["indexes"][0]["shards"]) == ShardSummary(1, 2, 2, 2, 20)


def test_summarise_copy_never_seen_has_no_lag() -> None:
    """Where a copy was never seen, nobody knows the lag."""
    shard = {"readable": [], "replicas": [make_replica("n1", readable=False, lag=None)]}

    assert summarise([shard]) == ShardSummary(0, 0, 1, None, None)
    assert summarise([]) == ShardSummary(0, 0, 0, None, None)


def test_faults_all_well_are_none() -> None:
    """A status in which all is well has no faults."""
    assert list(faults(make_status())) == []


def test_faults_index_that_waits_for_its_primary_key_has_none() -> None:
    """No copy of it is read, and nothing can be missing."""
    shards = [{"shard": 0, "readable": [], "replicas": [make_replica("n1", readable=False, lag=None)]}]

    assert list(faults(make_status(shards=shards, primary_key=None))) == []
    assert len(faults(make_status(shards=shards))) == 2


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (make_status() | {"log": {"connected": False, "stopped": ""}}, "Kafka is away"),
        (make_status() | {"log": {"connected": False, "stopped": "record t/0/7"}}, "has stopped reading the log"),
        (make_status(state="paused", reason="log trimmed"), "paused: log trimmed"),
        (make_status(reason="settings version 7 cannot be applied"), "films: settings version 7"),
        (make_status(shards=[{"shard": 0, "readable": [], "replicas": []}]), "1 shards have no readable copy"),
        (
            make_status(shards=[{"shard": 4, "readable": ["n1"], "replicas": [make_replica("n1") | {"differing": 2}]}]),
            "films shard 4 on n1: 2 sampled documents are not what the log says: `miroir node rebuild n1`",
        ),
        (make_status(shards=[{"shard": 0, "readable": ["n1"], "replicas": [make_replica("n1")] * 2}]), "1 copies"),
        (make_status() | {"nodes": [{**make_status()["nodes"][0], "answers": False}]}, "n1 does not answer"),
        (make_status() | {"nodes": [{**make_status()["nodes"][0], "state": "joining"}]}, "n1 is joining"),
    ],
    ids=[
        "no Kafka",
        "stopped",
        "paused",
        "settings refused",
        "no copy",
        "altered",
        "not readable",
        "silent node",
        "joining node",
    ],
)
def test_faults_each_is_named(status: dict[str, Any], text: str) -> None:
    """Everything that is wrong is said."""
    assert any(text in fault for fault in faults(status))


def test_status_tables_print_everything() -> None:
    """Nodes, indexes, shards, processes and faults are all printed, and brackets are no markup."""
    console = Console(width=160)
    status = make_status(reason="[x]", state="paused")
    status["log"]["skipped"] = {"miroir.dead": 3}
    with console.capture() as captured:
        console.print(status_tables(status, [ProcessId("query", 7, "t")], shards=True, kafka="h:9"))

    text = captured.get()
    for wanted in (
        "n1",
        "films",
        "miroir.docs.films",
        "query 7",
        "dead letters 1",
        "paused: [x]",
        "attempt",
        "log h:9",
        "3 records of miroir.dead cannot be read",
    ):
        assert wanted in text
