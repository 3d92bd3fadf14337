"""A node's documents, and a node's refusals."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from agents.sampling import digest
from miroir.comparison import node_digest
from miroir.ports import HOST, free_port
from miroir.replica_documents import PAGE, PAGE_WITH_VECTORS, ReplicaDocuments
from schemas.config import parse_settings
from schemas.errors import NodeError, NodeForgotError, NodeRejectedError, NodeUnreachableError
from schemas.events import IndexRecord, NodeRecord
from schemas.ids import Incarnation, IndexUid, NodeId, SettingsVersion, ShardId
from schemas.keys import derive_key

SETTINGS = parse_settings({"MIROIR_NODE_MASTER_KEY": "a master key of enough bytes"})
INDEX = IndexRecord(
    IndexUid("films"), Incarnation(3), "miroir.docs.films", 2, 2, SettingsVersion(3), 0, 0, primary_key="id"
)
DOCUMENTS = [{"id": number} for number in range(PAGE + 7)]


@pytest.fixture
async def node() -> AsyncIterator[NodeRecord]:
    """A node that holds the documents in shard 1 and one outside; an index ``broken`` fails."""

    async def fetch(request: web.Request) -> web.Response:
        key = derive_key(SETTINGS.node_master_key.get_secret_value(), "the uid")
        if request.headers["Authorization"] != f"Bearer {key}":
            return web.json_response({"code": "invalid_api_key"}, status=403)
        body = await request.json()
        if "ids" in body:
            named = [each for each in DOCUMENTS if str(each["id"]) in set(body["ids"])]
            return web.json_response({"results": shown(named[: body["limit"]], body), "total": len(named)})
        if " NOT IN " in body["filter"]:
            return web.json_response({"results": [{}], "total": 1})
        page = DOCUMENTS[body["offset"] : body["offset"] + body["limit"]]
        return web.json_response({"results": shown(page, body), "total": len(DOCUMENTS)})

    def shown(page: list[dict[str, int]], body: dict[str, Any]) -> list[dict[str, Any]]:
        if not body.get("retrieveVectors"):
            return page
        return [{**each, "_vectors": {"own": {"embeddings": [[each["id"]]], "regenerate": False}}} for each in page]

    app = web.Application()
    app.router.add_post("/indexes/films__3/documents/fetch", fetch)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, HOST, port).start()
    yield NodeRecord(NodeId("n1"), f"http://{HOST}:{port}/", worker_key="the uid")
    await runner.cleanup()


async def test_of_shard_more_than_a_page_is_read_whole(node: NodeRecord) -> None:
    """Every page is read, and each document is told by its digest."""
    async with ReplicaDocuments(SETTINGS) as documents:
        found = [page async for page in documents.of_shard(INDEX, ShardId(1), node)]

    assert [len(page) for page in found] == [PAGE, 7]
    assert {**found[0], **found[1]} == {str(each["id"]): digest(each) for each in DOCUMENTS}


async def test_of_shard_with_embedders_asks_for_vectors(node: NodeRecord) -> None:
    """In smaller pages; no vectors are asked for where there are no embedders."""
    async with ReplicaDocuments(SETTINGS) as documents:
        asked = documents.of_shard(INDEX, ShardId(1), node, embedders={"own": False})
        found = [page async for page in asked]

    assert max(map(len, found)) == PAGE_WITH_VECTORS
    assert {key: value for page in found for key, value in page.items()} == {
        str(each["id"]): node_digest({**each, "_vectors": {"own": [each["id"]]}}, {"own": False}) for each in DOCUMENTS
    }


async def test_of_ids_asks_for_these_alone(node: NodeRecord) -> None:
    """However many; those that are not there are left out."""
    wanted = DOCUMENTS[: PAGE + 2]
    async with ReplicaDocuments(SETTINGS) as documents:
        asked = {*(str(each["id"]) for each in wanted), "nobody"}
        found = [page async for page in documents.of_ids(INDEX, asked, node)]

    assert max(map(len, found)) <= PAGE
    assert {key: value for page in found for key, value in page.items()} == {
        str(each["id"]): digest(each) for each in wanted
    }


async def test_of_ids_with_embedders_asks_for_vectors(node: NodeRecord) -> None:
    """In smaller pages, too."""
    wanted = DOCUMENTS[: PAGE_WITH_VECTORS + 2]
    async with ReplicaDocuments(SETTINGS) as documents:
        asked = documents.of_ids(INDEX, {str(each["id"]) for each in wanted}, node, embedders={"own": False})
        found = [page async for page in asked]

    assert [len(page) for page in found] == [PAGE_WITH_VECTORS, 2]
    assert {key: value for page in found for key, value in page.items()} == {
        str(each["id"]): node_digest({**each, "_vectors": {"own": [each["id"]]}}, {"own": False}) for each in wanted
    }


async def test_count_outside_asks_for_the_others(node: NodeRecord) -> None:
    """Documents of no shard placed there are counted."""
    async with ReplicaDocuments(SETTINGS) as documents:
        assert await documents.count_outside(INDEX, [ShardId(1)], node) == 1


async def test_of_shard_refusals_are_told_apart(node: NodeRecord) -> None:
    """A node that lost its disk, one that refuses, and one that is away are three errors."""
    forgot = NodeRecord(node.id, node.url, worker_key="another uid")
    elsewhere = IndexRecord(IndexUid("other"), Incarnation(4), "t", 2, 2, SettingsVersion(4), 0, 0, primary_key="id")
    away = NodeRecord(node.id, f"http://{HOST}:{free_port()}", worker_key="the uid")
    cases: list[tuple[IndexRecord, NodeRecord, type[NodeError]]] = [
        (INDEX, forgot, NodeForgotError),
        (elsewhere, node, NodeRejectedError),
        (INDEX, away, NodeUnreachableError),
    ]
    async with ReplicaDocuments(SETTINGS) as documents:
        for index, asked, error in cases:
            with pytest.raises(error):
                await anext(documents.of_shard(index, ShardId(1), asked))
