"""A query service over a whole cluster: what a client of Meilisearch's API sees while nodes come and go."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from schemas.ids import node_index_uid
from tests.integration.api import Api, running_service
from tests.integration.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = 1000
SEARCHERS = 4
SEARCHES_AFTER = 60
"""Of all searchers, once the node is hurt."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, node_binary: str | None) -> AsyncIterator[Cluster]:
    """Three nodes and a worker."""
    directory: Path = tmp_path_factory.mktemp("query")
    async with Cluster(directory, node_binary=node_binary) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    """A service in this process, ready, over the cluster's log, with an index of many documents."""
    async with running_service(cluster.settings) as ready:
        lines = b"\n".join(orjson.dumps({"id": number, "title": f"film {number}"}) for number in range(DOCUMENTS))
        task = await ready.finished(await ready.write("POST", "/indexes/films/documents", raw=lines))
        assert task["status"] == "succeeded", task
        # The task needs one readable copy of each shard; whoever means to hurt a node needs two.
        await cluster.caught_up(await cluster.index("films"))
        yield ready


async def test_searches_while_a_node_is_frozen_and_killed_are_whole(cluster: Cluster, api: Api) -> None:
    """No search fails and none is incomplete, from the moment of the fault on; writes become visible all the same."""
    victim = cluster.nodes[0]
    hurt = asyncio.Event()
    totals: list[int] = []

    async def search(number: int) -> None:
        after = 0
        while after < SEARCHES_AFTER:
            totals.append(await api.total("films", q="film", limit=number))
            after += hurt.is_set()

    async def hurt_it() -> None:
        victim.freeze()
        hurt.set()
        await cluster.away(victim)
        victim.thaw()
        await victim.kill()

    async with asyncio.TaskGroup() as group:
        for number in range(SEARCHERS):
            group.create_task(search(number))
        group.create_task(hurt_it())
    task = await api.finished(await api.write("POST", "/indexes/films/documents", [{"id": 5000, "title": "late"}]))
    found = await api.total("films", q="late")
    await victim.start()

    assert set(totals) == {DOCUMENTS}
    assert (task["status"], found) == ("succeeded", 1)


async def test_write_is_read_with_its_token(api: Api) -> None:
    """A search that carries a write's token shows the write, whatever copy answers."""
    for number in range(5):
        status, _, headers = await api.call("POST", "/indexes/films/documents", [{"id": 6000, "title": f"v{number}x"}])
        assert status == 202
        token = {"X-Miroir-Token": headers["X-Miroir-Token"]}
        _, answer, _ = await api.call("POST", "/indexes/films/search", {"q": f"v{number}x"}, headers=token)
        assert [hit["title"] for hit in answer["hits"]] == [f"v{number}x"]


async def test_index_deleted_created_and_posted_to_at_once_is_the_new_one(api: Api) -> None:
    """Without waiting between, everything lands in order: create, settings, documents; nothing of the old index."""
    await api.finished(await api.write("POST", "/indexes/again/documents", [{"id": number} for number in range(20)]))

    await api.write("DELETE", "/indexes/again")
    await api.write("POST", "/indexes", {"uid": "again", "primaryKey": "id"})
    await api.write("PATCH", "/indexes/again/settings", {"filterableAttributes": ["id"]})
    task = await api.finished(await api.write("POST", "/indexes/again/documents", [{"id": 1}, {"id": 100}]))

    assert task["status"] == "succeeded"
    assert await api.total("again") == 2
    assert await api.total("again", filter="id > 50") == 1


async def test_posts_of_bad_documents_name_the_first_reason(cluster: Cluster, api: Api) -> None:
    """One record that no node takes fails the task, and only itself is missing."""
    documents: list[dict[str, Any]] = [{"id": 7000}, {"id": 7001, "_geo": "nowhere"}, {"id": 7002}]
    task = await api.finished(await api.write("POST", "/indexes/films/documents", documents))
    statuses = [(await api.call("GET", f"/indexes/films/documents/{each['id']}"))[0] for each in documents]
    letters = await cluster.dead_letters(await cluster.index("films"))

    assert (task["status"], task["details"]) == ("failed", {"receivedDocuments": 3, "indexedDocuments": 2})
    assert task["error"]["code"] == "invalid_document_geo_field"
    assert statuses == [200, 404, 200]
    assert len(letters) == 1


async def test_settings_that_a_node_refuses_leave_those_before_them_in_force(cluster: Cluster, api: Api) -> None:
    """Its own words fail the task, as in Meilisearch; settings, writes and searches go on as before."""
    await api.finished(await api.write("POST", "/indexes/places/documents", [{"id": number} for number in range(20)]))
    taken = await api.finished(await api.write("PATCH", "/indexes/places/settings", {"filterableAttributes": ["id"]}))
    index = await cluster.index("places")
    # Nothing of ours lets such a document through: it stands for whatever only a node can know.
    node = cluster.nodes[0]
    name = node_index_uid(index.uid, index.incarnation)
    await node.ask(f"/indexes/{name}/documents", [{"id": 99, "_geo": "nowhere"}])

    refused = await api.finished(await api.write("PATCH", "/indexes/places/settings", {"sortableAttributes": ["_geo"]}))
    _, settings, _ = await api.call("GET", "/indexes/places/settings")
    written = await api.finished(await api.write("POST", "/indexes/places/documents", [{"id": 100}]))

    assert (taken["status"], refused["status"], written["status"]) == ("succeeded", "failed", "succeeded")
    assert refused["error"]["code"] == "invalid_document_geo_field"
    assert "nowhere" in refused["error"]["message"]
    assert (settings["filterableAttributes"], settings["sortableAttributes"]) == (["id"], [])
    assert await api.total("places", filter="id = 100") == 1
