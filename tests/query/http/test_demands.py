"""What readers' headers ask, on searches and on other reads."""

import asyncio
from typing import Any

import pytest

from query.freshness import LagBound
from query.http.demands import NO_DEMANDS, Demands
from query.routing import ANY
from schemas.ids import IndexUid
from tests.query.http.stand import Stand

READS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/indexes/films/search", {}),
    ("GET", "/indexes/films/documents", None),
    ("POST", "/indexes/films/documents/fetch", {}),
    ("GET", "/indexes/films/documents/1", None),
    ("GET", "/indexes/films/stats", None),
)


def test_demands_without_headers_want_nothing() -> None:
    """Any copy will do, and it is the same object, so that nothing is computed for it."""
    assert NO_DEMANDS.wanted(IndexUid("films")) is ANY
    assert Demands(lag=LagBound(records=3)).wanted(IndexUid("films")).lag_records_max == 3


@pytest.mark.parametrize(("method", "path", "body"), READS)
async def test_read_with_token_of_a_write_that_stays_hidden_is_503(method: str, path: str, body: object) -> None:
    """Every read takes a token, and says what is there where nothing is as fresh."""
    async with Stand(settings={"MIROIR_SEARCH_TIMEOUT_S": "0.3"}) as stand:
        await stand.films(4, shards=1)
        reply = await stand.call(method, path, body, headers={"X-Miroir-Token": "films:0@99"})

    assert reply.error == (503, "miroir_replica_behind")
    assert "position 100 wanted" in reply.body["message"]


async def test_list_with_token_waits_until_the_write_shows(stand: Stand) -> None:
    """A list carries the write that its token names."""
    await stand.films(4)
    stand.applies = False
    written = await stand.call("POST", "/indexes/films/documents", [{"id": 1000, "title": "fresh"}])
    token = written.headers["X-Miroir-Token"]

    async with asyncio.TaskGroup() as group:
        listed = group.create_task(
            stand.call("GET", "/indexes/films/documents?limit=100", headers={"X-Miroir-Token": token})
        )
        stand.applies = True

    assert 1000 in [document["id"] for document in listed.result().body["results"]]


@pytest.mark.parametrize("lag", ["0.5", "0 records", "2 seconds"])
async def test_read_with_max_lag_is_answered_by_copies_at_the_end(stand: Stand, lag: str) -> None:
    """Copies that stand at the end of the log have no lag, however it is counted."""
    await stand.films(4)

    for method, path, body in READS:
        assert (await stand.call(method, path, body, headers={"X-Miroir-Max-Lag": lag})).status == 200
