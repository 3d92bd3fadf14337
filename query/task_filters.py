"""Which tasks a list asks for.

What always holds: conditions of different kinds must all hold, of one kind any; ``*`` or nothing is no condition. Who
calls it: the task routes. It must not know: where tasks are kept.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from query.counts import parse_count
from query.task_book import Task
from query.task_dates import DateBound, parse_bounds
from query.task_status import TaskStatus
from schemas.errors import InvalidInputError, InvalidRequestError
from schemas.ids import INDEX_UID_BYTES_MAX, parse_index_uid

LIMIT_DEFAULT = 20

TYPES = (
    *("documentAdditionOrUpdate", "documentEdition", "documentDeletion", "settingsUpdate", "indexCreation"),
    *("indexDeletion", "indexUpdate", "indexSwap", "taskCancelation", "taskDeletion", "dumpCreation"),
    *("snapshotCreation", "export", "upgradeDatabase", "indexCompaction", "networkTopologyChange"),
)
"""Every type of task that Meilisearch knows."""

PARAMETERS = (
    *("limit", "from", "reverse", "batchUids", "uids", "canceledBy", "types", "statuses", "indexUids"),
    *("afterEnqueuedAt", "beforeEnqueuedAt", "afterStartedAt", "beforeStartedAt", "afterFinishedAt"),
    "beforeFinishedAt",
)
"""Every parameter that Meilisearch has."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """A list's conditions and window; None is no condition."""

    uids: frozenset[int] | None = None
    statuses: frozenset[str] | None = None
    types: frozenset[str] | None = None
    indexes: frozenset[str] | None = None
    batches: frozenset[int] | None = None
    cancelers: frozenset[int] | None = None
    bounds: tuple[DateBound, ...] = ()
    limit: int = LIMIT_DEFAULT
    start: int | None = None
    reverse: bool = False

    def matches(self, task: Task) -> bool:
        """Return whether the task meets the conditions; the window apart."""
        return (
            (self.uids is None or task.uid in self.uids)
            and (self.statuses is None or task.outcome.status in self.statuses)
            and (self.types is None or task.record.type in self.types)
            and (self.indexes is None or task.record.index in self.indexes)
            and (self.batches is None or (task.started_ms is not None and task.uid in self.batches))
            # No task can be cancelled.
            and self.cancelers is None
            and (not self.bounds or self._is_within(task))
        )

    def _is_within(self, task: Task) -> bool:
        moments = {"Enqueued": task.record.enqueued_ms, "Started": task.started_ms, "Finished": task.ended_ms}
        return all(bound.holds(moments) for bound in self.bounds)


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a list; ``next_uid`` begins the next one, ``total`` counts all that match."""

    tasks: tuple[Task, ...]
    total: int
    next_uid: int | None

    @property
    def first_uid(self) -> int | None:
        """Return the uid of the page's first task."""
        return self.tasks[0].uid if self.tasks else None


def parse_task_filter(parameters: Mapping[str, str]) -> TaskFilter:
    """Return what the parameters ask; all of them are in ``PARAMETERS``.

    Raises:
        InvalidRequestError: a value is not what it should be.
    """
    return TaskFilter(
        uids=_set(parameters, "uids", partial(_parse_uid, "uids", "invalid_task_uids")),
        statuses=_set(parameters, "statuses", _parse_status),
        types=_set(parameters, "types", _parse_type),
        indexes=_set(parameters, "indexUids", _parse_index),
        batches=_set(parameters, "batchUids", partial(_parse_uid, "batchUids", "invalid_batch_uids")),
        cancelers=_set(parameters, "canceledBy", partial(_parse_uid, "canceledBy", "invalid_task_canceled_by")),
        bounds=parse_bounds(parameters),
        limit=LIMIT_DEFAULT if (limit := _count(parameters, "limit", "invalid_task_limit")) is None else limit,
        start=_count(parameters, "from", "invalid_task_from"),
        reverse=_flag(parameters, "reverse", "invalid_task_reverse"),
    )


def cut_page(tasks: Iterable[Task], wanted: TaskFilter) -> TaskPage:
    """Return the page; ``tasks`` come newest first, or oldest first where the filter is reversed."""
    matching = [task for task in tasks if wanted.matches(task)]
    window = [task for task in matching if _is_behind(task.uid, wanted)]
    page = window[: wanted.limit]
    following = window[wanted.limit : wanted.limit + 1]
    return TaskPage(tuple(page), len(matching), following[0].uid if following else None)


def _is_behind(uid: int, wanted: TaskFilter) -> bool:
    if wanted.start is None:
        return True
    return uid >= wanted.start if wanted.reverse else uid <= wanted.start


def _set(parameters: Mapping[str, str], name: str, parse: Callable[[str], T]) -> frozenset[T] | None:
    text = parameters.get(name)
    if text is None or text == "*":
        return None
    return frozenset(parse(item.strip()) for item in text.split(","))


def _parse_uid(name: str, code: str, text: str) -> int:
    if (uid := parse_count(text)) is not None:
        return uid
    message = f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer"
    raise InvalidRequestError(code, message)


def _parse_index(text: str) -> str:
    try:
        return parse_index_uid(text)
    except InvalidInputError:
        message = (
            f"Invalid value in parameter `indexUids`: `{text}` is not a valid index uid. Index uid can be an integer or"
            " a string containing only alphanumeric characters, hyphens (-) and underscores (_),"
            f" and can not be more than {INDEX_UID_BYTES_MAX} bytes."
        )
        raise InvalidRequestError("invalid_index_uid", message) from None


def _parse_status(text: str) -> str:
    return _one_of(text, tuple(TaskStatus), "statuses", "a valid task status. Available statuses are")


def _parse_type(text: str) -> str:
    return _one_of(text, TYPES, "types", "a valid task type. Available types are")


def _one_of(text: str, known: Sequence[str], name: str, words: str) -> str:
    for each in known:
        if text.lower() == each.lower():
            return each
    listed = ", ".join(f"`{each}`" for each in known)
    message = f"Invalid value in parameter `{name}`: `{text}` is not {words} {listed}."
    raise InvalidRequestError(f"invalid_task_{name}", message)


def _count(parameters: Mapping[str, str], name: str, code: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if (count := parse_count(text)) is not None:
        return count
    message = f"Invalid value in parameter `{name}`: could not parse `{text}` as a positive integer"
    raise InvalidRequestError(code, message)


def _flag(parameters: Mapping[str, str], name: str, code: str) -> bool:
    text = parameters.get(name, "false")
    if text in ("true", "false"):
        return text == "true"
    expected = "as a boolean, expected either `true` or `false`"
    raise InvalidRequestError(code, f"Invalid value in parameter `{name}`: could not parse `{text}` {expected}")
