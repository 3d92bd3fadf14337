"""A service that has stopped reading the log: nothing is appended, and everybody is told why."""

import pytest

from query.http.guarded_writer import GuardedWriter
from schemas.errors import InvalidRequestError
from schemas.ids import Partition
from streams.log import Append
from streams.topics import CLUSTER, DEAD, PROGRESS, REQUESTS, TASKS, own_topics
from tests.fakes.log import FakeLog, FakeLogWriter
from tests.query.http.stand import Stand


async def test_guarded_writer_appends_until_folding_has_stopped() -> None:
    """Before, it is the other writer; afterwards nothing reaches the log."""
    log = FakeLog()
    for spec in own_topics():
        log.create(spec)
    stopped = [""]
    writer = GuardedWriter(FakeLogWriter(log), lambda: stopped[0])
    append = Append(REQUESTS, Partition(0), None, b"{}")

    assert await writer.append([append, append]) == [0, 1]
    stopped[0] = "the reason"
    with pytest.raises(InvalidRequestError, match="stopped reading the log: the reason"):
        await writer.append([append])

    assert len(log.records(REQUESTS)) == 2


async def test_service_that_stopped_folding_is_not_well_and_takes_no_writes() -> None:
    """Health and every write answer 503 with the record that nobody here can read; nothing is appended."""
    async with Stand() as stand:
        await stand.films(5)
        stand.end_workers()
        stand.log.append(Append(CLUSTER, Partition(0), b"node/z", b'{"id":"z","newer":1}'))
        place = f"{CLUSTER}/0/{stand.log.records(CLUSTER)[-1].offset}"
        await stand.until(lambda: stand.service.views.stopped)
        before = _records(stand)
        answers = [
            await stand.call("GET", "/health"),
            await stand.call("POST", "/indexes/films/documents", [{"id": 1}]),
            await stand.call("DELETE", "/indexes/films/documents/1"),
            await stand.call("PATCH", "/indexes/films/settings", {"stopWords": ["the"]}),
            await stand.call("DELETE", "/indexes/films"),
            await stand.call("POST", "/_miroir/requests", {"kind": "delete_index", "uid": "films"}),
        ]
        found = await stand.call("POST", "/indexes/films/search", {})

    assert {(each.status, each.body["code"]) for each in answers} == {(503, "miroir_unavailable")}
    assert all(place in each.body["message"] for each in answers)
    assert answers[0].headers["Retry-After"]
    assert _records(stand) == before
    assert found.body["estimatedTotalHits"] == 5


def _records(stand: Stand) -> int:
    """Return how many records the topics hold that a query service writes to."""
    written = [stand.log.records(topic) for topic in (REQUESTS, TASKS, DEAD, PROGRESS)]
    documents = [stand.log.records("miroir.docs.films", shard) for shard in range(4)]
    return sum(map(len, [*written, *documents]))
