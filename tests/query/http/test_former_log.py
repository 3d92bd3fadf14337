"""An index that got another log: reads are answered by its former copies until these are let go."""

from dataclasses import replace

from schemas.ids import IndexUid, Partition, Position, ShardId
from schemas.progress import build_progress, build_progress_key
from streams.log import Append
from streams.topics import PROGRESS, docs_topic
from tests.query.http.stand import Stand
from tests.query.http.test_demands import READS

NEW = "miroir.gen.7.films"


async def ask(stand: Stand, kind: str, **fields: object) -> None:
    """Ask the controller for something that it grants."""
    reply = await stand.call("POST", "/_miroir/requests", {"kind": kind, "uid": "films", **fields})
    assert reply.body["accepted"], reply.body


async def found(stand: Stand) -> int:
    """Return how many films a search finds."""
    reply = await stand.call("POST", "/indexes/films/search", {"q": ""})
    assert reply.status == 200, reply.body
    assert "X-Miroir-Degraded" not in reply.headers
    total: int = reply.body["estimatedTotalHits"]
    return total


async def test_reads_are_answered_by_former_copies_until_they_are_retired(stand: Stand) -> None:
    """Writes go to the new log at once; a read that wants them is told that none is as fresh; then they show."""
    former = await stand.films(4, shards=1)
    stand.log.create(docs_topic(NEW, 1))
    await ask(stand, "pause_index", reason="its log was lost")
    stand.applies = False

    await ask(stand, "replace_log", topic=NEW, incarnation=former.incarnation)
    written = await stand.call("POST", "/indexes/films/documents", [{"id": 1000, "title": "fresh"}])

    assert [len(stand.log.records(topic)) for topic in (former.topic, NEW)] == [4, 1]
    assert await found(stand) == 4
    for method, path, body in READS:
        assert (await stand.call(method, path, body)).status == 200
        token = {"X-Miroir-Token": written.headers["X-Miroir-Token"]}
        assert (await stand.call(method, path, body, headers=token)).error == (503, "miroir_replica_behind")

    stand.applies = True
    assert (await stand.finished(written))["status"] == "succeeded"
    assert await found(stand) == 4
    await ask(stand, "retire_former", incarnation=former.incarnation)
    assert await found(stand) == 1
    await ask(stand, "retire_former", incarnation=former.incarnation, remove=True)
    assert await found(stand) == 1
    assert stand.service.views.searched is stand.service.views.topology
    assert stand.service.views.topology.former(IndexUid("films")) is None


async def test_former_copy_that_lags_is_not_read(stand: Stand) -> None:
    """Within the bound of the best it may be read while it catches up; a former one never does."""
    former = await stand.films(8, shards=1, replication=2)
    views = stand.service.views
    stand.log.create(docs_topic(NEW, 1))
    stand.applies = False
    late, other = sorted(views.topology.replicas_of(former.uid, ShardId(0)), key=lambda replica: replica.node)
    seen = views.progress.of(late)
    assert seen is not None
    behind = replace(seen, cursor=Position(seen.cursor - 1))
    stand.log.append(Append(PROGRESS, Partition(0), build_progress_key(behind), build_progress(behind)))
    assert await views.wait_for(lambda: views.progress.of(late) == behind or None, timeout_s=60.0)
    assert set(stand.service.readable(former)[0]) == {late.node, other.node}

    await ask(stand, "pause_index", reason="its log was trimmed")
    await ask(stand, "replace_log", topic=NEW, incarnation=former.incarnation)

    assert stand.service.readable(former) == ((other.node,),)
