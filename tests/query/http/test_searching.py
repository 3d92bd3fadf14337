"""Searches explained, refused before any node is asked, and slow ones logged."""

import asyncio
import logging
from dataclasses import replace

import pytest

from schemas.ids import IndexUid, NodeId, ShardId
from tests.query.http.stand import Stand
from tests.query.nodes.raw_server import Line, RawServer


async def test_explain_tells_of_a_node_that_fails(stand: Stand) -> None:
    """Who was asked, who failed, who was asked instead."""
    await stand.films()
    stand.nodes["a"].fault = (500, {"message": "broken", "code": "internal", "type": "internal"})

    replies = [await stand.call("POST", "/indexes/films/explain", {"q": f"film {at}"}) for at in range(6)]

    questions = [asked for reply in replies for each in reply.body["rounds"] for asked in each["questions"]]
    assert {asked["why"] for asked in questions} == {"route", "failed"}
    assert any(asked["node"] == "a" and "NodeRejectedError" in asked["outcome"] for asked in questions)
    assert all(replica["asked"] in replica["readable"] for reply in replies for replica in reply.body["replicas"])
    assert all(reply.body["indexUid"] == "films" and reply.body["tookMs"] > 0 for reply in replies)


async def test_explain_tells_of_shards_without_a_copy(stand: Stand) -> None:
    """A search that would be a 503 is explained all the same: which shards, and why nobody answered for them."""
    index = await stand.films(replication=1)
    lost = [shard for shard, nodes in enumerate(stand.service.readable(index)) if "a" in nodes]
    await stand.nodes["a"].stop()

    search = await stand.call("POST", "/indexes/films/search", {"q": "film"})
    reply = await stand.call("POST", "/indexes/films/explain", {"q": "film"})

    assert search.error == (503, "miroir_shard_unavailable")
    assert lost
    assert (reply.status, reply.body["missing"]) == (200, lost)
    assert "shards are missing" in reply.body["inexact"]
    assert "NodeUnreachableError" in str(reply.body["rounds"])


async def test_explain_tells_why_a_copy_is_not_read(stand: Stand) -> None:
    """One whose worker does not reach its node, in words."""
    await stand.films()
    replica = stand.topology.replicas_of(IndexUid("films"), ShardId(0))[0]
    await stand.see(replica, away=True)

    reply = await stand.call("POST", "/indexes/films/explain", {"q": "film"})

    told = reply.body["replicas"][0]
    assert "does not reach the node" in told["unread"][replica.node]
    assert replica.node not in told["readable"]
    assert all(each["unread"] == {} for each in reply.body["replicas"][1:])


async def _break(line: Line, answer: bytes, *, ending: str) -> None:
    """Answer probes well, and every other request as a broken node does."""
    while True:
        if (await line.request()).startswith(b"GET /health"):
            await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            continue
        await line.send(answer)
        if ending == "reset":
            line.reset()
        if ending == "drips":
            await line.wait_closed()
        if ending != "goes on":
            return


def _reply(status: bytes, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, size, body)


BROKEN = {
    "503": (_reply(b"503", b'{"code":"too_many_search_requests","message":"no"}'), "goes on", "NodeBusyError"),
    "500": (_reply(b"500", b'{"code":"internal","message":"no"}'), "goes on", "NodeRejectedError"),
    "401": (_reply(b"401", b'{"code":"missing_authorization_header","message":"no"}'), "goes on", "NodeForgotError"),
    "no JSON": (_reply(b"200", b'{"hits":['), "goes on", "NodeGarbledError"),
    "truncated": (_reply(b"200", b'{"hits":[', 100), "closes", "NodeGarbledError"),
    "reset half-way": (_reply(b"200", b'{"hits":[', 100), "reset", "NodeGarbledError"),
    "drips": (_reply(b"200", b"{", 100), "drips", "dropped"),
}


@pytest.mark.parametrize(("answer", "ending", "named"), BROKEN.values(), ids=BROKEN.keys())
async def test_explain_names_what_is_wrong_with_a_node(stand: Stand, answer: bytes, ending: str, named: str) -> None:
    """And nothing is missing: other copies answer within the same search."""
    await stand.films()
    views = stand.service.views
    async with RawServer(lambda line, _: _break(line, answer, ending=ending)) as broken:
        url = f"http://127.0.0.1:{broken.port}"
        stand.put(replace(views.topology.nodes[NodeId("a")], url=url))
        await views.wait_for(lambda: views.topology.nodes[NodeId("a")].url == url or None, timeout_s=60.0)

        replies = [await stand.call("POST", "/indexes/films/explain", {"q": f"film {at}"}) for at in range(4)]
        found = await stand.call("POST", "/indexes/films/search", {"q": "film", "limit": 50})

    questions = [asked for reply in replies for each in reply.body["rounds"] for asked in each["questions"]]
    assert any(asked["node"] == "a" and asked["outcome"].startswith(named) for asked in questions), questions
    assert {"late" if ending == "drips" else "failed"} <= {asked["why"] for asked in questions}
    assert (found.status, len(found.body["hits"])) == (200, 40)


async def test_search_beyond_what_nodes_may_have_is_refused_early() -> None:
    """With 503 and when to come again, while the searches before it still wait."""
    async with Stand(settings={"MIROIR_NODE_SEARCHES_MAX": "1"}) as stand:
        await stand.films(4)
        held = asyncio.Event()
        for node in stand.nodes.values():
            node.held = held
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(stand.call("POST", "/indexes/films/search", {})) for _ in range(8)]
            done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            refused = done.pop().result()
            held.set()

    assert refused.error == (503, "too_many_search_requests")
    assert refused.headers["Retry-After"] == "1"


async def test_explain_refuses_what_a_search_would(stand: Stand) -> None:
    """A search that is wrong has no explanation."""
    await stand.films(1)

    reply = await stand.call("POST", "/indexes/films/explain", {"filter": "x = 1"})

    assert reply.error == (400, "invalid_search_filter")


@pytest.mark.parametrize(("slow_ms", "logged"), [("1", 1), ("0", 0), ("60000", 0)], ids=["slow", "off", "quick"])
async def test_slow_search_is_logged_with_its_explanation(
    caplog: pytest.LogCaptureFixture, slow_ms: str, logged: int
) -> None:
    """Above the threshold a search leaves its explanation in the log, under its request's id."""
    async with Stand(settings={"MIROIR_SEARCH_SLOW_MS": slow_ms}) as stand:
        await stand.films()
        with caplog.at_level(logging.WARNING, logger="query.http.searching"):
            await stand.call("POST", "/indexes/films/search", {"q": "film"}, headers={"X-Request-Id": "abc"})

    records = [record for record in caplog.records if record.name == "query.http.searching"]
    assert len(records) == logged
    assert all(record.__dict__["request"] == "abc" for record in records)
    assert all(record.__dict__["explain"]["rounds"] for record in records)


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("POST", "search", {"limit": -1}, "invalid_search_limit"),
        ("GET", "search?limit=-1", None, "invalid_search_limit"),
        ("POST", "explain", {"limit": -1}, "invalid_search_limit"),
        ("POST", "facet-search", {}, "missing_facet_search_facet_name"),
        ("POST", "similar", {"id": 1}, "bad_request"),
        ("GET", "similar?id=1", None, "bad_request"),
    ],
)
async def test_what_is_wrong_with_a_search_is_told_before_its_index_is_missed(
    stand: Stand, method: str, path: str, body: object, error: str
) -> None:
    """As Meilisearch does, which reads the body first."""
    reply = await stand.call(method, f"/indexes/nope/{path}", body)

    assert reply.error == (400, error)


async def test_search_with_a_malformed_filter_asks_no_node(stand: Stand) -> None:
    """Once every node has told its version, and none is newer than the grammar known here; each route in its words."""
    await stand.films(1)
    await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["year"]}))
    await stand.until(lambda: stand.service.health.knows_filters)

    wrong = {"filter": "year >"}
    search = await stand.call("POST", "/indexes/films/search", wrong)
    facets = await stand.call("POST", "/indexes/films/facet-search", {"facetName": "year", **wrong})
    listed = await stand.call("POST", "/indexes/films/documents/fetch", wrong)
    multi = await stand.call("POST", "/multi-search", {"queries": [{"indexUid": "films", **wrong}]})

    said = "Was expecting a value but instead got nothing.\n7:7 year >"
    assert [reply.body["message"] for reply in (search, facets, listed)] == [said] * 3
    assert multi.body["message"] == f"Inside `.queries[0]`: {said}"
    assert [reply.error for reply in (search, facets, multi)] == [(400, "invalid_search_filter")] * 3
    assert listed.error == (400, "invalid_document_filter")
    assert not any(node.searches for node in stand.nodes.values())
