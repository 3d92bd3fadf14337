"""The routes that write documents: what is produced, what is answered, what becomes of the task."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import orjson
import pytest

from query.freshness import parse_token
from schemas.events import PartitionerName
from schemas.ids import IndexUid, Partition
from streams.partitioning import partition_of
from streams.topics import TASKS
from tests.query.http.stand import Stand, dead_letter, films


async def test_post_of_documents_is_visible_once_its_task_succeeded(stand: Stand) -> None:
    """A post answers 202 with a task; when that has succeeded, searches show the documents."""
    await stand.films(0)

    posted = await stand.call("POST", "/indexes/films/documents", films(5))
    task = await stand.finished(posted)
    found = await stand.call("POST", "/indexes/films/search", {"q": "film"})

    assert posted.body.keys() == {"taskUid", "indexUid", "status", "type", "enqueuedAt"}
    assert (task["status"], task["type"]) == ("succeeded", "documentAdditionOrUpdate")
    assert task["details"] == {"receivedDocuments": 5, "indexedDocuments": 5}
    assert found.body["estimatedTotalHits"] == 5


async def test_post_of_documents_appends_them_as_they_are_under_their_ids(stand: Stand) -> None:
    """A record's key is the id as text, its partition the key's, its value the document's own bytes."""
    index = await stand.films(0)
    raw = b'[{"id": 7,  "n": 1.10}, {"id":"x-1","n":18446744073709551615}]'

    posted = await stand.call("POST", "/indexes/films/documents", raw=raw)

    found = {
        record.key: (shard, record.value)
        for shard in range(index.shards)
        for record in stand.log.records(index.topic, shard)
    }
    assert found == {
        key: (partition_of(key, index.shards, PartitionerName.MURMUR2), value)
        for key, value in ((b"7", b'{"id": 7,  "n": 1.10}'), (b"x-1", b'{"id":"x-1","n":18446744073709551615}'))
    }
    token = parse_token(posted.headers["X-Miroir-Token"])
    assert token[IndexUid("films")].keys() == {shard for shard, _ in found.values()}


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("application/x-ndjson", b'{"id":1}\n{"id":2}\n'),
        ("text/csv", b"id\n1\n2\n"),
        ("application/json; charset=utf-8", b'[{"id":1},{"id":2}]'),
    ],
)
async def test_post_in_every_format_is_taken(stand: Stand, kind: str, raw: bytes) -> None:
    """JSON, lines and CSV give documents alike."""
    await stand.films(0)

    posted = await stand.call("POST", "/indexes/films/documents", raw=raw, headers={"Content-Type": kind})
    await stand.finished(posted)

    assert (await stand.call("GET", "/indexes/films/stats")).body["numberOfDocuments"] == 2


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress)]
)
async def test_post_compressed_is_taken(stand: Stand, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    """A compressed body is a body; one whose end is missing is none."""
    await stand.films(0)
    raw = compress(orjson.dumps(films(3)))

    posted = await stand.call("POST", "/indexes/films/documents", raw=raw, headers={"Content-Encoding": encoding})
    cut = await stand.call("POST", "/indexes/films/documents", raw=raw[:-1], headers={"Content-Encoding": encoding})

    assert (await stand.finished(posted))["details"]["receivedDocuments"] == 3
    assert cut.error == (400, "bad_request")


async def test_post_large_enough_for_a_thread_is_taken(stand: Stand) -> None:
    """A large body takes another way, to the same end."""
    await stand.films(0)
    documents = [{"id": number, "text": "x" * 1000} for number in range(400)]

    posted = await stand.call("POST", "/indexes/films/documents", documents)

    assert (await stand.finished(posted))["details"]["indexedDocuments"] == 400


async def test_post_too_large_after_decompression_is_413() -> None:
    """The bound holds for what a body becomes."""
    async with Stand(settings={"MIROIR_BODY_BYTES_MAX": str(1024 * 1024)}) as stand:
        await stand.films(0)
        raw = gzip.compress(b'[{"id":1,"text":"' + b"x" * 2_000_000 + b'"}]')
        posted = await stand.call("POST", "/indexes/films/documents", raw=raw, headers={"Content-Encoding": "gzip"})

    assert posted.error == (413, "payload_too_large")


async def test_post_of_a_document_that_fits_in_no_post_is_413() -> None:
    """What a worker could only set aside is refused at once, whatever the broker would take."""
    async with Stand(settings={"MIROIR_POST_BYTES_MAX": str(1024 * 1024)}) as stand:
        await stand.films(0)
        posted = await stand.call("POST", "/indexes/films/documents", [{"id": 1, "text": "x" * 1_048_576}])

    assert posted.error == (413, "payload_too_large")
    assert "1048576 bytes" in posted.body["message"]


async def test_post_to_no_index_makes_it_with_an_inferred_primary_key(stand: Stand) -> None:
    """The index is asked for and the key inferred, once, before anything is produced."""
    posted = await stand.call("POST", "/indexes/new/documents", [{"movie_id": 1, "title": "x"}])
    await stand.finished(posted)

    index = await stand.call("GET", "/indexes/new")
    assert index.body["primaryKey"] == "movie_id"
    assert (await stand.call("GET", "/indexes/new/documents/1")).body == {"movie_id": 1, "title": "x"}


async def test_post_to_index_without_primary_key_names_it(stand: Stand) -> None:
    """An index that has none gets the one that the first post infers."""
    await stand.finished(await stand.call("POST", "/indexes", {"uid": "plain"}))

    await stand.finished(await stand.call("POST", "/indexes/plain/documents", [{"a": 1, "uuid": "u"}]))

    assert (await stand.call("GET", "/indexes/plain")).body["primaryKey"] == "uuid"


async def test_post_with_primary_key_parameter_names_it(stand: Stand) -> None:
    """The parameter wins over inference."""
    path = "/indexes/new/documents?primaryKey=b_id"

    await stand.finished(await stand.call("POST", path, [{"a_id": 1, "b_id": 2}]))

    assert (await stand.call("GET", "/indexes/new/documents/2")).status == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/indexes/films/documents", [{"title": "no id"}], "missing_document_id"),
        ("/indexes/films/documents", [{"id": 1}, {"id": "bad id!"}], "invalid_document_id"),
        ("/indexes/films/documents", [{"id": 1}, {"id": 1.5, "n": 1}], "invalid_document_id"),
        ("/indexes/films/documents?primaryKey=other", [{"id": 5}], "index_primary_key_already_exists"),
        ("/indexes/new/documents", [{"a": 1}], "index_primary_key_no_candidate_found"),
        ("/indexes/new/documents", [{"a_id": 1, "b_id": 2}], "index_primary_key_multiple_candidates_found"),
    ],
)
async def test_post_that_meilisearch_fails_as_a_task_is_a_failed_task(
    stand: Stand, path: str, body: Any, code: str
) -> None:
    """The whole post fails, in the task, and nothing of it is produced."""
    index = await stand.films(0)

    task = await stand.finished(await stand.call("POST", path, body))

    assert (task["status"], task["error"]["code"]) == ("failed", code)
    assert task["details"] == {"receivedDocuments": len(body), "indexedDocuments": 0}
    assert not any(stand.log.records(index.topic, shard) for shard in range(index.shards))


async def test_post_of_a_reserved_field_is_refused_at_once(stand: Stand) -> None:
    """A document that Meilisearch would take and we cannot is a clear 400."""
    await stand.films(0)

    posted = await stand.call("POST", "/indexes/films/documents", [{"id": 1, "_miroir": "x"}])

    assert posted.error == (400, "invalid_document_fields")


async def test_post_of_nothing_is_a_task_that_succeeds(stand: Stand) -> None:
    """An empty list is a post."""
    await stand.films(0)

    posted = await stand.call("POST", "/indexes/films/documents", [])

    assert (await stand.finished(posted))["details"] == {"receivedDocuments": 0, "indexedDocuments": 0}


async def test_post_with_a_dead_letter_fails_with_its_reason(stand: Stand) -> None:
    """A record set aside later costs only itself, and the task says so."""
    index = await stand.films(4)
    shard = next(shard for shard in range(index.shards) if stand.log.records(index.topic, shard))
    stand.put_dead(dead_letter(index, shard, len(stand.log.records(index.topic, shard))))

    posted = await stand.call("POST", "/indexes/films/documents", films(4))
    task = await stand.finished(posted)

    assert (task["status"], task["error"]["code"]) == ("failed", "invalid_document_geo_field")
    assert task["details"] == {"receivedDocuments": 4, "indexedDocuments": 3}


async def test_post_keeps_the_users_metadata(stand: Stand) -> None:
    """``customMetadata`` comes back in the answer and in the task."""
    await stand.films(0)

    posted = await stand.call("POST", "/indexes/films/documents?customMetadata=mine", films(1))

    assert posted.body["customMetadata"] == "mine"
    assert (await stand.finished(posted))["customMetadata"] == "mine"


async def test_post_with_kafka_away_is_503_and_searches_go_on(stand: Stand) -> None:
    """Writes fail with a hint to retry; reads use the last view."""
    await stand.films()
    stand.log.away = True

    posted = await stand.call("POST", "/indexes/films/documents", films(1))
    found = await stand.call("POST", "/indexes/films/search", {})
    health = await stand.call("GET", "/health")
    stand.log.away = False

    assert posted.error == (503, "miroir_log_unavailable")
    assert posted.headers["Retry-After"]
    assert (found.status, health.status) == (200, 200)


async def test_post_after_delete_and_create_goes_to_the_new_index(stand: Stand) -> None:
    """Deleting, creating and posting without waiting is normal use: the documents belong to the new index."""
    old = await stand.films(3)

    await stand.call("DELETE", "/indexes/films")
    await stand.call("POST", "/indexes", {"uid": "films", "primaryKey": "id"})
    posted = await stand.call("POST", "/indexes/films/documents", [{"id": 100}])
    await stand.finished(posted)

    new = stand.service.views.topology.index(IndexUid("films"))
    assert new.incarnation != old.incarnation
    assert (await stand.call("GET", "/indexes/films/stats")).body["numberOfDocuments"] == 1


async def test_post_while_no_controller_answers_is_503(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post that needs an index made gives up after a while, with a hint."""
    monkeypatch.setattr("query.http.writes.ANSWER_WAIT_S", 0.05)
    stand.controls = False

    posted = await stand.call("POST", "/indexes/new/documents", films(1))

    assert posted.error == (503, "miroir_unavailable")
    assert "is a worker running?" in posted.body["message"]


async def test_delete_of_documents_takes_them_away(stand: Stand) -> None:
    """One, or a batch; what can be no id names nothing; deleting twice is no error."""
    await stand.films(6)

    one = await stand.call("DELETE", "/indexes/films/documents/2")
    batch = await stand.call("POST", "/indexes/films/documents/delete-batch", [3, "4", "bad id!", 99])
    again = await stand.call("DELETE", "/indexes/films/documents/2")
    none = await stand.call("DELETE", "/indexes/films/documents/bad!id")
    tasks = [await stand.finished(reply) for reply in (one, batch, again, none)]

    found = await stand.call("POST", "/indexes/films/search", {})
    assert sorted(hit["id"] for hit in found.body["hits"]) == [0, 1, 5]
    assert {task["status"] for task in tasks} == {"succeeded"}
    assert tasks[1]["details"] == {"providedIds": 4, "deletedDocuments": None, "originalFilter": None}


@pytest.mark.parametrize("path", ["/indexes/nope/documents/1", "/indexes/nope/documents"])
async def test_delete_of_documents_of_no_index_is_a_failed_task(stand: Stand, path: str) -> None:
    """As in Meilisearch, which finds that out in the task."""
    task = await stand.finished(await stand.call("DELETE", path))

    assert (task["status"], task["error"]["code"]) == ("failed", "index_not_found")


async def test_delete_of_all_documents_leaves_the_index_empty(stand: Stand) -> None:
    """Those that are not visible yet go too, those posted afterwards stay, and the task says how many went."""
    index = await stand.films(6)
    stand.applies = False
    await stand.call("POST", "/indexes/films/documents", [{"id": 100}])

    deleted = await stand.call("DELETE", "/indexes/films/documents?customMetadata=mine")
    later = await stand.call("POST", "/indexes/films/documents", [{"id": 3}])
    stand.applies = True
    task = await stand.finished(deleted)
    await stand.finished(later)
    again = await stand.finished(await stand.call("DELETE", "/indexes/films/documents/3"))
    nothing = await stand.finished(await stand.call("DELETE", "/indexes/films/documents"))

    assert (task["status"], task["type"], task["customMetadata"]) == ("succeeded", "documentDeletion", "mine")
    assert (task["details"], nothing["details"]) == ({"deletedDocuments": 7}, {"deletedDocuments": 0})
    assert again["status"] == "succeeded"
    assert parse_token(deleted.headers["X-Miroir-Token"])[index.uid]
    assert (await stand.call("GET", "/indexes/films/stats")).body["numberOfDocuments"] == 0


async def test_delete_of_all_documents_with_kafka_away_is_503(stand: Stand) -> None:
    """Nothing is known to be deleted: it may be asked for again."""
    await stand.films(3)
    stand.log.away = True

    answer = await stand.call("DELETE", "/indexes/films/documents")
    stand.log.away = False

    assert answer.error == (503, "miroir_log_unavailable")
    assert answer.headers["Retry-After"]


async def test_task_record_is_written_after_the_documents(stand: Stand) -> None:
    """With Kafka refusing a document nothing says that it was taken."""
    index = await stand.films(0)
    before = len(stand.log.records(TASKS))

    posted = await stand.call("POST", "/indexes/films/documents", [{"id": 1, "text": "x" * 1_100_000}])

    assert posted.error == (413, "payload_too_large")
    assert len(stand.log.records(TASKS)) == before
    assert not stand.log.records(index.topic, Partition(0))


@pytest.mark.parametrize(
    ("method", "path", "raw", "error"),
    [
        ("PUT", "/indexes/films/documents", b"[]", (501, "miroir_not_supported")),
        ("DELETE", "/indexes/films/documents?foo=1", None, (400, "bad_request")),
        ("DELETE", "/indexes/bad%20uid/documents", None, (400, "invalid_index_uid")),
        ("POST", "/indexes/films/documents/delete", b"{}", (400, "missing_document_filter")),
        ("POST", "/indexes/films/documents/delete", b'{"filter":"a = 1"}', (501, "miroir_not_supported")),
        ("POST", "/indexes/films/documents?foo=1", b"[]", (400, "bad_request")),
        ("POST", "/indexes/films/documents?csvDelimiter=ab", b"[]", (400, "invalid_document_csv_delimiter")),
        ("POST", "/indexes/bad%20uid/documents", b"[]", (400, "invalid_index_uid")),
        ("POST", "/indexes/films/documents", b"", (400, "missing_payload")),
        ("POST", "/indexes/films/documents/delete-batch", b"{}", (400, "malformed_payload")),
    ],
)
async def test_write_that_cannot_be_is_refused(
    stand: Stand, method: str, path: str, raw: bytes | None, error: tuple[int, str]
) -> None:
    """What is wrong, or not built yet, says so."""
    headers = {"Content-Type": "application/json"}

    assert (await stand.call(method, path, raw=raw, headers=headers)).error == error
