"""The task queue on disk: what clients cannot time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from miroir.node.protocol import tasks
from miroir.node.protocol.task_filters import TaskFilters
from miroir.node.protocol.tasks import Work
from miroir.node.sqlite.queue_store import NewTask, QueueStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[QueueStore]:
    """An empty queue."""
    queue = QueueStore(str(tmp_path / "queue.sqlite"))
    yield queue
    queue.close()


def accept(store: QueueStore, kind: str = "replace", type_: str = tasks.DOCUMENTS) -> tasks.Task:
    """Accept one task."""
    (task,) = store.accept([NewTask("a", type_, Work(kind, {}), {}, 1, payload=b'[{"id":1}]')])
    return task


def test_task_canceled_after_it_was_chosen_is_not_run(store: QueueStore) -> None:
    """A task that is canceled between the choice of a batch and its start stays canceled: its payload is gone."""
    gone, kept = accept(store), accept(store)
    chosen = [task.uid for task in store.waiting()]
    cancelation = accept(store, "cancel", tasks.TASK_CANCELATION)
    store.cancel(cancelation, TaskFilters(uids=(gone.uid,)), 2)

    _, started = store.start(chosen, 3)

    assert [task.uid for task in started] == [kept.uid]
    canceled = store.get(gone.uid)
    assert canceled is not None
    assert (canceled.status, canceled.canceled_by) == ("canceled", cancelation.uid)
