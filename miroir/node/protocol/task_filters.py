"""Which tasks a request means: the filters of ``GET /tasks``, of cancelation and of deletion.

What always holds: a field that is None does not restrict. Who calls it: task routes; the queue store turns it into SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.index_uids import check_index_uid
from miroir.node.protocol.instants import parse_instant
from miroir.node.protocol.tasks import STATUSES, TYPES
from miroir.node.protocol.values import (
    UID_MAX,
    check_parameters,
    parameter_boolean,
    parameter_count,
    parameter_list,
    parse_digits,
)

_DATES = (
    "afterEnqueuedAt",
    "beforeEnqueuedAt",
    "afterStartedAt",
    "beforeStartedAt",
    "afterFinishedAt",
    "beforeFinishedAt",
)
_LIST_ONLY = ("limit", "from", "reverse", "batchUids")
_FILTERS = ("uids", "canceledBy", "types", "statuses", "indexUids", *_DATES)
_TOLD = (
    *("uids", "indexUids", "statuses", "types", "canceledBy", "beforeEnqueuedAt", "afterEnqueuedAt"),
    *("beforeStartedAt", "afterStartedAt", "beforeFinishedAt", "afterFinishedAt"),
)
"""The filters in the order in which the real node names them where none is given."""

_LIMIT_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class TaskFilters:
    """What tasks must have; None does not restrict.

    Attributes:
        dates: pairs of filter name (``beforeEnqueuedAt`` …) and exclusive bound in nanoseconds.
        allowed: names and patterns of the indexes whose tasks the bearer may touch; tasks of no one index are not his.
    """

    uids: tuple[int, ...] | None = None
    batch_uids: tuple[int, ...] | None = None
    index_uids: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    canceled_by: tuple[int, ...] | None = None
    dates: tuple[tuple[str, int], ...] = ()
    allowed: tuple[str, ...] | None = None

    def narrowed(self, indexes: tuple[str, ...]) -> "TaskFilters":
        """Return the filters of a bearer who may touch these indexes only: names and patterns, ``*`` for all."""
        return self if "*" in indexes else replace(self, allowed=indexes)


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks: newest first unless ``reverse``; ``start`` is the first uid looked at, inclusive."""

    filters: TaskFilters
    limit: int
    start: int | None
    reverse: bool


def parse_page(query: Mapping[str, str]) -> TaskPage:
    """Return what ``GET /tasks`` asks for."""
    check_parameters(query, (*_LIST_ONLY, *_FILTERS))
    start = query.get("from")
    return TaskPage(
        filters=_parse_filters(query),
        limit=parameter_count(query, "limit", "invalid_task_limit", _LIMIT_DEFAULT),
        start=None if start is None else parameter_count(query, "from", "invalid_task_from", 0),
        reverse=bool(parameter_boolean(query, "reverse", "invalid_task_reverse")),
    )


def parse_selection(query: Mapping[str, str], purpose: str) -> TaskFilters:
    """Return which tasks to cancel or delete; at least one filter is needed.

    Args:
        query: the request's query string.
        purpose: what for, for the message.
    """
    if not query:
        listed = ", ".join(f"`{name}`" for name in _TOLD)
        text = (
            f"Query parameters to filter the tasks to {purpose} are missing. Available query parameters are: {listed}."
        )
        raise ApiError("missing_task_filters", text)
    check_parameters(query, ("uids", "batchUids", *_FILTERS[1:]))
    return _parse_filters(query)


def show_filters(query_string: str) -> str:
    """Return the filter text that a task's details repeat."""
    return f"?{query_string}"


def view_page(tasks: list[dict[str, Any]], *, total: int, limit: int, following: int | None) -> dict[str, Any]:
    """Return the body of ``GET /tasks``; ``following`` is the uid the next page starts at."""
    first = tasks[0]["uid"] if tasks else None
    return {"results": tasks, "total": total, "limit": limit, "from": first, "next": following}


def _parse_filters(query: Mapping[str, str]) -> TaskFilters:
    return TaskFilters(
        uids=_uids(query, "uids", "invalid_task_uids"),
        batch_uids=_uids(query, "batchUids", "invalid_batch_uids"),
        index_uids=_index_uids(query),
        statuses=_names(query, "statuses", STATUSES, "status", "invalid_task_statuses"),
        types=_names(query, "types", TYPES, "type", "invalid_task_types"),
        canceled_by=_uids(query, "canceledBy", "invalid_task_canceled_by"),
        dates=tuple((name, _date(query[name], name)) for name in _DATES if name in query),
    )


def _everything_or(items: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if items is None or "*" in items:
        return None
    return () if items == ("",) else items


def _index_uids(query: Mapping[str, str]) -> tuple[str, ...] | None:
    items = _everything_or(parameter_list(query, "indexUids"))
    for place, item in enumerate(items or ()):
        at = f"indexUids[{place}]" if len(items or ()) > 1 else "indexUids"
        check_index_uid(item, at, parameter=True)
    return items


def _uids(query: Mapping[str, str], name: str, code: str) -> tuple[int, ...] | None:
    items = _everything_or(parameter_list(query, name))
    if items is None:
        return None
    uids: list[int] = []
    for place, item in enumerate(items):
        uid = parse_digits(item, UID_MAX)
        if uid is None:
            reason = f"could not parse `{item}` as a positive integer"
            at = f"{name}[{place}]" if len(items) > 1 else name
            raise ApiError(code, f"Invalid value in parameter `{at}`: {reason}")
        uids.append(uid)
    return tuple(uids)


def _names(query: Mapping[str, str], name: str, known: tuple[str, ...], noun: str, code: str) -> tuple[str, ...] | None:
    items = _everything_or(parameter_list(query, name))
    if items is None:
        return None
    spelled = {known_name.lower(): known_name for known_name in known}
    for item in items:
        if item.lower() not in spelled:
            plural = "statuses" if noun == "status" else "types"
            listed = ", ".join(f"`{known_name}`" for known_name in known)
            reason = f"`{item}` is not a valid task {noun}. Available {plural} are {listed}."
            if noun == "status":
                reason = f"`{item}` is not a valid task status. Available statuses are {listed}."
            raise ApiError(code, f"Invalid value in parameter `{name}`: {reason}")
    return tuple(spelled[item.lower()] for item in items)


def _date(text: str, name: str) -> int:
    instant = parse_instant(text, date_rounds_up=name.startswith("after"))
    if instant is None:
        code = "invalid_task_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        expected = "It should follow the YYYY-MM-DD or RFC 3339 date-time format"
        raise ApiError(code, f"Invalid value in parameter `{name}`: `{text}` is an invalid date-time. {expected}.")
    return instant
