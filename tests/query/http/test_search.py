"""The search routes, from request to answer, over nodes that answer, fail and freeze."""

import asyncio
from typing import Any

import pytest

from schemas.events import NodeRecord, NodeState
from schemas.ids import NodeId, Position, ShardId
from schemas.keys import derive_key
from tests.query.http.stand import NODE_KEY, SEARCH_KEYS, Stand
from tests.query.http.stub_node import shards_of


async def test_search_over_nodes_has_every_document_once(stand: Stand) -> None:
    """Over shards and copies, each document shows once, without a trace of the marker."""
    await stand.films(40)

    reply = await stand.call("POST", "/indexes/films/search", {"limit": 100})

    assert sorted(hit["id"] for hit in reply.body["hits"]) == list(range(40))
    assert reply.body["estimatedTotalHits"] == 40
    assert all(hit.keys() == {"id", "title", "genre"} for hit in reply.body["hits"])
    assert "X-Miroir-Degraded" not in reply.headers


async def test_search_by_get_equals_search_by_post(stand: Stand) -> None:
    """Both forms of a search give the same hits."""
    await stand.films()

    by_post = await stand.call("POST", "/indexes/films/search", {"q": "film 1", "limit": 3, "offset": 2})
    by_get = await stand.call("GET", "/indexes/films/search?q=film%201&limit=3&offset=2")

    assert by_get.body["hits"] == by_post.body["hits"]
    assert len(by_get.body["hits"]) == 3


async def test_search_pages_line_up(stand: Stand) -> None:
    """Pages one after the other are the whole list: the same replicas are asked for each."""
    await stand.films(30)

    pages = [
        (await stand.call("POST", "/indexes/films/search", {"q": "film", "offset": at, "limit": 7})).body["hits"]
        for at in range(0, 35, 7)
    ]

    assert sorted(hit["id"] for page in pages for hit in page) == list(range(30))


async def test_search_where_one_node_has_all_shards_asks_it_alone(stand: Stand) -> None:
    """With a copy on every node, one is asked, without a shard filter, and its answer is stripped all the same."""
    await stand.films(replication=3)

    reply = await stand.call("POST", "/indexes/films/search", {"q": "film 7"})

    searches = [search for node in stand.nodes.values() for search in node.searches]
    assert len(searches) == 1
    assert "filter" not in searches[0]
    assert reply.body["hits"] == [{"id": 7, "title": "film 7", "genre": "drama"}]


async def test_search_with_a_node_gone_is_whole(stand: Stand) -> None:
    """Searches go on, complete, from the first moment that a node is gone."""
    await stand.films()
    await stand.nodes["a"].stop()

    for number in range(6):
        reply = await stand.call("POST", "/indexes/films/search", {"limit": 100, "q": f"film {number}"[:4]})
        assert (reply.status, reply.body["estimatedTotalHits"]) == (200, 40)


async def test_search_with_a_node_frozen_is_whole(stand: Stand) -> None:
    """A node that holds its answers back is hedged."""
    await stand.films()
    stand.nodes["b"].held = asyncio.Event()

    for word in ("film", "comedy", "drama"):
        reply = await stand.call("POST", "/indexes/films/search", {"limit": 100, "q": word})
        assert (reply.status, reply.body["estimatedTotalHits"]) == (200, 40 if word == "film" else 20)


async def test_search_with_a_shard_without_copy_is_503_that_names_it(stand: Stand) -> None:
    """With both copies of some shard gone, the search fails and says which."""
    await stand.films()
    await stand.nodes["a"].stop()
    await stand.nodes["b"].stop()
    lost = [shard for shard in range(4) if not stand.shard_on("c", shard)]

    reply = await stand.call("POST", "/indexes/films/search", {})

    assert reply.error == (503, "miroir_shard_unavailable")
    assert str(lost) in reply.body["message"]
    assert reply.headers["Retry-After"]


async def test_search_of_copies_that_have_never_been_whole_says_so(stand: Stand) -> None:
    """Where nothing better is there, what is being made is read, and the answer names the shards."""
    index = await stand.films()
    for replica in stand.topology.replicas_of(index.uid, ShardId(2)):
        await stand.see(replica, cursor=Position(1), end=Position(9), at_end_ms=0)
    told = {"shards": 4, "answered": 4, "missing": [], "behind": [2]}

    plain = await stand.call("POST", "/indexes/films/search", {})
    federated = await stand.call("POST", "/multi-search", {"federation": {}, "queries": [{"indexUid": "films"}]})

    assert (plain.status, plain.body["_miroir"]) == (200, {"coverage": told})
    assert (federated.status, federated.body["_miroir"]) == (200, {"coverage": {"films": told}})
    assert "X-Miroir-Degraded" not in plain.headers


@pytest.mark.parametrize("header", [("X-Miroir-Max-Lag", "100 records"), ("X-Miroir-Token", "films:2@0")], ids=str)
async def test_search_with_demands_says_what_its_copies_lack(stand: Stand, header: tuple[str, str]) -> None:
    """Also where no search without demands has come since the copies were seen to lack it, or to have it again."""
    index = await stand.films()
    whole = [stand.service.views.progress.of(each) for each in stand.topology.replicas_of(index.uid, ShardId(2))]
    await stand.call("POST", "/indexes/films/search", {})
    for replica in stand.topology.replicas_of(index.uid, ShardId(2)):
        await stand.see(replica, cursor=Position(1), end=Position(9), at_end_ms=0)

    lacking = await stand.call("POST", "/indexes/films/search", {}, headers=dict([header]))
    for replica, progress in zip(stand.topology.replicas_of(index.uid, ShardId(2)), whole, strict=True):
        assert progress is not None
        await stand.see(replica, cursor=progress.cursor, end=progress.end, at_end_ms=progress.at_end_ms)
    lacks_nothing = await stand.call("POST", "/indexes/films/search", {}, headers=dict([header]))

    assert lacking.body["_miroir"]["coverage"]["behind"] == [2]
    assert "_miroir" not in lacks_nothing.body


async def test_search_that_asks_for_a_partial_answer_gets_one(stand: Stand) -> None:
    """With a copy missing, a partial answer says so in header and body."""
    await stand.films()
    await stand.nodes["a"].stop()
    await stand.nodes["b"].stop()
    lost = [shard for shard in range(4) if not stand.shard_on("c", shard)]

    reply = await stand.call("POST", "/indexes/films/search", {"limit": 100}, headers={"X-Miroir-Partial": "true"})

    assert reply.status == 200
    assert reply.headers["X-Miroir-Degraded"] == f"shards={','.join(map(str, lost))}"
    assert reply.body["_miroir"] == {"coverage": {"shards": 4, "answered": 4 - len(lost), "missing": lost}}
    assert 0 < len(reply.body["hits"]) < 40


async def test_search_partial_by_setting_can_be_refused_by_request() -> None:
    """The setting is the default, the request decides."""
    async with Stand(settings={"MIROIR_SEARCH_PARTIAL": "true"}) as stand:
        await stand.films()
        await stand.nodes["a"].stop()
        await stand.nodes["b"].stop()

        partial = await stand.call("POST", "/indexes/films/search", {})
        whole = await stand.call("POST", "/indexes/films/search", {}, headers={"X-Miroir-Partial": "false"})

    assert partial.status == 200
    assert whole.error == (503, "miroir_shard_unavailable")


async def test_search_with_an_old_key_waits_for_the_record_that_replaced_it(stand: Stand) -> None:
    """A node that refuses the key makes the search wait for the newer view, and succeed with it."""
    await stand.films(replication=1)
    new = SEARCH_KEYS["d"]
    for node in stand.nodes.values():
        node.key = derive_key(NODE_KEY, new)

    async with asyncio.TaskGroup() as group:
        search = group.create_task(stand.call("POST", "/indexes/films/search", {"limit": 100}))
        await stand.service.views.wait_for(lambda: stand.service.health.away or None, timeout_s=0.2)
        for name, node in stand.nodes.items():
            stand.put(NodeRecord(NodeId(name), node.url, state=NodeState.ACTIVE, worker_key="w", search_key=new))

    assert (search.result().status, search.result().body["estimatedTotalHits"]) == (200, 40)


async def test_search_refused_by_nodes_shows_no_marker(stand: Stand) -> None:
    """A node's own words come through with the user's name of the index, and without the hidden field."""
    await stand.films()

    reply = await stand.call("POST", "/indexes/films/search", {"filter": '"bad filter" EXISTS'})
    accepted = await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["bad filter"]})
    await stand.finished(accepted)
    judged = await stand.call("POST", "/indexes/films/search", {"filter": '"bad filter" EXISTS'})

    assert reply.error == judged.error == (400, "invalid_search_filter")
    assert judged.body["message"].startswith("Index `films`: bad filter.")
    assert "_miroir" not in judged.body["message"]


async def test_search_with_hits_too_large_to_be_read_is_refused(stand: Stand) -> None:
    """With what to ask instead, also where a partial answer is wanted: it would have nothing."""
    await stand.films()
    for node in stand.nodes.values():
        node.overlong = True

    body = {"q": "film", "limit": 1000}
    replies = [
        await stand.call("POST", "/indexes/films/search", body, headers={"X-Miroir-Partial": partial})
        for partial in ("false", "true")
    ]
    federated = await stand.call("POST", "/multi-search", {"queries": [{"indexUid": "films"}], "federation": {}})

    assert [reply.error for reply in (*replies, federated)] == [(413, "payload_too_large")] * 3
    assert not stand.service.health.away


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"q": 1}, (400, "invalid_search_q")),
        ({"nope": 1}, (400, "bad_request")),
        ({"filter": "year = 1"}, (400, "invalid_search_filter")),
        ({"vector": [1.0], "hybrid": {"embedder": "x"}}, (400, "invalid_search_embedder")),
        ({"showPerformanceDetails": True}, (501, "miroir_not_supported")),
    ],
)
async def test_search_that_is_wrong_asks_no_node(stand: Stand, body: object, error: tuple[int, str]) -> None:
    """What can be refused in front of the nodes is."""
    await stand.films(1)

    reply = await stand.call("POST", "/indexes/films/search", body)

    assert reply.error == error
    assert not any(node.searches for node in stand.nodes.values())


async def test_search_of_no_index_is_404(stand: Stand) -> None:
    """Meilisearch's words for an index that is not there."""
    reply = await stand.call("POST", "/indexes/nope/search", {})

    assert reply.error == (404, "index_not_found")
    assert reply.body["message"] == "Index `nope` not found."


@pytest.mark.parametrize(
    ("raw", "kind", "error"),
    [
        (b"{", "application/json", (400, "malformed_payload")),
        (b"", "application/json", (400, "missing_payload")),
        (b" ", "application/json", (400, "malformed_payload")),
        (b"{}", "text/plain", (415, "invalid_content_type")),
    ],
)
async def test_search_body_that_is_no_json_is_refused(
    stand: Stand, raw: bytes, kind: str, error: tuple[int, str]
) -> None:
    """A body must be JSON and say so."""
    await stand.films(1)

    reply = await stand.call("POST", "/indexes/films/search", raw=raw, headers={"Content-Type": kind})

    assert reply.error == error


async def test_search_of_index_without_primary_key_is_empty(stand: Stand) -> None:
    """Nothing is applied before the primary key is known, so there is nothing to find, and no node to ask."""
    stand.reports = False
    await stand.finished(await stand.call("POST", "/indexes", {"uid": "plain"}))

    found = await stand.call("POST", "/indexes/plain/search", {"q": "x"})
    stats = await stand.call("GET", "/indexes/plain/stats")
    listed = await stand.call("GET", "/indexes/plain/documents")
    document = await stand.call("GET", "/indexes/plain/documents/1")

    assert (found.body["hits"], found.body["estimatedTotalHits"]) == ([], 0)
    assert (stats.body["numberOfDocuments"], listed.body["total"]) == (0, 0)
    assert document.error == (404, "document_not_found")


async def test_search_with_token_waits_until_the_write_shows(stand: Stand) -> None:
    """Read your writes: the search answers once some copy of each written shard shows the record."""
    await stand.films()
    stand.applies = False
    written = await stand.call("POST", "/indexes/films/documents", [{"id": 1000, "title": "fresh"}])
    token = written.headers["X-Miroir-Token"]

    async with asyncio.TaskGroup() as group:
        search = group.create_task(
            stand.call("POST", "/indexes/films/search", {"q": "fresh"}, headers={"X-Miroir-Token": token})
        )
        stand.applies = True

    assert [hit["id"] for hit in search.result().body["hits"]] == [1000]


async def test_search_with_token_of_a_write_that_stays_hidden_is_503() -> None:
    """After the deadline the search says what was wanted and what is there."""
    async with Stand(settings={"MIROIR_SEARCH_TIMEOUT_S": "0.3"}) as stand:
        await stand.films()
        reply = await stand.call("POST", "/indexes/films/search", {}, headers={"X-Miroir-Token": "films:0@99"})

    assert reply.error == (503, "miroir_replica_behind")
    assert "position 100 wanted" in reply.body["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Miroir-Token", "nonsense"),
        ("X-Miroir-Token", "films:9@1"),
        ("X-Miroir-Partial", "maybe"),
        ("X-Miroir-Max-Lag", "soon"),
    ],
)
async def test_search_with_a_header_that_is_wrong_is_400(stand: Stand, name: str, value: str) -> None:
    """Headers are checked like parameters."""
    await stand.films(1)

    reply = await stand.call("POST", "/indexes/films/search", {}, headers={name: value})

    assert reply.status == 400


async def test_search_with_max_lag_is_answered_by_copies_at_the_end(stand: Stand) -> None:
    """Copies that stand at the end of the log have no lag."""
    await stand.films()

    reply = await stand.call("POST", "/indexes/films/search", {}, headers={"X-Miroir-Max-Lag": "0.5"})

    assert (reply.status, reply.body["estimatedTotalHits"]) == (200, 40)


async def test_search_partial_by_index_is_for_that_index_only() -> None:
    """An index may be named for which an answer without some shards will do."""
    async with Stand(settings={"MIROIR_SEARCH_PARTIAL_INDEXES": "shows, films"}) as stand:
        await stand.films()
        await stand.nodes["a"].stop()
        await stand.nodes["b"].stop()

        partial = await stand.call("POST", "/indexes/films/search", {})
        whole = await stand.call("POST", "/indexes/films/search", {}, headers={"X-Miroir-Partial": "false"})

    assert (partial.status, partial.headers["X-Miroir-Degraded"][:7]) == (200, "shards=")
    assert whole.error == (503, "miroir_shard_unavailable")


async def test_search_filtered_by_id_asks_for_every_shard(stand: Stand) -> None:
    """A filter on the id finds ids in another case, or with zeros before them, whose shards are others."""
    await stand.films()
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["id"]}))

    await stand.call("POST", "/indexes/films/search", {"filter": "id = 7"})

    asked = [shards_of(search) for node in stand.nodes.values() for search in node.searches]
    # On a busy machine one may be late, and another asked too.
    assert {shard for shards in asked for shard in shards} == {0, 1, 2, 3}


async def test_search_with_distinct_says_what_is_not_exact(stand: Stand) -> None:
    """Nodes count values each for itself: facets, and the total of a page where values do not tell, are named."""
    await stand.films(40)
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]}))
    asked = {"distinct": "genre", "facets": ["genre"], "limit": 1}

    listed = await stand.call("POST", "/indexes/films/search", asked)
    paged = await stand.call("POST", "/indexes/films/search", {**asked, "page": 1, "hitsPerPage": 1})
    plain = await stand.call("POST", "/indexes/films/search", {"facets": ["genre"], "page": 1})

    assert listed.body["_miroir"] == {"inexactFacets": ["genre"]}
    assert paged.body["_miroir"] == {"inexactFacets": ["genre"], "inexactTotal": True}
    assert "_miroir" not in plain.body


async def test_facet_search_counts_every_document_once(stand: Stand) -> None:
    """Values of a facet are counted over all shards, each document by one of its copies."""
    await stand.films(40)
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]}))

    reply = await stand.call("POST", "/indexes/films/facet-search", {"facetName": "genre", "facetQuery": "c"})
    unknown = await stand.call("POST", "/indexes/films/facet-search", {"facetName": "title"})

    assert reply.body["facetHits"] == [{"value": "comedy", "count": 20}, {"value": "drama", "count": 20}]
    assert reply.body["facetQuery"] == "c"
    assert unknown.error == (400, "invalid_facet_search_facet_name")


@pytest.mark.parametrize(
    "window", [{"offset": 900}, {"limit": 500}, {"limit": 5, "distinct": "genre"}], ids=["deep", "long", "distinct"]
)
async def test_search_of_several_rounds_says_what_the_first_has_lost(stand: Stand, window: dict[str, Any]) -> None:
    """Later rounds ask only those that answered: a shard without a copy is missing all the same."""
    await stand.films(replication=1)
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]}))
    await stand.nodes["a"].stop()

    refused = await stand.call("POST", "/indexes/films/search", window)
    partial = await stand.call("POST", "/indexes/films/search", window, headers={"X-Miroir-Partial": "true"})

    lost = [shard for shard in range(4) if stand.shard_on("a", shard)]
    assert refused.error == (503, "miroir_shard_unavailable")
    assert partial.body["_miroir"]["coverage"]["missing"] == lost
