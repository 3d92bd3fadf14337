"""Batches as they are shown: told by their tasks."""

from typing import Any

import pytest

from miroir.node.protocol import tasks
from miroir.node.protocol.batches import view_batch
from miroir.node.protocol.tasks import Task, Work

SECOND = 1_000_000_000


def member(uid: int, **more: Any) -> Task:
    """Return a task that was run from second 1 to 3."""
    own: dict[str, Any] = {
        "index_uid": "a",
        "type": tasks.DOCUMENTS,
        "status": "succeeded",
        "enqueued_ns": 0,
        "work": Work("replace", {}),
        "details": {"receivedDocuments": 2, "indexedDocuments": 2},
        "started_ns": SECOND,
        "finished_ns": 3 * SECOND,
    }
    return Task(uid, **{**own, **more})


def test_batch_tells_the_sums_of_its_tasks() -> None:
    """Counts are added, statuses, types and indexes are counted, times span all tasks."""
    failed = member(2, status="failed", details={"receivedDocuments": 3, "indexedDocuments": 0})
    deletion = member(3, type=tasks.DOCUMENT_DELETION, details={"providedIds": 1, "deletedDocuments": 1})

    shown = view_batch(7, [member(1), failed, deletion])

    assert shown["details"] == {
        "receivedDocuments": 5,
        "indexedDocuments": 2,
        "providedIds": 1,
        "deletedDocuments": 1,
    }
    assert shown["stats"]["status"] == {"succeeded": 2, "failed": 1}
    assert shown["stats"]["types"] == {tasks.DOCUMENTS: 2, tasks.DOCUMENT_DELETION: 1}
    assert (shown["stats"]["totalNbTasks"], shown["stats"]["indexUids"]) == (3, {"a": 3})
    assert (shown["uid"], shown["progress"], shown["duration"]) == (7, None, "PT2.000000000S")


def test_running_batch_has_progress_and_no_end() -> None:
    """Until its tasks have finished nobody knows how long it takes."""
    shown = view_batch(7, [member(1, status="processing", finished_ns=None)])

    assert shown["progress"] is not None
    assert (shown["duration"], shown["finishedAt"]) == (None, None)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tasks.DOCUMENTS, "batched all enqueued tasks"),
        (tasks.INDEX_CREATION, "created batch containing only task with id 1 of type `indexCreation`"),
        (tasks.INDEX_DELETION, "stopped after task with id 1 because it deletes the index"),
        (tasks.TASK_DELETION, "stopped after the last task of type `taskDeletion`"),
    ],
)
def test_batch_says_why_it_ended(kind: str, words: str) -> None:
    """In a real node's words."""
    assert view_batch(7, [member(1, type=kind)])["batchStrategy"].startswith(words)
