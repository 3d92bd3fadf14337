"""Listing documents over shards."""

import asyncio
from typing import Any

import pytest

from query.ejection import FAULTS_MAX
from schemas.keys import derive_key
from tests.query.http.stand import NODE_KEY, SEARCH_KEYS, Stand, films
from tests.query.http.stub_node import shards_of


async def test_documents_are_listed_once_each_in_pages(stand: Stand) -> None:
    """Pages line up to all documents, by GET and by POST."""
    await stand.films(25)
    by_get: list[int] = []
    by_post: list[int] = []
    for offset in range(0, 30, 10):
        listed = await stand.call("GET", f"/indexes/films/documents?limit=10&offset={offset}&fields=id")
        fetched = await stand.call("POST", "/indexes/films/documents/fetch", {"limit": 10, "offset": offset})
        assert listed.body["total"] == fetched.body["total"] == 25
        by_get += [document["id"] for document in listed.body["results"]]
        by_post += [document["id"] for document in fetched.body["results"]]
        assert all("_miroir" not in document for document in fetched.body["results"])

    assert sorted(by_get) == list(range(25))
    assert by_get == by_post


async def test_page_asks_only_the_shards_it_touches(stand: Stand) -> None:
    """Every shard is counted, but documents are asked of those on the page alone, from where they begin there."""
    await stand.films(200)
    await stand.call("GET", "/indexes/films/documents?limit=3&offset=1")

    asked = [body for node in stand.nodes.values() for body in node.fetches if body["limit"]]

    assert [(shards_of(body), body["offset"], body["limit"]) for body in asked] == [([0], 1, 3)]


async def test_page_over_a_node_that_goes_is_whole(stand: Stand) -> None:
    """Pages go on from other copies, without a document missing or twice."""
    await stand.films(40)
    first = await stand.call("GET", "/indexes/films/documents?limit=20")
    await stand.nodes["a"].stop()
    second = await stand.call("GET", "/indexes/films/documents?limit=20&offset=20")

    ids = [document["id"] for reply in (first, second) for document in reply.body["results"]]
    assert sorted(ids) == list(range(40))


async def test_index_of_many_shards_is_listed_node_after_node(stand: Stand) -> None:
    """Counting hundreds of shards one by one would cost too many requests; every document shows once all the same."""
    await stand.films(50, shards=70)
    ids: list[int] = []
    for offset in range(0, 60, 20):
        reply = await stand.call("GET", f"/indexes/films/documents?limit=20&offset={offset}")
        ids += [document["id"] for document in reply.body["results"]]

    assert sorted(ids) == list(range(50))
    assert sum(len(node.fetches) for node in stand.nodes.values()) < 20


async def test_list_of_many_shards_is_whole_where_a_node_fails_between_counting_and_reading(stand: Stand) -> None:
    """What it was asked for is then with several nodes, cut otherwise: the page begins anew."""
    index = await stand.films(50, shards=70)
    service = stand.service
    first, second, *_ = service.route(index, service.readable(index), 0).parts
    held = stand.nodes[second.node].held = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        listed = group.create_task(stand.call("GET", "/indexes/films/documents?limit=100"))
        await stand.until_held(second.node)
        await stand.nodes[first.node].stop()
        held.set()

    reply = listed.result()
    assert (reply.status, reply.body["total"]) == (200, 50), reply.body
    assert sorted(document["id"] for document in reply.body["results"]) == list(range(50))


@pytest.mark.parametrize("shards", [4, 70])
async def test_page_too_large_to_be_read_is_refused_and_nobody_blamed(stand: Stand, shards: int) -> None:
    """Elsewhere it would be as large: one such page after another took every node away."""
    await stand.films(50, shards=shards)
    for node in stand.nodes.values():
        node.overlong = True

    for _ in range(FAULTS_MAX):
        listed = await stand.call("GET", "/indexes/films/documents?limit=100000000")
        assert listed.error == (413, "payload_too_large")
        assert "smaller `limit`" in listed.body["message"]

    assert not stand.service.health.away


async def test_documents_are_fetched_by_ids_from_their_own_shards(stand: Stand) -> None:
    """A list of ids gives those that exist, once each, in order, without asking shards that can have none of them."""
    await stand.films(5)

    fetched = await stand.call("POST", "/indexes/films/documents/fetch", {"ids": [3, 1, 99, "3"]})
    page = await stand.call("GET", "/indexes/films/documents?ids=3,1,99&limit=1&offset=1&fields=title")

    assert [document["id"] for document in fetched.body["results"]] == [1, 3]
    assert fetched.body["total"] == 2
    assert page.body["results"] == [{"title": "film 3"}]


@pytest.mark.parametrize("sort", ["genre:asc,id:desc", "id:desc"])
async def test_documents_are_sorted_over_shards(stand: Stand, sort: str) -> None:
    """A sort is that of one list of all documents, whatever fields are shown."""
    await stand.films(30)
    changed = await stand.call("PATCH", "/indexes/films/settings", {"sortableAttributes": ["genre", "id"]})
    await stand.finished(changed)
    expected = sorted(films(30), key=lambda film: -film["id"])
    if sort.startswith("genre"):
        expected.sort(key=lambda film: film["genre"])

    listed = await stand.call("GET", f"/indexes/films/documents?sort={sort}&limit=7&offset=9&fields=title")
    fetched = await stand.call("POST", "/indexes/films/documents/fetch", {"sort": sort.split(","), "limit": 100})

    assert listed.body["results"] == [{"title": film["title"]} for film in expected[9:16]]
    assert fetched.body["results"] == expected
    assert listed.body["total"] == fetched.body["total"] == 30


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("GET", "/indexes/films/documents?limit=a", None, (400, "invalid_document_limit")),
        ("GET", "/indexes/films/documents?filter=year%20%3E%201", None, (400, "invalid_document_filter")),
        ("GET", "/indexes/films/documents?sort=id:asc", None, (400, "invalid_document_sort")),
        ("GET", "/indexes/films/documents?sort=id", None, (400, "invalid_document_sort")),
        ("GET", "/indexes/films/documents?ids=a!b", None, (400, "invalid_document_ids")),
        ("POST", "/indexes/films/documents/fetch", {"limit": -1}, (400, "invalid_document_limit")),
        ("POST", "/indexes/films/documents/fetch", {"fields": "id"}, (400, "invalid_document_fields")),
        ("POST", "/indexes/films/documents/fetch", {"retrieveVectors": 1}, (400, "invalid_document_retrieve_vectors")),
        ("POST", "/indexes/films/documents/fetch", {"nope": 1}, (400, "bad_request")),
        ("POST", "/indexes/films/documents/fetch", {"useNetwork": True}, (501, "miroir_not_supported")),
        ("POST", "/indexes/films/documents/fetch", None, (415, "invalid_content_type")),
        ("GET", "/indexes/films/documents?sort=", None, (400, "invalid_document_sort")),
        ("GET", "/indexes/nope/documents", None, (404, "index_not_found")),
    ],
)
async def test_listing_that_is_wrong_is_refused(
    stand: Stand, method: str, path: str, body: Any, error: tuple[int, str]
) -> None:
    """Parameters and fields are judged before any node is asked."""
    await stand.films(1)

    assert (await stand.call(method, path, body)).error == error
    assert not any(node.fetches for node in stand.nodes.values())


async def test_list_of_an_index_without_primary_key_is_empty(stand: Stand) -> None:
    """Nothing is applied to it, so nobody is asked."""
    await stand.finished(await stand.call("POST", "/indexes", {"uid": "empty"}))

    assert (await stand.call("GET", "/indexes/empty/documents")).body["results"] == []


async def test_documents_by_ids_stand_in_the_order_of_ids_within_objects(stand: Stand) -> None:
    """A primary key may name a field of an object; it need not be among the fields asked for."""
    body = {"kind": "create_index", "uid": "nested", "primary_key": "meta.id", "shards": 4, "replication": 1}
    await stand.call("POST", "/_miroir/requests", body)
    # The nodes of the stand look at the flat field.
    documents = [{"id": number, "meta": {"id": number}, "title": f"film {number}"} for number in range(12)]
    await stand.finished(await stand.call("POST", "/indexes/nested/documents", documents))

    found = await stand.call("POST", "/indexes/nested/documents/fetch", {"ids": [11, 2, 7, 5]})

    assert [document["meta"]["id"] for document in found.body["results"]] == [2, 5, 7, 11]


LISTS: dict[str, tuple[str, str, Any]] = {
    "browsed": ("GET", "/indexes/films/documents?limit=100", None),
    "sorted": ("POST", "/indexes/films/documents/fetch", {"limit": 100, "sort": ["id:asc"]}),
    "by ids": ("POST", "/indexes/films/documents/fetch", {"limit": 100, "ids": list(range(40))}),
}


@pytest.mark.parametrize(("method", "path", "body"), LISTS.values(), ids=LISTS.keys())
async def test_list_asks_where_copies_are_once_a_replaced_key_is_met(
    stand: Stand, method: str, path: str, body: Any
) -> None:
    """Never again the node that they have left, although its new key is known then."""
    await stand.films(replication=1)
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"sortableAttributes": ["id"]}))
    stand.nodes["a"].key = derive_key(NODE_KEY, SEARCH_KEYS["d"])

    async with asyncio.TaskGroup() as group:
        listed = group.create_task(stand.call(method, path, body))
        await stand.until(lambda: stand.service.health.away)
        stand.leave("a", "b")

    reply = listed.result()
    assert (reply.status, reply.body["total"]) == (200, 40)
    assert sorted(document["id"] for document in reply.body["results"]) == list(range(40))


async def test_list_is_whole_where_copies_leave_between_counting_and_reading(stand: Stand) -> None:
    """What was counted on a node is not read there with a key that came later."""
    await stand.films(replication=1)
    stand.nodes["b"].held = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        listed = group.create_task(stand.call("GET", "/indexes/films/documents?limit=100"))
        await stand.until_held("b")
        stand.leave("a", "c")
        await stand.until(lambda: stand.service.views.topology.leaving)
        stand.nodes["b"].held.set()

    documents = listed.result().body["results"]
    assert sorted(document["id"] for document in documents) == list(range(40))


@pytest.mark.parametrize(
    ("path", "body"),
    [("/indexes/films/documents/fetch", {}), ("/indexes/films/facet-search", {"facetName": "genre"})],
)
async def test_filter_that_nodes_refuse_is_quoted_as_it_was_written(
    stand: Stand, path: str, body: dict[str, Any]
) -> None:
    """They are asked it with that of the shards behind, and print both again."""
    await stand.films(1)
    settings = {"filterableAttributes": ["genre", "_geo"]}
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", settings))

    reply = await stand.call("POST", path, {**body, "filter": "_geoRadius(100,2,3)"})

    assert reply.error[0] == 400
    assert reply.body["message"] == "Bad latitude `100`.\n12:15 _geoRadius(100,2,3)"
