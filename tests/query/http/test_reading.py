"""The routes that read documents and counts from nodes."""

import asyncio
from dataclasses import replace

import pytest

from schemas.events import NodeRecord, NodeState, ReplicaState
from schemas.ids import IndexUid, NodeId, Position, ShardId, node_index_uid
from schemas.keys import derive_key
from streams.marker import marker_of
from tests.query.http.stand import NODE_KEY, SEARCH_KEYS, Stand, films

ESTIMATED = ["rawDocumentDbSize", "numberOfEmbeddings", "numberOfEmbeddedDocuments", "fieldDistribution"]


async def test_document_is_read_from_its_shard(stand: Stand) -> None:
    """Every document is found under its id, without the marker; asking for the marker shows nothing of it."""
    await stand.films(10)

    for number in range(10):
        reply = await stand.call("GET", f"/indexes/films/documents/{number}?fields=*")
        assert reply.body == films(10)[number]
    marker = await stand.call("GET", "/indexes/films/documents/1?fields=_miroir,id")
    assert marker.body == {"id": 1}
    for nothing in ("", "_miroir"):
        assert (await stand.call("GET", f"/indexes/films/documents/1?fields={nothing}")).body == {}


async def test_document_is_read_from_another_copy_when_a_node_is_gone(stand: Stand) -> None:
    """One copy is enough."""
    await stand.films(10)
    await stand.nodes["b"].stop()

    replies = [await stand.call("GET", f"/indexes/films/documents/{number}") for number in range(10)]

    assert [reply.body["id"] for reply in replies] == list(range(10))


@pytest.mark.parametrize("name", ["424242", "bad!id", "x%2Fy"])
async def test_document_that_is_not_there_is_404(stand: Stand, name: str) -> None:
    """An id that no document can have is just not found."""
    await stand.films(1)

    assert (await stand.call("GET", f"/indexes/films/documents/{name}")).error == (404, "document_not_found")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/indexes/films/documents/1?retrieveVectors=yes", (400, "invalid_document_retrieve_vectors")),
        ("/indexes/films/documents/1?nope=1", (400, "bad_request")),
        ("/indexes/nope/documents/1", (404, "index_not_found")),
        ("/indexes/nope/stats", (404, "index_not_found")),
    ],
)
async def test_reading_that_is_wrong_is_refused(stand: Stand, path: str, error: tuple[int, str]) -> None:
    """Parameters are judged before any node is asked."""
    await stand.films(1)

    assert (await stand.call("GET", path)).error == error


async def test_document_read_with_an_old_key_waits_for_the_record_that_replaced_it(stand: Stand) -> None:
    """A node that refuses the key makes the read wait for the newer view, and succeed with it."""
    await stand.films(replication=1)
    new = SEARCH_KEYS["d"]
    for node in stand.nodes.values():
        node.key = derive_key(NODE_KEY, new)

    async with asyncio.TaskGroup() as group:
        read = group.create_task(stand.call("GET", "/indexes/films/documents/3"))
        await stand.service.views.wait_for(lambda: stand.service.health.away or None, timeout_s=0.2)
        for name, node in stand.nodes.items():
            stand.put(NodeRecord(NodeId(name), node.url, state=NodeState.ACTIVE, worker_key="w", search_key=new))

    assert read.result().body["id"] == 3


async def test_documents_that_are_not_there_are_no_fault_of_the_nodes(stand: Stand) -> None:
    """Asking for what is not there, however often, takes no node away."""
    await stand.films(3)
    for number in range(100, 112):
        await stand.call("GET", f"/indexes/films/documents/{number}")

    assert not stand.service.health.away


async def test_stats_count_every_document_once(stand: Stand) -> None:
    """Copies are not counted twice, and the marker is no field."""
    await stand.films(30)

    one = (await stand.call("GET", "/indexes/films/stats")).body
    whole = (await stand.call("GET", "/stats")).body

    assert one["numberOfDocuments"] == 30
    assert one["fieldDistribution"] == {"genre": 30, "id": 30, "title": 30}
    assert whole["indexes"] == {"films": one}
    assert whole["databaseSize"] == 300


async def test_stats_of_lagging_copies_say_so(stand: Stand) -> None:
    """Where some copy is behind the log, the shards are named, and what is only estimated."""
    await stand.films(30)
    exact = (await stand.call("GET", "/indexes/films/stats")).body
    index = stand.service.views.topology.index(IndexUid("films"))
    (replica, *_) = stand.service.views.topology.replicas_of(index.uid, ShardId(1))
    seen = stand.service.views.progress.of(replica)
    assert seen is not None
    await stand.see(replica, end=Position(seen.end + 1))

    marked = (await stand.call("GET", "/indexes/films/stats")).body

    assert "_miroir" not in exact
    assert marked == {**exact, "_miroir": {"lagging": [1], "estimated": ESTIMATED}}


async def test_stats_beside_a_copy_that_leaves_say_so(stand: Stand) -> None:
    """A node counts what it still holds of a copy that is being dropped, whoever else has it."""
    index = await stand.films(30, shards=4, replication=2)
    views = stand.service.views
    shard = next(ShardId(shard) for shard in range(4) if not stand.shard_on("c", shard))
    placed = views.topology.replicas_of(index.uid, shard)[0]
    name = node_index_uid(index.uid, index.incarnation)
    other, dropped = stand.nodes[placed.node].documents[name], stand.nodes["c"].documents[name]
    dropped |= {key: document for key, document in other.items() if document["_miroir"] == marker_of(shard)}
    assert "_miroir" not in (await stand.call("GET", "/indexes/films/stats")).body

    stand.put(replace(placed, node=NodeId("c"), state=ReplicaState.LEAVING))
    await stand.until(lambda: views.topology.leaving)
    marked = (await stand.call("GET", "/indexes/films/stats")).body

    assert marked["numberOfDocuments"] == 30
    assert marked["_miroir"] == {"lagging": [], "estimated": ESTIMATED}


async def test_reading_with_a_shard_lost_is_503(stand: Stand) -> None:
    """A count or a list without some shard would be wrong."""
    await stand.films(10)
    for node in stand.nodes.values():
        await node.stop()

    for path in ("/indexes/films/documents", "/indexes/films/stats", "/indexes/films/documents/1"):
        assert (await stand.call("GET", path)).error == (503, "miroir_shard_unavailable")
