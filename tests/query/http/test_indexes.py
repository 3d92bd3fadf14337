"""The routes of indexes."""

from typing import Any

import pytest

from tests.query.http.stand import Stand


async def test_index_created_is_there_once_its_task_succeeded(stand: Stand) -> None:
    """Creation is a task that ends when the nodes have the index."""
    task = await stand.finished(await stand.call("POST", "/indexes", {"uid": "films", "primaryKey": "id"}))

    index = await stand.call("GET", "/indexes/films")
    assert (task["status"], task["details"]) == ("succeeded", {"primaryKey": "id"})
    assert index.body["primaryKey"] == "id"
    assert index.body.keys() == {"uid", "createdAt", "updatedAt", "primaryKey"}


async def test_index_created_twice_fails_in_its_task(stand: Stand) -> None:
    """The controller's refusal is the task's error, in Meilisearch's words."""
    await stand.call("POST", "/indexes", {"uid": "films"})
    task = await stand.finished(await stand.call("POST", "/indexes", {"uid": "films"}))

    assert task["error"]["code"] == "index_already_exists"
    assert task["error"]["message"] == "Index `films` already exists."


async def test_index_deleted_is_gone_once_its_task_succeeded(stand: Stand) -> None:
    """Deletion is a task; deleting what is not there fails in it."""
    await stand.films(0)

    gone = await stand.finished(await stand.call("DELETE", "/indexes/films"))
    again = await stand.finished(await stand.call("DELETE", "/indexes/films"))

    assert gone["status"] == "succeeded"
    assert (again["status"], again["error"]["code"]) == ("failed", "index_not_found")
    assert (await stand.call("GET", "/indexes/films")).error == (404, "index_not_found")


async def test_index_primary_key_is_changed_by_patch(stand: Stand) -> None:
    """The first primary key is a request and a task like others."""
    await stand.finished(await stand.call("POST", "/indexes", {"uid": "films"}))
    task = await stand.finished(await stand.call("PATCH", "/indexes/films", {"primaryKey": "sku"}))

    assert (task["status"], task["type"]) == ("succeeded", "indexUpdate")
    assert (await stand.call("GET", "/indexes/films")).body["primaryKey"] == "sku"


async def test_indexes_are_listed_by_name_in_pages(stand: Stand) -> None:
    """Lists have offset, limit and total."""
    for uid in ("c", "a", "b"):
        await stand.finished(await stand.call("POST", "/indexes", {"uid": uid}))

    page = await stand.call("GET", "/indexes?offset=1&limit=1")

    assert [index["uid"] for index in page.body["results"]] == ["b"]
    assert (page.body["offset"], page.body["limit"], page.body["total"]) == (1, 1, 3)


@pytest.mark.parametrize(
    ("method", "path", "body", "error", "message"),
    [
        ("POST", "/indexes", {}, (400, "missing_index_uid"), "Missing field `uid`"),
        ("POST", "/indexes", {"uid": 1}, (400, "invalid_index_uid"), "Invalid value type at `.uid`"),
        ("POST", "/indexes", {"uid": "bad uid!"}, (400, "invalid_index_uid"), "Invalid value at `.uid`: `bad uid!`"),
        (
            "POST",
            "/indexes",
            {"uid": "x", "foo": 1},
            (400, "bad_request"),
            "Unknown field `foo`: expected one of `uid`, `primaryKey`",
        ),
        ("POST", "/indexes", {"uid": "x", "primaryKey": 1}, (400, "invalid_index_primary_key"), "Invalid value type"),
        ("PATCH", "/indexes/x", {"uid": "y"}, (501, "miroir_not_supported"), "PATCH"),
        ("PATCH", "/indexes/x", {}, (501, "miroir_not_supported"), "PATCH"),
        ("GET", "/indexes?limit=a", None, (400, "invalid_index_limit"), "Invalid value in parameter `limit`"),
        ("GET", "/indexes?foo=1", None, (400, "bad_request"), "Unknown parameter `foo`"),
    ],
)
async def test_index_request_that_is_wrong_is_refused(
    stand: Stand, method: str, path: str, body: Any, error: tuple[int, str], message: str
) -> None:
    """Fields and parameters are judged as Meilisearch judges them."""
    reply = await stand.call(method, path, body)

    assert reply.error == error
    assert reply.body["message"].startswith(message)
