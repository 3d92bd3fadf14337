"""Miroir's own routes."""

import pytest

from schemas.events import IndexState
from schemas.ids import Partition
from streams.log import Append
from streams.topics import TASKS
from tests.query.http.stand import STEP_S, Stand, dead_letter


async def test_status_shows_nodes_indexes_and_every_copy(stand: Stand) -> None:
    """The command line prints what stands here."""
    await stand.films(20)
    await stand.nodes["b"].stop()
    health = stand.service.health
    health.fail(stand.service.views.topology.replicas_on("b")[0].node, "stopped")  # type: ignore[arg-type]  # NodeId is str

    body = (await stand.call("GET", "/_miroir/status")).body

    (index,) = body["indexes"]
    copies = [copy for shard in index["shards"] for copy in shard["replicas"]]
    assert (body["ready"], body["requests_cursor"]) == (True, 1)
    assert {node["id"]: node["answers"] for node in body["nodes"]} == {"a": True, "b": False, "c": True}
    assert (index["uid"], index["state"], index["reason"]) == ("films", IndexState.ACTIVE, "")
    assert len(copies) == 8
    assert all(copy["readable"] and copy["lag_records"] == 0 for copy in copies)
    assert sum(shard["replicas"][0]["cursor"] for shard in index["shards"]) == 20


async def test_status_of_a_copy_never_seen_has_no_progress(stand: Stand) -> None:
    """What is not known is null, not nought."""
    stand.reports = False
    await stand.call("POST", "/_miroir/requests", {"kind": "create_index", "uid": "films", "shards": 1})

    (index,) = (await stand.call("GET", "/_miroir/status")).body["indexes"]

    assert {copy["cursor"] for copy in index["shards"][0]["replicas"]} == {None}
    assert not index["shards"][0]["readable"]


async def test_status_counts_records_that_cannot_be_read(stand: Stand) -> None:
    """By topic, none to begin with; the cluster topic is not among them: there folding stops."""
    before = await stand.call("GET", "/_miroir/status")
    stand.log.append(Append(TASKS, Partition(0), None, b"no task"))
    await stand.until(lambda: stand.service.views.skipped)
    after = await stand.call("GET", "/_miroir/status")

    assert (before.body["log"]["skipped"], after.body["log"]["skipped"]) == ({}, {TASKS: 1})
    assert (after.body["log"]["stopped"], after.body["log"]["connected"]) == ("", True)


async def test_request_is_answered_with_what_became_of_it(stand: Stand) -> None:
    """Any request of the log's own form is appended and waited for; its answer can be asked for again."""
    wanted = {"kind": "create_index", "uid": "films", "shards": 2, "replication": 1}

    accepted = await stand.call("POST", "/_miroir/requests", wanted)
    refused = await stand.call("POST", "/_miroir/requests", wanted)
    again = await stand.call("GET", f"/_miroir/requests/{refused.body['offset']}")

    assert accepted.body == {"offset": 0, "accepted": True, "code": "", "message": ""}
    assert (refused.body["accepted"], refused.body["code"]) == (False, "index_already_exists")
    assert again.body == {**refused.body, "decided": True}


async def test_request_that_nobody_answers_is_202(stand: Stand) -> None:
    """The request stays in the log; the caller learns its offset."""
    stand.controls = False

    reply = await stand.call("POST", "/_miroir/requests?timeout_s=0", {"kind": "rebuild_node", "id": "a"})
    later = await stand.call("GET", "/_miroir/requests/0")

    assert (reply.status, reply.body["accepted"], reply.body["offset"]) == (202, None, 0)
    assert (later.body["accepted"], later.body["decided"]) == (None, False)


@pytest.mark.parametrize("raw", [b"{", b'{"kind":"nope"}', b'{"kind":"delete_index"}'])
async def test_request_of_another_form_is_400(stand: Stand, raw: bytes) -> None:
    """Only what the controller can read is appended."""
    reply = await stand.call("POST", "/_miroir/requests", raw=raw)

    assert reply.status == 400
    assert not stand.log.records("miroir.requests")


async def test_dead_letters_are_listed_newest_first(stand: Stand) -> None:
    """Lists have a window, and an index to ask for."""
    index = await stand.films(1)
    for offset in range(3):
        stand.put_dead(dead_letter(index, 0, offset))
    views = stand.service.views
    await views.wait_for(lambda: len(views.dead) == 3 or None, timeout_s=60.0)

    page = (await stand.call("GET", "/_miroir/dead?limit=2&index=films")).body
    other = (await stand.call("GET", "/_miroir/dead?index=other")).body

    assert [letter["offset"] for letter in page["results"]] == [2, 1]
    assert (page["total"], other["total"]) == (3, 0)
    assert page["results"][0]["message"] == "record 2 is bad"


async def test_metrics_show_what_one_looks_at_first(stand: Stand) -> None:
    """Searches of every kind, latency by node, lag, copies that cannot be read, dead letters."""
    index = await stand.films(5)
    stand.put_dead(dead_letter(index, 0, 0))
    await stand.call("POST", "/indexes/films/search", {})
    await stand.call("POST", "/indexes/films/search", {"filter": "a = 1"})
    for queries in ([{"indexUid": "films"}], [{"indexUid": "films", "filter": "a = 1"}]):
        await stand.call("POST", "/multi-search", {"federation": {}, "queries": queries})
    await stand.call("POST", "/indexes/films/similar", {"id": 1, "embedder": "none"})
    await stand.service.views.wait_for(lambda: len(stand.service.views.dead) or None, timeout_s=STEP_S * 100)

    async with stand.client.get("/metrics") as response:
        text = await response.text()

    for line in (
        'miroir_searches_total{outcome="ok"} 2.0',
        'miroir_searches_total{outcome="refused"} 3.0',
        "miroir_documents_produced_total 5.0",
        'miroir_replicas_not_readable{index="films"} 0.0',
        'miroir_dead_letters{index="films"} 1.0',
        "miroir_nodes_away 0.0",
    ):
        assert line in text
    assert "miroir_node_search_seconds_bucket" in text
    assert 'miroir_replica_lag_records{index="films"' in text
