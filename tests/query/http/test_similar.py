"""The similar routes, and searches by similarity, over nodes in memory."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.query.http.stand import Stand

SIMILAR = "/indexes/things/similar"


@pytest_asyncio.fixture
async def stand() -> AsyncIterator[Stand]:
    """Things on a line, numbered by their places; the fifth has no vector."""
    async with Stand() as running:
        await load_things(running)
        yield running


async def load_things(stand: Stand) -> None:
    """Make the index and wait until it can be searched."""
    body = {"kind": "create_index", "uid": "things", "primary_key": "id", "shards": 4, "replication": 1}
    await stand.call("POST", "/_miroir/requests", body)
    embedders = {"e": {"source": "userProvided", "dimensions": 2}}
    await stand.finished(await stand.call("PATCH", "/indexes/things/settings", {"embedders": embedders}))
    await stand.finished(await stand.call("POST", "/indexes/things/documents", [_thing(n) for n in range(10)]))


def _thing(number: int) -> dict[str, Any]:
    vectors = [] if number == 5 else [[0.0, float(number)]]
    return {"id": number, "title": f"thing {number}", "_vectors": {"e": {"regenerate": False, "embeddings": vectors}}}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", SIMILAR, {"id": 2, "embedder": "e", "limit": 3, "attributesToRetrieve": ["id"]}),
        ("GET", f"{SIMILAR}?id=2&embedder=e&limit=3&attributesToRetrieve=id", None),
    ],
)
async def test_similar_documents_are_the_nearest_of_all_nodes(stand: Stand, method: str, path: str, body: Any) -> None:
    """Without the document itself, vectors and markers."""
    found = await stand.call(method, path, body)

    assert {hit["id"] for hit in found.body["hits"][:2]} == {1, 3}
    assert [set(hit) for hit in found.body["hits"]] == [{"id"}] * 3
    assert (found.body["id"], found.body["estimatedTotalHits"]) == ("2", 9)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"id": 99, "embedder": "e"}, (400, "not_found_similar_id")),
        ({"id": 2, "embedder": "x"}, (400, "invalid_similar_embedder")),
        ({"id": 2}, (400, "bad_request")),
        ({"id": 2, "embedder": "e", "showPerformanceDetails": True}, (501, "miroir_not_supported")),
    ],
)
async def test_similar_documents_that_cannot_be_found_are_refused(
    stand: Stand, body: Any, error: tuple[int, str]
) -> None:
    """With Meilisearch's own codes."""
    assert (await stand.call("POST", SIMILAR, body)).error == error


async def test_nothing_is_similar_to_a_document_without_a_vector(stand: Stand) -> None:
    """It is no error."""
    found = await stand.call("POST", SIMILAR, {"id": 5, "embedder": "e"})

    assert (found.status, found.body["hits"], found.body["estimatedTotalHits"]) == (200, [], 9)


async def test_similar_in_an_index_that_ranks_otherwise_says_so(stand: Stand) -> None:
    """A rule of the index's own would order a search before similarity does."""
    rules = {"rankingRules": ["id:desc", "words"]}
    await stand.finished(await stand.call("PATCH", "/indexes/things/settings", rules))

    assert (await stand.call("POST", SIMILAR, {"id": 2, "embedder": "e"})).error == (501, "miroir_not_supported")


async def test_search_by_words_and_similarity_fuses_both(stand: Stand) -> None:
    """Words find all alike; a text that few hold leaves the rest to similarity."""
    body = {"q": "thing 7", "hybrid": {"embedder": "e"}, "vector": [0, 1], "limit": 4}

    found = await stand.call("POST", "/indexes/things/search", body)

    assert [hit["id"] for hit in found.body["hits"]][:2] == [1, 7]
    assert found.body["semanticHitCount"] == 3
    assert all("_vectors" not in hit for hit in found.body["hits"])


async def test_vectors_show_where_they_are_asked_for(stand: Stand) -> None:
    """In hits as in documents; a field list does not hide them."""
    search = {"hybrid": {"embedder": "e"}, "vector": [0, 3], "limit": 1, "retrieveVectors": True}
    fetch = {"ids": [3], "fields": ["id"], "retrieveVectors": True}

    hits = (await stand.call("POST", "/indexes/things/search", search)).body["hits"]
    listed = (await stand.call("POST", "/indexes/things/documents/fetch", fetch)).body["results"]

    assert hits == [_thing(3)]
    assert listed == [{"id": 3, "_vectors": _thing(3)["_vectors"]}]
