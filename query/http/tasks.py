"""The task routes: one task, and lists.

Who calls it: the application. It must not know: how a status is derived.
"""

from aiohttp import web

from query.counts import parse_count
from query.http.bodies import json_response, read_parameters
from query.http.service import Service, service_of
from query.http.task_views import show_task
from query.task_filters import PARAMETERS, cut_page, parse_task_filter
from schemas.errors import InvalidRequestError, NotFoundError
from schemas.ids import TaskUid
from streams.topics import DEAD, TASKS

NEW_TASK_WAIT_S = 1.0
"""How long a task that was answered a moment ago, maybe by another process, may take to come back from the log."""

NEW_TASKS_MAX = 1_000
"""Uids this far beyond the last one read may be of tasks on their way; one further away is no task."""


async def get_task(request: web.Request) -> web.Response:
    """Answer ``GET /tasks/{uid}``."""
    text = request.match_info["task"]
    number = parse_count(text)
    if number is None:
        message = f"Task uid `{text}` is invalid. It should only contain numeric characters."
        raise InvalidRequestError("invalid_task_uids", message)
    service = service_of(request)
    uid = TaskUid(number)
    _require_folded(service)
    if 0 <= uid - service.views.position(TASKS) < NEW_TASKS_MAX:
        await service.views.wait_for(
            lambda: True if uid < service.views.position(TASKS) else None, timeout_s=NEW_TASK_WAIT_S
        )
    task = service.views.tasks.get(uid)
    if task is None:
        raise NotFoundError("task", text)
    return json_response(show_task(task))


async def list_tasks(request: web.Request) -> web.Response:
    """Answer ``GET /tasks``."""
    parameters = read_parameters(request, PARAMETERS)
    wanted = parse_task_filter(parameters)
    service = service_of(request)
    _require_folded(service)
    tasks = service.views.tasks
    page = cut_page(tasks.oldest_first() if wanted.reverse else tasks.newest_first(), wanted)
    return json_response(
        {
            "results": [show_task(task) for task in page.tasks],
            "total": page.total,
            "limit": wanted.limit,
            "from": page.first_uid,
            "next": page.next_uid,
        }
    )


def _require_folded(service: Service) -> None:
    if not (service.views.has_folded(TASKS) and service.views.has_folded(DEAD)):
        raise InvalidRequestError("miroir_unavailable", "the tasks have not been read from the log yet")


ROUTES = (
    web.get("/tasks", list_tasks),
    web.get("/tasks/{task}", get_task),
)
