"""Routes of tasks and batches."""

import time
from dataclasses import replace
from typing import Any

from aiohttp import web

from miroir.node.protocol import tasks
from miroir.node.protocol.batches import view_batch
from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.task_filters import parse_page, parse_selection, show_filters, view_page
from miroir.node.protocol.tasks import Work, view_summary, view_task
from miroir.node.protocol.values import UID_MAX, parse_digits
from miroir.node.server.http import answer, node_of
from miroir.node.sqlite.queue_store import NewTask


def add_task_routes(app: web.Application) -> None:
    """Register the routes."""
    app.router.add_get("/tasks", list_tasks, allow_head=False)
    app.router.add_delete("/tasks", delete_tasks)
    app.router.add_post("/tasks/cancel", cancel_tasks)
    app.router.add_get("/tasks/{uid}", get_task, allow_head=False)
    app.router.add_get("/batches", list_batches, allow_head=False)
    app.router.add_get("/batches/{uid}", get_batch, allow_head=False)


async def list_tasks(request: web.Request) -> web.Response:
    """GET /tasks."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "tasks.get")
    page = permit_page(request, permit.indexes)
    found, total, following = await node.in_queue(lambda: node.queue.page(page))
    shown = [view_task(task) for task in found]
    return answer(view_page(shown, total=total, limit=page.limit, following=following))


def permit_page(request: web.Request, indexes: tuple[str, ...]) -> Any:
    """Return the page asked for, narrowed to the indexes the bearer may see."""
    page = parse_page(request.query)
    return replace(page, filters=page.filters.narrowed(indexes))


async def get_task(request: web.Request) -> web.Response:
    """GET /tasks/{uid}."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "tasks.get")
    text = request.match_info["uid"]
    uid = parse_digits(text, UID_MAX)
    if uid is None:
        message = f"Task uid `{text}` is invalid. It should only contain numeric characters."
        raise ApiError("invalid_task_uids", message)
    task = await node.in_queue(lambda: node.queue.get(uid))
    if task is None or not (permit.allows(task.index_uid) if task.index_uid is not None else "*" in permit.indexes):
        raise ApiError("task_not_found", f"Task `{text}` not found.")
    return answer(view_task(task))


async def cancel_tasks(request: web.Request) -> web.Response:
    """POST /tasks/cancel."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "tasks.cancel")
    filters = parse_selection(request.query, "cancel").narrowed(permit.indexes)
    text = show_filters(request.query_string)
    details = {"matchedTasks": 0, "canceledTasks": None, "originalFilter": text}
    work = Work("cancel", {"query": dict(request.query), "indexes": permit.indexes})
    new = NewTask(None, tasks.TASK_CANCELATION, work, details, time.time_ns())
    return answer(view_summary(await node.cancel_tasks(new, filters)))


async def delete_tasks(request: web.Request) -> web.Response:
    """DELETE /tasks."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "tasks.delete")
    filters = parse_selection(request.query, "delete").narrowed(permit.indexes)
    text = show_filters(request.query_string)
    details = {"matchedTasks": 0, "deletedTasks": None, "originalFilter": text}
    work = Work("prune", {"query": dict(request.query), "indexes": permit.indexes})
    new = NewTask(None, tasks.TASK_DELETION, work, details, time.time_ns())
    return answer(view_summary(await node.prune_tasks(new, filters)))


async def list_batches(request: web.Request) -> web.Response:
    """GET /batches."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "tasks.get")
    page = permit_page(request, permit.indexes)
    found, total, following = await node.in_queue(lambda: node.queue.batches(page))
    shown = [view_batch(uid, members) for uid, members in found.items()]
    return answer(view_page(shown, total=total, limit=page.limit, following=following))


async def get_batch(request: web.Request) -> web.Response:
    """GET /batches/{uid}."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "tasks.get")
    text = request.match_info["uid"]
    uid = parse_digits(text, UID_MAX)
    if uid is None:
        message = f"Batch uid `{text}` is invalid. It should only contain numeric characters."
        raise ApiError("invalid_batch_uids", message)
    page = permit_page(request, permit.indexes)
    one = replace(page, filters=replace(page.filters, batch_uids=(uid,)), limit=1, start=None)
    found, _, _ = await node.in_queue(lambda: node.queue.batches(one))
    if uid not in found:
        raise ApiError("batch_not_found", f"Batch `{text}` not found.")
    return answer(view_batch(uid, found[uid]))
