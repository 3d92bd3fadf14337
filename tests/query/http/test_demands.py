"""What readers' headers ask, on searches and on other reads."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from query.freshness import LagBound
from query.http.clock import now_ms
from query.http.demands import NO_DEMANDS, Demands
from query.routing import ANY
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import IndexUid, Partition, Position, ShardId
from schemas.progress import FRESH_MS, build_progress_key
from streams.log import Append
from streams.topics import PROGRESS
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


LAG_RECORDS = 5


async def let_lag(stand: Stand, *replicas: ReplicaRecord) -> None:
    """Let these copies stand ``LAG_RECORDS`` before the log's end, since long ago."""
    for replica in replicas:
        seen = stand.service.views.progress.of(replica)
        assert seen is not None
        await stand.see(replica, end=Position(seen.cursor + LAG_RECORDS), lag_ms=60_000)


@pytest.mark.parametrize(
    ("lag", "status"),
    [("0.5", 503), ("2 seconds", 503), (f"{LAG_RECORDS - 1} records", 503), ("5 records", 200)],
)
async def test_read_with_max_lag_is_503_where_every_copy_lags_more(lag: str, status: int) -> None:
    """Whatever is read; a lag of as many records as the bound is within it."""
    # Only who waits in vain needs a short deadline.
    settings = {"MIROIR_SEARCH_TIMEOUT_S": "0.2"} if status == 503 else {}
    async with Stand(settings=settings) as stand:
        index = await stand.films(4, shards=1)
        await let_lag(stand, *stand.service.views.topology.replicas_of(index.uid, ShardId(0)))

        for method, path, body in READS:
            reply = await stand.call(method, path, body, headers={"X-Miroir-Max-Lag": lag})
            assert reply.status == status, (path, reply.body)
            assert status == 200 or reply.error == (503, "miroir_replica_behind")
            assert (await stand.call(method, path, body)).status == 200


@pytest.mark.parametrize("lag", ["2", "0 records"])
@pytest.mark.parametrize("behind", [0, 1])
async def test_read_with_max_lag_asks_the_copy_that_lags_less(stand: Stand, behind: int, lag: str) -> None:
    """Whichever of two copies it is: the other one is never asked."""
    index = await stand.films(4, shards=1)
    replicas = stand.service.views.topology.replicas_of(index.uid, ShardId(0))
    await let_lag(stand, replicas[behind])

    for method, path, body in READS:
        assert (await stand.call(method, path, body, headers={"X-Miroir-Max-Lag": lag})).status == 200

    asked = {name for name, node in stand.nodes.items() if node.searches or node.fetches}
    assert asked == {replicas[1 - behind].node}


@pytest.mark.parametrize("lag", ["0.5", "0 records", "2 seconds"])
async def test_read_with_max_lag_is_answered_by_copies_at_the_end(stand: Stand, lag: str) -> None:
    """Copies that stand at the end of the log have no lag, however it is counted."""
    await stand.films(4)

    for method, path, body in READS:
        assert (await stand.call(method, path, body, headers={"X-Miroir-Max-Lag": lag})).status == 200


@pytest.mark.parametrize("lag", ["2", "100 records"])
async def test_read_with_max_lag_is_503_where_nobody_looks_any_more(lag: str) -> None:
    """Copies that stood at the end when they were last looked at, before their owners died: the refusal says so."""
    async with Stand(settings={"MIROIR_SEARCH_TIMEOUT_S": "0.2"}) as stand:
        index = await stand.films(4, shards=1)
        for replica in stand.service.views.topology.replicas_of(index.uid, ShardId(0)):
            await stand.see(replica, seen_ms=now_ms() - FRESH_MS - 10_000)

        for method, path, body in READS:
            reply = await stand.call(method, path, body, headers={"X-Miroir-Max-Lag": lag})
            assert reply.error == (503, "miroir_replica_behind")
            assert "last looked at, 7" in reply.body["message"]
            assert (await stand.call(method, path, body)).status == 200


async def lose_copies(stand: Stand, index: IndexRecord, shard: ShardId) -> None:
    """Let nothing be known of any copy of a shard, so that nobody reads one."""
    stand.reports = False
    for replica in stand.service.views.topology.replicas_of(index.uid, shard):
        seen = stand.service.views.progress.of(replica)
        assert seen is not None
        stand.log.append(Append(PROGRESS, Partition(0), build_progress_key(seen), None))
    await stand.until(lambda: not stand.service.readable(index)[shard])


DEMANDS = ({"X-Miroir-Token": "films:0@0"}, {"X-Miroir-Max-Lag": "2"})


@pytest.mark.parametrize("headers", DEMANDS)
async def test_partial_search_waits_for_no_shard_without_a_copy(headers: Mapping[str, str]) -> None:
    """The other shards are in the answer; nothing that is waited for can bring the one."""
    async with Stand(settings={"MIROIR_SEARCH_TIMEOUT_S": "90"}) as stand:
        index = await stand.films(40, shards=2)
        await lose_copies(stand, index, ShardId(1))
        async with asyncio.timeout(30.0):
            plain, asked = [
                await stand.call("POST", "/indexes/films/search", {}, headers={"X-Miroir-Partial": "true", **more})
                for more in ({}, headers)
            ]

    assert (asked.status, asked.body["_miroir"]["coverage"]["missing"]) == (200, [1])
    assert asked.body["hits"] == plain.body["hits"] != []


@pytest.mark.parametrize("headers", DEMANDS)
async def test_read_of_a_shard_without_a_copy_is_503_at_once(headers: Mapping[str, str]) -> None:
    """As it is without such headers."""
    async with Stand(settings={"MIROIR_SEARCH_TIMEOUT_S": "90"}) as stand:
        index = await stand.films(4, shards=1)
        await lose_copies(stand, index, ShardId(0))
        async with asyncio.timeout(30.0):
            for method, path, body in READS:
                reply = await stand.call(method, path, body, headers=headers)
                assert reply.error == (503, "miroir_shard_unavailable"), path


async def test_partial_search_with_token_is_503_where_another_shard_is_behind() -> None:
    """A shard that has copies is waited for, whatever the others have."""
    async with Stand(settings={"MIROIR_SEARCH_TIMEOUT_S": "0.3"}) as stand:
        index = await stand.films(40, shards=2)
        await lose_copies(stand, index, ShardId(1))
        headers = {"X-Miroir-Partial": "true", "X-Miroir-Token": "films:0@99,1@99"}
        reply = await stand.call("POST", "/indexes/films/search", {}, headers=headers)

    assert reply.error == (503, "miroir_replica_behind")
    assert "shard 0: position 100 wanted" in reply.body["message"]


async def test_search_with_token_waits_for_the_first_copies_of_a_new_index(stand: Stand) -> None:
    """The first post makes the index: its token brings that post, though no worker has begun with it."""
    stand.log.now_ms, stand.applies = now_ms(), False
    posted = await stand.call("POST", "/indexes/films/documents", [{"id": 1, "title": "first"}])
    token = {"X-Miroir-Token": posted.headers["X-Miroir-Token"]}
    assert (await stand.call("POST", "/indexes/films/search", {})).error == (503, "miroir_shard_unavailable")

    async with asyncio.TaskGroup() as group:
        search = group.create_task(stand.call("POST", "/indexes/films/search", {}, headers=token))
        await asyncio.sleep(0)
        stand.applies = True

    assert [hit["id"] for hit in search.result().body["hits"]] == [1]
