"""The routes that Meilisearch has and miroir has not built yet: 501, naming the route.

What always holds: nothing is forwarded blindly; what is wrong with a request in the first place is said in the words of
Meilisearch, as if the route were there. Who calls it: the application. It must not know: why.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from query.api_keys import check_key_change, check_new_key
from query.http.bodies import json_response, read_json
from query.http.errors import not_supported
from query.swaps import check_swaps
from schemas.errors import InvalidRequestError

TASK_FILTERS = (
    *("uids", "indexUids", "statuses", "types", "canceledBy", "beforeEnqueuedAt", "afterEnqueuedAt"),
    *("beforeStartedAt", "afterStartedAt", "beforeFinishedAt", "afterFinishedAt"),
)
"""What names the tasks to cancel or to delete, in the order in which Meilisearch's message lists it."""

FEATURES = (
    *("metrics", "logsRoute", "editDocumentsByFunction", "containsFilter", "dynamicSearchRules", "network"),
    *("getTaskDocumentsRoute", "taskQueueCompactionRoute", "compositeEmbedders", "chatCompletions", "multimodal"),
    *("foreignKeys", "disableDocumentsFetchQueue", "legacySearch", "renderRoute"),
)
"""Meilisearch 1.50's experimental features; none is on."""

PATHS: tuple[tuple[str, str], ...] = (
    ("GET", "/keys"),
    ("GET", "/keys/{key}"),
    ("DELETE", "/keys/{key}"),
    ("POST", "/dumps"),
    ("POST", "/snapshots"),
    ("POST", "/export"),
    ("*", "/batches"),
    ("*", "/batches/{batch}"),
    ("POST", "/tasks/compact"),
    ("GET", "/tasks/{task}/documents"),
    ("PATCH", "/experimental-features"),
    ("*", "/network"),
    ("*", "/webhooks"),
    ("*", "/webhooks/{webhook}"),
    ("POST", "/logs/stream"),
    ("DELETE", "/logs/stream"),
    ("POST", "/logs/stderr"),
    ("*", "/chats"),
    ("*", "/chats/{workspace}/settings"),
    ("POST", "/chats/{workspace}/chat/completions"),
    ("POST", "/indexes/{uid}/compact"),
    ("GET", "/indexes/{uid}/fields"),
    ("POST", "/indexes/{uid}/fields"),
    ("*", "/indexes/{uid}/settings/foreign-keys"),
    ("*", "/indexes/{uid}/settings/chat"),
)


async def unsupported(request: web.Request) -> web.Response:
    """Answer 501."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else request.path
    raise not_supported(f"The route {request.method} {path}")


def _task_filters(verb: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the route that cancels or deletes tasks."""

    async def answer(request: web.Request) -> web.Response:
        if not request.query:
            listed = ", ".join(f"`{name}`" for name in TASK_FILTERS)
            message = f"Query parameters to filter the tasks to {verb} are missing. Available query parameters are: "
            raise InvalidRequestError("missing_task_filters", f"{message}{listed}.")
        return await unsupported(request)

    return answer


async def swap_indexes(request: web.Request) -> web.Response:
    """Answer 501 to swaps that Meilisearch would take."""
    check_swaps(await read_json(request))
    return await unsupported(request)


async def make_key(request: web.Request) -> web.Response:
    """Answer 501 to keys that Meilisearch would make."""
    check_new_key(await read_json(request))
    return await unsupported(request)


async def change_key(request: web.Request) -> web.Response:
    """Answer 501 to changes of keys that Meilisearch would take."""
    check_key_change(await read_json(request))
    return await unsupported(request)


async def edit_documents(_request: web.Request) -> web.Response:
    """Refuse edits by function, as every Meilisearch does whose experimental features are off."""
    message = (
        "Using the documents edit route requires enabling the `edit documents by function` experimental feature."
        " See https://github.com/orgs/meilisearch/discussions/762"
    )
    raise InvalidRequestError("feature_not_enabled", message)


async def experimental_features(_request: web.Request) -> web.Response:
    """Answer that no experimental feature is on."""
    features: Mapping[str, bool] = dict.fromkeys(FEATURES, False)
    return json_response(features)


ROUTES = (
    *(web.route(method, path, unsupported) for method, path in PATHS),
    web.delete("/tasks", _task_filters("delete")),
    web.post("/tasks/cancel", _task_filters("cancel")),
    web.post("/swap-indexes", swap_indexes),
    web.post("/keys", make_key),
    web.patch("/keys/{key}", change_key),
    web.post("/indexes/{uid}/documents/edit", edit_documents),
    web.get("/experimental-features", experimental_features),
)
