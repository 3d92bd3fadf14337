"""The task routes."""

import pytest

from tests.query.http.stand import Stand, films


async def test_task_has_every_field_of_meilisearch(stand: Stand) -> None:
    """A finished task has Meilisearch's shape, times and duration included."""
    await stand.films(0)
    task = await stand.finished(await stand.call("POST", "/indexes/films/documents", films(1)))

    assert list(task) == [
        *("uid", "batchUid", "indexUid", "status", "type", "canceledBy", "details", "error", "duration"),
        *("enqueuedAt", "startedAt", "finishedAt"),
    ]
    assert task["enqueuedAt"] <= task["startedAt"] <= task["finishedAt"]
    assert task["duration"].startswith("PT")


async def test_task_waits_for_those_before_it(stand: Stand) -> None:
    """A later task of an index is not done before an earlier one."""
    await stand.films(0)
    stand.applies = False
    await stand.call("POST", "/indexes/films/documents", films(2))
    empty = await stand.call("POST", "/indexes/films/documents", [])

    before = await stand.call("GET", f"/tasks/{empty.body['taskUid']}")
    stand.applies = True

    assert before.body["status"] == "enqueued"
    assert (await stand.finished(empty))["status"] == "succeeded"


async def test_tasks_are_listed_newest_first_with_next(stand: Stand) -> None:
    """A list is a window over the tasks that match."""
    await stand.films(1)
    await stand.finished(await stand.call("POST", "/indexes/films/documents", films(2)))

    page = (await stand.call("GET", "/tasks?limit=1")).body
    following = (await stand.call("GET", f"/tasks?limit=5&from={page['next']}&statuses=succeeded")).body

    assert (page["total"], page["limit"], page["from"]) == (2, 1, page["results"][0]["uid"])
    assert [task["uid"] for task in following["results"]] == [page["next"]]


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/tasks/999999", (404, "task_not_found"), "Task `999999` not found."),
        ("/tasks/3", (404, "task_not_found"), "Task `3` not found."),
        ("/tasks/abc", (400, "invalid_task_uids"), "Task uid `abc` is invalid. It should only contain numeric"),
        ("/tasks?statuses=bogus", (400, "invalid_task_statuses"), "Invalid value in parameter `statuses`"),
        ("/tasks?foo=1", (400, "bad_request"), "Unknown parameter `foo`"),
        (
            "/tasks?afterStartedAt=x",
            (400, "invalid_task_after_started_at"),
            "Invalid value in parameter `afterStartedAt`: `x`",
        ),
    ],
)
async def test_task_question_that_is_wrong_is_refused(
    stand: Stand, path: str, error: tuple[int, str], message: str
) -> None:
    """Codes and words are Meilisearch's."""
    reply = await stand.call("GET", path)

    assert reply.error == error
    assert reply.body["message"].startswith(message)
