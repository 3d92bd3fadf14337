"""Whatever is wrong gets a clear error, costs only itself, and nothing of what is good is lost.

What producers to Kafka do wrong is in ``test_producers.py``.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from miroir.broker import EmbeddedBroker
from miroir.verify import Verifier
from schemas.ids import IndexUid, NodeId, ShardId
from schemas.requests import AddNode
from tests.integration.api import Api, running_service
from tests.integration.cluster import Cluster
from tests.integration.waiting import freeze, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = 60
JSON = {"Content-Type": "application/json"}
SETTINGS = {"MIROIR_PRODUCE_TIMEOUT_S": "2", "MIROIR_SEARCH_TIMEOUT_S": "2"}
"""Somebody waits for each refusal."""

REFUSED: list[tuple[bytes, int, str]] = [
    (b"{", 400, "malformed_payload"),
    (b"[1]", 400, "malformed_payload"),
    (b"null", 400, "malformed_payload"),
    (b'"text"', 400, "malformed_payload"),
    (b"", 400, "missing_payload"),
    (b'[{"id":1,"a":"\\ud800"}]', 400, "malformed_payload"),
    (b'[{"id":1},{"id":2,"_miroir":1}]', 400, "invalid_document_fields"),
    (b'[{"id":1},{"id":2,"n":18446744073709551616}]', 400, "invalid_document_fields"),
    (b'[{"id":1},{"id":2,"text":"' + b"x" * 17_000_000 + b'"}]', 413, "payload_too_large"),
]
"""Bodies that are refused at once, with status and code."""

FAILED: list[tuple[bytes, str]] = [
    (b'[{"id":1},{"id":1.5}]', "invalid_document_id"),
    (b'[{"id":1},{"id":true}]', "invalid_document_id"),
    (b'[{"id":1},{"id":{"deep":[1]}}]', "invalid_document_id"),
    (b'[{"id":1},{"id":"bad characters!"}]', "invalid_document_id"),
    (b'[{"id":1},{"id":"' + b"x" * 512 + b'"}]', "invalid_document_id"),
    (b'[{"id":1},{"id":18446744073709551616}]', "invalid_document_id"),
    (b'[{"id":1},{"title":"no id"}]', "missing_document_id"),
]
"""Bodies that fail as a task does in Meilisearch: all of the post, with the task's code."""

ASKED_WRONGLY: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/indexes/films/documents?foo=1", [], 400, "bad_request"),
    ("GET", "/indexes/films/search?foo=1", None, 400, "bad_request"),
    ("GET", "/tasks?foo=1", None, 400, "bad_request"),
    ("POST", "/indexes/films/search", {"limit": "ten"}, 400, "invalid_search_limit"),
    ("POST", "/indexes/films/search", {"q": 7}, 400, "invalid_search_q"),
    ("POST", "/indexes/films/search", {"foo": 1}, 400, "bad_request"),
    ("POST", "/indexes/films/search", [], 400, "bad_request"),
    ("POST", "/indexes/nope/search", {}, 404, "index_not_found"),
    ("GET", "/indexes/films/documents/nope", None, 404, "document_not_found"),
    ("PATCH", "/indexes/films/settings", {"stopWords": 7}, 400, "invalid_settings_stop_words"),
]
"""Other requests that are wrong, with status and code."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(
    tmp_path_factory: pytest.TempPathFactory,
    node_binary: str | None,  # noqa: ARG001 - a log of its own for each kind of nodes
) -> AsyncIterator[EmbeddedBroker]:
    """A broker whose process can be frozen."""
    running = EmbeddedBroker(tmp_path_factory.mktemp("broker") / "broker.log")
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory, node_binary: str | None
) -> AsyncIterator[Cluster]:
    """Two nodes and a worker; an index each of whose shards stands on one node only."""
    directory = tmp_path_factory.mktemp("bad-input")
    async with Cluster(directory, nodes=2, node_binary=node_binary, kafka=broker.config, settings=SETTINGS) as running:
        await running.create_index("films", replication=1)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """A service over it, and documents that every test must find again."""
    async with running_service(cluster.settings) as ready:
        documents = [{"id": 1000 + number, "title": f"film {number}"} for number in range(DOCUMENTS)]
        await ready.finished(await ready.write("POST", "/indexes/films/documents", documents))
        yield ready


async def test_bad_posts_are_refused_whole_and_leave_nothing_behind(api: Api) -> None:
    """Each says what is wrong; no document of the post is there afterwards, and every other still is."""
    answers = [await api.call("POST", "/indexes/films/documents", raw=raw, headers=JSON) for raw, _, _ in REFUSED]
    tasks = [await api.call("POST", "/indexes/films/documents", raw=raw, headers=JSON) for raw, _ in FAILED]
    failed = [await api.finished(task["taskUid"]) for _, task, _ in tasks]

    assert [(status, body["code"]) for status, body, _ in answers] == [(status, code) for _, status, code in REFUSED]
    assert [(task["status"], task["error"]["code"]) for task in failed] == [("failed", code) for _, code in FAILED]
    assert {task["details"]["indexedDocuments"] for task in failed} == {0}
    assert [(await api.call("GET", f"/indexes/films/documents/{each}"))[0] for each in (1, 2)] == [404, 404]
    assert await api.total("films") >= DOCUMENTS


async def test_other_wrong_requests_say_what_is_wrong(api: Api) -> None:
    """Unknown parameters and fields, wrong types, names that are not there: Meilisearch's own codes."""
    answers = [await api.call(method, path, body) for method, path, body, _, _ in ASKED_WRONGLY]

    assert [(status, body["code"]) for status, body, _ in answers] == [each[3:] for each in ASKED_WRONGLY]


async def test_odd_documents_come_back_as_they_went_in(api: Api) -> None:
    """Integers up to 64 bits are exact, of a name given twice the last value counts, and ours is let be inside."""
    raw = b'[{"id":9007199254740993,"n":18446744073709551615,"m":-9223372036854775808,"a":1,"a":{"_miroir":2}}]'
    status, task, _ = await api.call("POST", "/indexes/films/documents", raw=raw, headers=JSON)
    assert status == 202
    await api.finished(task["taskUid"])

    _, found, _ = await api.call("GET", "/indexes/films/documents/9007199254740993")
    await api.finished(await api.write("DELETE", "/indexes/films/documents/9007199254740993"))

    assert found == orjson.loads(raw)[0]


async def test_node_that_serves_another_cluster_or_is_too_old_cannot_be_added(
    cluster: Cluster, tmp_path: Path, node_binary: str | None
) -> None:
    """Its own keys tell whose it is, whoever knows its master key; both clusters are as they were."""
    async with Cluster(tmp_path, nodes=1, node_binary=node_binary) as other:
        old = other.make_node("old")
        other.nodes.append(old)
        await old.start()
        await old.upgrade("1.25.9" if old.is_embedded else "", keeps_disk=True)

        taken = await other.request(AddNode(NodeId("taken"), cluster.nodes[0].url))
        joined = await other.request(AddNode(old.id, old.url))

        assert (taken.accepted, taken.code) == (False, "node_of_another_cluster")
        assert "give the node an empty data directory" in taken.message
        if old.is_embedded:
            assert (joined.accepted, joined.code) == (False, "node_too_old")
            assert set(other.view.topology.nodes) == {"node-1"}
    assert await cluster.readable(await cluster.index("films"), ShardId(0))


async def test_kafka_away_refuses_writes_and_searches_go_on(broker: EmbeddedBroker, api: Api) -> None:
    """503 with ``Retry-After`` while the broker hangs; when it is back, the same post is taken."""
    assert broker.pid is not None
    post = ("POST", "/indexes/films/documents", [{"id": 2000, "title": "after"}])
    freeze(broker.pid)
    try:
        writes = await asyncio.gather(
            api.call(*post),
            api.call("POST", "/indexes", {"uid": "new"}),
            api.call("DELETE", "/indexes/films/documents/1000"),
        )
        found = await api.total("films")
        health, _, _ = await api.call("GET", "/health")
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert [(status, body["code"]) for status, body, _ in writes] == [(503, "miroir_log_unavailable")] * 3
    assert all(headers["Retry-After"] for _, _, headers in writes)
    assert (found >= DOCUMENTS, health) == (True, 200)

    async def is_taken() -> dict[str, Any] | None:
        status, task, _ = await api.call(*post)
        return task if status == 202 else None

    task = await until(is_taken, "a post to be taken again")
    assert (await api.finished(task["taskUid"]))["status"] == "succeeded"


async def test_all_copies_of_a_shard_away_is_told(cluster: Cluster, api: Api) -> None:
    """503 that names the shards, or, where asked for, the rest with ``X-Miroir-Degraded``; whole again afterwards."""
    before = await api.total("films")
    victim = cluster.nodes[0]
    await victim.kill()
    try:
        refused, error, told = await api.call("POST", "/indexes/films/search", {})
        partly = await api.call("POST", "/indexes/films/search", {"limit": 0}, headers={"X-Miroir-Partial": "true"})
    finally:
        await victim.start()

    assert (refused, error["code"]) == (503, "miroir_shard_unavailable")
    assert told["Retry-After"]
    assert partly[0] == 200
    missing = partly[1]["_miroir"]["coverage"]["missing"]
    assert partly[2]["X-Miroir-Degraded"] == f"shards={','.join(map(str, missing))}"
    assert 0 < len(missing) < 4
    assert partly[1]["estimatedTotalHits"] < before

    async def is_whole() -> bool:
        status, answer, headers = await api.call("POST", "/indexes/films/search", {"limit": 0})
        whole = status == 200 and "X-Miroir-Degraded" not in headers
        return whole and bool(answer["estimatedTotalHits"] == before)

    await until(is_whole, "whole answers")


async def test_all_documents_deleted_are_gone_everywhere(cluster: Cluster, api: Api) -> None:
    """Whatever was acknowledged before goes, visible or not; what is posted afterwards stays."""
    index = await cluster.create_index("emptied", replication=2)
    for start in range(0, 300, 100):
        documents = [{"id": start + number} for number in range(100)]
        last = await api.write("POST", "/indexes/emptied/documents", documents)
    deleted = await api.write("DELETE", "/indexes/emptied/documents")
    after = await api.write("POST", "/indexes/emptied/documents", [{"id": 5, "title": "after"}])
    tasks = [await api.finished(uid) for uid in (last, deleted, after)]

    assert [task["status"] for task in tasks] == ["succeeded"] * 3
    assert tasks[1]["details"] == {"deletedDocuments": 300}
    await cluster.compare(index, {"5": {"id": 5, "title": "after"}})


async def test_nested_primary_key_is_a_primary_key(cluster: Cluster, api: Api) -> None:
    """``product.id`` is found inside objects and as a field's name, read, replaced, deleted, and verified by."""
    path = "/indexes/nested/documents"
    documents = [{"product": {"id": number}, "text": "old"} for number in range(10)]
    task = await api.finished(await api.write("POST", f"{path}?primaryKey=product.id", documents))
    assert task["status"] == "succeeded", task
    await api.write("POST", path, [{"product.id": 3, "text": "new"}])
    await api.finished(await api.write("DELETE", f"{path}/4"))

    found = [(await api.call("GET", f"{path}/{number}"))[:2] for number in (2, 3, 4)]
    await cluster.caught_up(await cluster.index("nested"))
    async with Verifier(cluster.settings) as verifier:
        report = await verifier.run(index=IndexUid("nested"))

    assert found[0] == (200, documents[2])
    assert found[1] == (200, {"product.id": 3, "text": "new"})
    assert found[2][0] == 404
    assert (report.verified, report.documents) == (True, 2 * 9)
