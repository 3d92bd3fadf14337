"""Lists of tasks: conditions and windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.task_book import Task
from query.task_filters import TaskFilter, cut_page, parse_task_filter
from query.task_status import RUNNING, WAITING, Outcome, TaskStatus
from schemas.errors import InvalidRequestError
from schemas.ids import IndexUid, TaskUid
from schemas.tasks import TaskRecord

OUTCOMES = (RUNNING, Outcome(TaskStatus.SUCCEEDED), Outcome(TaskStatus.FAILED))


def _tasks(count: int) -> list[Task]:
    """Tasks by rising uid, over two indexes, two types and three statuses."""
    return [
        Task(
            TaskUid(uid),
            TaskRecord(("settingsUpdate", "indexCreation")[uid % 2], IndexUid("ab"[uid % 2]), None, 0),
            OUTCOMES[uid % 3],
        )
        for uid in range(count)
    ]


@given(st.integers(0, 30), st.integers(1, 7), st.booleans())
def test_pages_followed_by_next_list_every_task_once(count: int, limit: int, reverse: bool) -> None:  # noqa: FBT001 - Hypothesis names it
    """Following ``next`` from page to page lists every task once, in order."""
    tasks = _tasks(count) if reverse else _tasks(count)[::-1]
    listed: list[int] = []
    start: int | None = None
    while True:
        page = cut_page(tasks, TaskFilter(limit=limit, start=start, reverse=reverse))
        listed += [task.uid for task in page.tasks]
        assert page.total == count
        if page.next_uid is None:
            break
        start = page.next_uid

    assert listed == [task.uid for task in tasks]


def test_conditions_must_all_hold() -> None:
    """Conditions of different kinds are joined by and, of one kind by or."""
    wanted = parse_task_filter({"statuses": "failed,succeeded", "indexUids": "a", "types": "settingsUpdate"})

    assert [task.uid for task in cut_page(_tasks(12), wanted).tasks] == [2, 4, 8, 10]


def test_batches_dates_and_cancelations_are_conditions_too() -> None:
    """A task is its own batch once it has started; none is ever cancelled; all of these were enqueued in 1970."""
    tasks = _tasks(6)
    tasks[4].outcome = WAITING

    def listed(**parameters: str) -> list[int]:
        return [task.uid for task in cut_page(tasks, parse_task_filter(parameters)).tasks]

    assert listed(batchUids="3,4") == [3]
    assert listed(canceledBy="1") == []
    assert listed(afterEnqueuedAt="1970-01-01") == []
    assert listed(beforeStartedAt="1970-01-02") == [0, 1, 2, 3, 5]


def test_star_is_no_condition() -> None:
    """A star means any."""
    assert parse_task_filter({"statuses": "*", "uids": "*"}) == TaskFilter()


def test_limit_of_zero_lists_nothing() -> None:
    """A limit of zero is a question for the total."""
    page = cut_page(_tasks(3), parse_task_filter({"limit": "0"}))

    assert (page.tasks, page.total) == ((), 3)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("statuses", "bogus", "invalid_task_statuses"),
        ("types", "bogus", "invalid_task_types"),
        ("uids", "a", "invalid_task_uids"),
        ("uids", "9" * 5000, "invalid_task_uids"),
        ("limit", str(2**64), "invalid_task_limit"),
        ("indexUids", "films,!", "invalid_index_uid"),
        ("limit", "-1", "invalid_task_limit"),
        ("from", "x", "invalid_task_from"),
        ("reverse", "yes", "invalid_task_reverse"),
        ("batchUids", "x", "invalid_batch_uids"),
        ("canceledBy", "x", "invalid_task_canceled_by"),
        ("afterEnqueuedAt", "x", "invalid_task_after_enqueued_at"),
    ],
)
def test_bad_value_is_refused_with_its_code(name: str, value: str, code: str) -> None:
    """Each parameter has Meilisearch's own code."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_task_filter({name: value})

    assert caught.value.code == code


def test_bad_status_is_refused_in_meilisearchs_words() -> None:
    """The message lists what there is."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_task_filter({"statuses": "bogus"})

    assert str(caught.value) == (
        "Invalid value in parameter `statuses`: `bogus` is not a valid task status. Available statuses are"
        " `enqueued`, `processing`, `succeeded`, `failed`, `canceled`."
    )
