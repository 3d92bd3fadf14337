"""A task as Meilisearch shows it."""

from typing import Any

import pytest

from query.http.task_views import show_task, summarise, to_rfc3339
from query.task_book import Task
from query.task_status import Outcome, TaskStatus
from schemas.ids import IndexUid, TaskUid
from schemas.tasks import TaskRecord

FIELDS = {
    *("uid", "batchUid", "indexUid", "status", "type", "canceledBy", "details", "error", "duration", "enqueuedAt"),
    *("startedAt", "finishedAt"),
}
"""What Meilisearch 1.50 gives."""


def make_task(outcome: Outcome, kind: str = "documentAdditionOrUpdate", **details: Any) -> Task:
    """Return a task of one index, finished 1.5 s after it was enqueued where it is final."""
    record = TaskRecord(kind, IndexUid("films"), None, 1_700_000_000_000, details=details)
    return Task(TaskUid(7), record, outcome, 1_700_000_001_500 if outcome.status.is_final else 0)


@pytest.mark.parametrize("status", list(TaskStatus))
def test_task_has_every_field_whatever_its_status(status: TaskStatus) -> None:
    """Clients read fields by name; a task that has begun has a start, a final one an end and a duration."""
    shown = show_task(make_task(Outcome(status, "internal", "…"), receivedDocuments=3))

    assert shown.keys() == FIELDS
    assert (shown["startedAt"] is None) is (status is TaskStatus.ENQUEUED)
    assert (shown["finishedAt"] is None) is (shown["duration"] is None) is (not status.is_final)
    assert (shown["error"] is None) is (status is not TaskStatus.FAILED)


@pytest.mark.parametrize(
    ("outcome", "indexed"),
    [
        (Outcome(TaskStatus.PROCESSING), None),
        (Outcome(TaskStatus.SUCCEEDED), 3),
        (Outcome(TaskStatus.FAILED, "invalid_document_id", "…"), 0),
        (Outcome(TaskStatus.FAILED, "invalid_document_geo_field", "…", refused=1), 2),
        (Outcome(TaskStatus.FAILED, "invalid_document_geo_field", "…", refused=9), 0),
    ],
)
def test_task_says_how_many_documents_went_in(outcome: Outcome, indexed: int | None) -> None:
    """All, none, or all but those set aside; nobody knows before it is final."""
    assert show_task(make_task(outcome, receivedDocuments=3))["details"] == {
        "receivedDocuments": 3,
        "indexedDocuments": indexed,
    }


@pytest.mark.parametrize(("status", "deleted"), [(TaskStatus.PROCESSING, None), (TaskStatus.SUCCEEDED, 5)])
def test_task_says_how_many_documents_were_deleted_once_they_are(status: TaskStatus, deleted: int | None) -> None:
    """As in Meilisearch, which counts at the end."""
    shown = show_task(make_task(Outcome(status), "documentDeletion", deletedDocuments=5))

    assert shown["details"] == {"deletedDocuments": deleted}


def test_summary_is_what_a_client_gets_at_once() -> None:
    """The user's metadata is in it where there is some."""
    plain = TaskRecord("indexCreation", None, None, 1_700_000_000_123)
    told = TaskRecord("indexCreation", None, None, 1_700_000_000_123, custom_metadata="mine")

    assert summarise(TaskUid(3), plain) == {
        "taskUid": 3,
        "indexUid": None,
        "status": "enqueued",
        "type": "indexCreation",
        "enqueuedAt": "2023-11-14T22:13:20.123Z",
    }
    assert summarise(TaskUid(3), told)["customMetadata"] == "mine"


def test_instants_are_rfc3339_with_milliseconds() -> None:
    """Zeros are kept: clients parse a fixed width."""
    assert to_rfc3339(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
