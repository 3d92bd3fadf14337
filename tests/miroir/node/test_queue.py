"""The task queue as clients see it: batching, failing together, metadata, filters, pruning."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.miroir.node.process import NodeProcess, Reply

pytestmark = pytest.mark.slow

NDJSON = "application/x-ndjson"
HEAVY = b"\n".join(b'{"id":%d,"text":"keeps the indexer busy %d"}' % (n, n) for n in range(4000))


def busy(node: NodeProcess) -> int:
    """Give the indexer work on another index, so that what follows is batched; return the task."""
    reply = node.call("POST", "/indexes/heavy/documents", raw=HEAVY, content_type=NDJSON)
    uid: int = reply.body["taskUid"]
    return uid


def post(node: NodeProcess, index: str, documents: Any, metadata: str | None = None) -> int:
    """Post documents without waiting and return the task."""
    query = "" if metadata is None else f"?customMetadata={metadata}"
    reply = node.call("POST", f"/indexes/{index}/documents{query}", documents)
    assert reply.status == 202, reply
    uid: int = reply.body["taskUid"]
    return uid


def make_key(node: NodeProcess, actions: list[str], indexes: list[str]) -> str:
    """Return the value of a new key."""
    reply = node.call("POST", "/keys", {"actions": actions, "indexes": indexes, "expiresAt": None})
    value: str = reply.body["key"]
    return value


def test_tasks_of_one_index_are_batched(node: NodeProcess) -> None:
    """Consecutive additions and deletions of one index share a batch, tasks of another index do not."""
    busy(node)

    uids = [post(node, "a", [{"id": 1}]), post(node, "b", [{"id": 1}]), post(node, "a", [{"id": 2}])]
    uids.append(node.call("POST", "/indexes/a/documents/delete-batch", ["1"]).body["taskUid"])

    batches = [node.wait(uid)["batchUid"] for uid in uids]
    assert batches[0] == batches[2] == batches[3] != batches[1]
    assert node.call("GET", "/indexes/a/documents").body["results"] == [{"id": 2}]


def test_bad_geo_fails_every_task_of_its_batch(node: NodeProcess) -> None:
    """A bad ``_geo`` where it is filterable fails its neighbours with the same error, and nothing is written."""
    node.run("PATCH", "/indexes/a/settings", {"filterableAttributes": ["_geo"]})
    busy(node)

    good, bad = post(node, "a", [{"id": 1}]), post(node, "a", [{"id": 2, "_geo": "x"}])

    tasks = [node.wait(good), node.wait(bad)]
    assert {task["batchUid"] for task in tasks} == {tasks[0]["batchUid"]}
    assert [task["error"]["code"] for task in tasks] == ["invalid_document_geo_field"] * 2
    assert tasks[0]["error"] == tasks[1]["error"]
    assert node.call("GET", "/indexes/a/stats").body["numberOfDocuments"] == 0


def test_bad_id_fails_only_its_own_task(node: NodeProcess) -> None:
    """A payload with a bad id is refused whole; a task batched beside it succeeds."""
    node.run("POST", "/indexes", {"uid": "a", "primaryKey": "id"})
    busy(node)

    bad, good = post(node, "a", [{"id": 1}, {"id": "no good"}]), post(node, "a", [{"id": 3}])

    assert node.wait(bad)["error"]["code"] == "invalid_document_id"
    assert node.wait(good)["status"] == "succeeded"
    assert node.wait(bad)["batchUid"] == node.wait(good)["batchUid"]
    assert node.call("GET", "/indexes/a/documents").body["results"] == [{"id": 3}]


def test_delete_by_unfilterable_attribute_fails_its_batch(node: NodeProcess) -> None:
    """Deletions batched with a filter nobody may use fail with it."""
    node.run("POST", "/indexes/a/documents", [{"id": 1}])
    busy(node)

    by_filter = node.call("POST", "/indexes/a/documents/delete", {"filter": "x = 1"}).body["taskUid"]
    by_id = node.call("POST", "/indexes/a/documents/delete-batch", ["1"]).body["taskUid"]

    assert node.wait(by_filter)["error"]["code"] == node.wait(by_id)["error"]["code"] == "invalid_document_filter"
    assert node.call("GET", "/indexes/a/stats").body["numberOfDocuments"] == 1


def test_documents_before_index_deletion_succeed_without_effect(node: NodeProcess) -> None:
    """Document tasks batched with their index's deletion succeed with nothing indexed."""
    node.run("POST", "/indexes/a/documents", [{"id": 1}])
    busy(node)

    written = post(node, "a", [{"id": 2}])
    deleted = node.call("DELETE", "/indexes/a").body["taskUid"]

    assert node.wait(written)["details"] == {"receivedDocuments": 1, "indexedDocuments": 0}
    assert node.wait(written)["status"] == "succeeded"
    assert node.wait(deleted)["details"] == {"deletedDocuments": 1}
    assert node.call("GET", "/indexes/a").status == 404
    assert node.call("GET", "/tasks?indexUids=a").body["total"] == 3


def test_post_without_create_right_fails_and_creates_nothing(node: NodeProcess) -> None:
    """A key without ``indexes.create`` gets a task that fails as ``index_not_found``."""
    key = make_key(node, ["documents.*"], ["*"])

    reply = node.call("POST", "/indexes/a/documents", [{"id": 1}], authorization=f"Bearer {key}")

    assert node.wait(reply.body["taskUid"])["error"]["code"] == "index_not_found"
    assert node.call("GET", "/indexes/a").status == 404


def test_key_scopes_limit_actions_and_indexes(node: NodeProcess) -> None:
    """A key opens its actions on its indexes only, and nothing at all once it is deleted."""
    node.run("POST", "/indexes", {"uid": "a1", "primaryKey": "id"})
    value = make_key(node, ["search"], ["a*"])

    def search(index: str) -> Reply:
        return node.call("POST", f"/indexes/{index}/search", {}, authorization=f"Bearer {value}")

    assert search("a1").status == 200
    assert search("b1").status == 403
    assert node.call("GET", "/tasks", authorization=f"Bearer {value}").status == 403
    assert node.call("DELETE", f"/keys/{value}").status == 204
    assert search("a1").status == 403


def test_empty_delete_batch_keeps_its_metadata(node: NodeProcess) -> None:
    """An empty deletion succeeds and its task carries what it was given."""
    node.run("POST", "/indexes", {"uid": "a", "primaryKey": "id"})

    task = node.run("POST", "/indexes/a/documents/delete-batch?customMetadata=%7B%22w%22%3A%201%7D", [])

    assert task["status"] == "succeeded"
    assert task["customMetadata"] == '{"w": 1}'


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "documents", [{"id": 1}]),
        ("PUT", "documents", [{"id": 1}]),
        ("POST", "documents/delete-batch", ["1"]),
        ("POST", "documents/delete", {"filter": "id = 1"}),
        ("DELETE", "documents/1", None),
    ],
    ids=["post", "put", "delete-batch", "delete-by-filter", "delete-one"],
)
def test_metadata_comes_back_in_tasks(node: NodeProcess, method: str, path: str, body: Any) -> None:
    """``customMetadata`` of 20 KB is kept with every kind of document write."""
    node.run("PATCH", "/indexes/a/settings", {"filterableAttributes": ["id"]})
    metadata = '{"range":[0,1]}' * 1_400

    task = node.run(method, f"/indexes/a/{path}?customMetadata={quote(metadata)}", body)

    assert task["customMetadata"] == metadata
    assert node.call("GET", "/tasks?limit=1").body["results"][0]["customMetadata"] == metadata


def test_pruned_tasks_are_gone_and_uids_go_on(node: NodeProcess) -> None:
    """Deleting finished tasks forgets them; the next task still gets a larger uid, after a restart too."""
    last = [node.run("POST", "/indexes/a/documents", [{"id": n}])["uid"] for n in range(3)][-1]

    pruning = node.call("DELETE", f"/tasks?uids=0,{last}").body["taskUid"]

    assert node.wait(pruning)["details"] == {"matchedTasks": 2, "deletedTasks": 2, "originalFilter": "?uids=0,2"}
    assert node.call("GET", "/tasks/0").status == 404
    node.call("DELETE", f"/tasks?uids={pruning}")
    node.stop()
    node.start()
    assert node.run("POST", "/indexes/a/documents", [{"id": 9}])["uid"] > pruning + 1


def test_tasks_page_backwards_and_forwards(node: NodeProcess) -> None:
    """``limit``, ``from``, ``next`` and ``reverse`` walk the list both ways."""
    for n in range(5):
        node.run("POST", "/indexes/a/documents", [{"id": n}])

    newest = node.call("GET", "/tasks?limit=2").body
    older = node.call("GET", f"/tasks?limit=2&from={newest['next']}").body
    oldest = node.call("GET", "/tasks?limit=2&from=1&reverse=true").body

    assert [task["uid"] for task in newest["results"]] == [4, 3]
    assert [task["uid"] for task in older["results"]] == [2, 1]
    assert [task["uid"] for task in oldest["results"]] == [1, 2]
    assert oldest["next"] == 3


def test_canceled_task_never_runs(node: NodeProcess) -> None:
    """An enqueued task that is canceled keeps its place in the list and writes nothing."""
    node.run("POST", "/indexes", {"uid": "a", "primaryKey": "id"})
    busy(node)
    victim = post(node, "a", [{"id": 1}])

    cancelation = node.call("POST", f"/tasks/cancel?uids={victim}").body["taskUid"]

    assert node.wait(victim)["status"] == "canceled"
    assert node.wait(victim)["canceledBy"] == cancelation
    assert node.call("GET", "/indexes/a/stats").body["numberOfDocuments"] == 0


def test_empty_ndjson_is_a_missing_payload(node: NodeProcess) -> None:
    """A post of nothing is refused at once."""
    reply = node.call("POST", "/indexes/a/documents", raw=b"", content_type=NDJSON)

    assert (reply.status, reply.body["code"]) == (400, "missing_payload")


def test_posts_are_accepted_while_the_indexer_is_busy(node: NodeProcess) -> None:
    """Accepting a task does not wait for a running batch."""
    heavy = busy(node)

    uid = post(node, "a", [{"id": 1}])

    assert node.call("GET", f"/tasks/{uid}").body["status"] == "enqueued"
    assert node.wait(heavy)["status"] == node.wait(uid)["status"] == "succeeded"


def test_batches_are_listed_newest_first_and_found_by_uid(node: NodeProcess) -> None:
    """A batch shows the tasks that were run together; filters are those of tasks, pages go by batch."""
    first = node.run("POST", "/indexes/a/documents", [{"id": 1}])
    node.run("POST", "/indexes/b/documents", [{"id": 1}, {"id": 2}])

    listed = node.call("GET", "/batches?limit=1").body
    own = node.call("GET", "/batches?indexUids=a").body
    one = node.call("GET", f"/batches/{first['batchUid']}").body
    missing = node.call("GET", "/batches/4000")

    assert (listed["total"], listed["next"]) == (2, first["batchUid"])
    assert listed["results"][0]["details"] == {"receivedDocuments": 2, "indexedDocuments": 2}
    assert own["results"] == [one]
    assert one["stats"]["indexUids"] == {"a": 1}
    assert (missing.status, missing.body["code"]) == (404, "batch_not_found")


def test_key_of_some_indexes_touches_their_tasks_only(node: NodeProcess) -> None:
    """A key made for a pattern lists, cancels and deletes the tasks of its indexes, and no others."""
    for index in ("mine_1", "mine_2", "yours"):
        node.run("POST", f"/indexes/{index}/documents", [{"id": 1}])
    bearer = f"Bearer {make_key(node, ['tasks.*'], ['mine_*'])}"

    listed = node.call("GET", "/tasks", authorization=bearer).body
    foreign = node.call("GET", "/tasks/2", authorization=bearer)
    deletion = node.call("DELETE", "/tasks?statuses=succeeded", authorization=bearer).body["taskUid"]

    assert [task["indexUid"] for task in listed["results"]] == ["mine_2", "mine_1"]
    assert foreign.body["code"] == "task_not_found"
    assert node.wait(deletion)["details"]["deletedTasks"] == 2
    assert node.call("GET", f"/tasks/{deletion}", authorization=bearer).status == 404
    assert node.call("GET", "/tasks?types=documentAdditionOrUpdate").body["results"][0]["indexUid"] == "yours"


@pytest.mark.parametrize("date", ["0001-01-01", "3000-01-01", "9999-12-31"])
def test_tasks_are_filtered_by_any_date(node: NodeProcess, date: str) -> None:
    """Dates that no clock of a task reaches are bounds like any other."""
    node.run("POST", "/indexes", {"uid": "a"})

    before = node.call("GET", f"/tasks?beforeEnqueuedAt={date}").body["total"]
    after = node.call("GET", f"/tasks?afterEnqueuedAt={date}").body["total"]

    assert (before, after) == ((0, 1) if date.startswith("0") else (1, 0))


def test_key_may_expire_in_a_thousand_years(node: NodeProcess) -> None:
    """A key that is to hold for ever, by a date, does, and is there after a start."""
    body = {"actions": ["search"], "indexes": ["*"], "expiresAt": "9999-12-31T23:59:59Z"}

    reply = node.call("POST", "/keys", body)
    node.stop()
    node.start()

    assert (reply.status, reply.body["expiresAt"]) == (201, "9999-12-31T23:59:59Z")
    assert node.call("GET", f"/keys/{reply.body['uid']}").body == reply.body
