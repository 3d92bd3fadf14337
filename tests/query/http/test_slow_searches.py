"""The log of slow searches that are not plain ones."""

import asyncio
import logging

import pytest

from tests.query.http.stand import Stand
from tests.query.http.test_similar import load_things

SLOW_S = 0.02
"""So long every node takes, which is well above the lowest threshold."""

ASKED = {
    "federated": (
        "/multi-search",
        {"federation": {}, "queries": [{"indexUid": "things", "q": "thing"}, {"indexUid": "films", "q": "film"}]},
        ["things", "films"],
    ),
    "facet values": ("/indexes/films/facet-search", {"facetName": "genre"}, ["films"]),
    "similar": ("/indexes/things/similar", {"id": 2, "embedder": "e"}, ["things"]),
}


@pytest.mark.parametrize(("slow_ms", "logged"), [("1", 1), ("0", 0), ("60000", 0)], ids=["slow", "off", "quick"])
@pytest.mark.parametrize(("path", "body", "indexes"), ASKED.values(), ids=ASKED.keys())
async def test_slow_search_of_any_kind_is_logged_with_how_it_was_asked(
    caplog: pytest.LogCaptureFixture, path: str, body: object, indexes: list[str], slow_ms: str, logged: int
) -> None:
    """Above the threshold every index's rounds are in the log, under the request's id."""
    async with Stand(settings={"MIROIR_SEARCH_SLOW_MS": slow_ms}) as stand:
        await stand.films()
        await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]}))
        await load_things(stand)
        with caplog.at_level(logging.WARNING, logger="query.http.slow_searches"):
            held = asyncio.Event()
            for node in stand.nodes.values():
                node.held = held
            asked = asyncio.create_task(stand.call("POST", path, body, headers={"X-Request-Id": "abc"}))
            await asyncio.sleep(SLOW_S)
            held.set()
            reply = await asked

    assert reply.status == 200
    records = [record for record in caplog.records if record.name == "query.http.slow_searches"]
    assert len(records) == logged
    for record in records:
        told = record.__dict__["explain"]
        assert record.__dict__["request"] == "abc"
        assert [each["indexUid"] for each in told] == indexes
        assert all(each["rounds"][0]["questions"] for each in told)


@pytest.mark.parametrize(
    ("path", "body", "search"),
    [
        ("/indexes/films/search", {"q": "film"}, "film"),
        ("/indexes/films/facet-search", {"facetName": "genre", "facetQuery": "com"}, "com"),
        ("/multi-search", {"federation": {}, "queries": [{"indexUid": "films", "q": "film"}]}, ["film"]),
    ],
)
async def test_slow_search_that_fails_is_logged_with_how_it_was_asked(
    caplog: pytest.LogCaptureFixture, path: str, body: object, search: object
) -> None:
    """Also where nobody answers until the deadline, and its client is told so."""
    async with Stand(settings={"MIROIR_SEARCH_SLOW_MS": "100", "MIROIR_SEARCH_TIMEOUT_S": "0.2"}) as stand:
        await stand.films()
        await stand.finished(await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]}))
        for node in stand.nodes.values():
            node.held = asyncio.Event()
        with caplog.at_level(logging.WARNING, logger="query.http.slow_searches"):
            reply = await stand.call("POST", path, body, headers={"X-Request-Id": "abc"})

    assert reply.error == (503, "miroir_shard_unavailable")
    (told,) = [record.__dict__ for record in caplog.records if record.name == "query.http.slow_searches"]
    assert (told["request"], told["search"], told["error"]) == ("abc", search, reply.body["message"])
    (explained,) = told["explain"]
    assert (explained["indexUid"], explained["missing"]) == ("films", [0, 1, 2, 3])
    assert {asked["outcome"] for asked in explained["rounds"][0]["questions"]} != {"answered"}


async def test_search_that_fails_at_once_is_not_slow(caplog: pytest.LogCaptureFixture) -> None:
    """Below the threshold nothing is logged of it here."""
    async with Stand(settings={"MIROIR_SEARCH_SLOW_MS": "60000"}) as stand:
        await stand.films()
        for node in stand.nodes.values():
            await node.stop()
        with caplog.at_level(logging.WARNING, logger="query.http.slow_searches"):
            reply = await stand.call("POST", "/indexes/films/search", {})

    assert reply.error == (503, "miroir_shard_unavailable")
    assert not [record for record in caplog.records if record.name == "query.http.slow_searches"]
