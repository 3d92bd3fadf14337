"""The task book: order within an index, final outcomes, a bound."""

from hypothesis import given
from hypothesis import strategies as st

from query.task_book import KEPT_MAX, TaskBook
from query.task_status import RUNNING, Outcome, TaskStatus
from schemas.ids import IndexUid, Offset, Partition, Position, TaskUid
from schemas.tasks import TaskRecord, build_task
from streams.log import LogBatch, LogRecord
from streams.topics import TASKS

DONE = Outcome(TaskStatus.SUCCEEDED, seen_ms=50)


def _batch(records: list[TaskRecord], start: int = 0) -> LogBatch:
    found = tuple(LogRecord(Offset(start + n), 0, None, build_task(each)) for n, each in enumerate(records))
    return LogBatch(TASKS, Partition(0), Position(start), Position(start + len(found)), found)


def _task(index: str) -> TaskRecord:
    return TaskRecord("documentAdditionOrUpdate", IndexUid(index), None, 10)


@given(st.lists(st.sampled_from("ab"), max_size=12), st.lists(st.sets(st.integers(0, 11)), max_size=6))
def test_tasks_of_one_index_finish_in_order(indexes: list[str], done: list[set[int]]) -> None:
    """However copies progress, no task is final before the ones of its index before it; final ones stay so."""
    book = TaskBook()
    records = [_task(index) for index in indexes]
    book.fold([_batch(records)])
    final: set[int] = set()
    for finished in done:
        names = {id(task.record): task.uid for task in book.oldest_first()}
        book.settle(lambda record, f=finished, n=names: DONE if n[id(record)] in f else RUNNING, 60)  # type: ignore[misc]  # defaults bind the loop's values
        now = {task.uid for task in book.oldest_first() if task.outcome.status.is_final}
        assert final <= now
        for uid in now:
            assert all(other in now for other in range(uid) if indexes[other] == indexes[uid])
        final = set(now)


def test_task_folded_twice_is_one() -> None:
    """Redelivery adds nothing and takes no outcome back."""
    book = TaskBook()
    book.fold([_batch([_task("a")])])
    book.settle(lambda _: DONE, 60)
    book.fold([_batch([_task("a")])])

    (task,) = book.newest_first()
    assert (task.outcome, task.finished_ms) == (DONE, 50)


def test_finished_time_is_never_before_the_task() -> None:
    """Copies that had it before it was recorded do not make it end before it began."""
    book = TaskBook()
    book.fold([_batch([_task("a")])])
    book.settle(lambda _: Outcome(TaskStatus.SUCCEEDED, seen_ms=3), 60)

    (task,) = book.newest_first()
    assert task.finished_ms == task.record.enqueued_ms


def test_book_keeps_the_newest_tasks_only() -> None:
    """Old tasks are forgotten, pending ones among them, and do not hold up later ones."""
    book = TaskBook()
    book.fold([_batch([_task("a")] * (KEPT_MAX + 5))])

    assert len(book) == KEPT_MAX
    assert book.get(TaskUid(4)) is None
    assert book.settle(lambda _: DONE, 60)
    assert all(task.outcome is DONE for task in book.oldest_first())
