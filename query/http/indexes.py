"""The routes of indexes: list, get, create, change the primary key, delete.

What always holds: what changes an index is a request, answered by the controller, and a task that names the request.
Who calls it: the application. It must not know: what the controller decides.
"""

from typing import Any

from aiohttp import web

from query.body import wrong_type
from query.http.bodies import json_response, read_count, read_fields, read_json, read_parameters
from query.http.errors import not_supported
from query.http.service import Service, checked_uid, index_of, service_of, uid_of
from query.http.task_views import summarise, to_rfc3339
from query.http.writes import task_now
from schemas.errors import InvalidRequestError
from schemas.events import IndexRecord
from schemas.ids import IndexUid
from schemas.requests import CreateIndex, DeleteIndex, Request, SetPrimaryKey

LIMIT_DEFAULT = 20

_CREATE_FIELDS = ("uid", "primaryKey")
_UPDATE_FIELDS = ("uid", "primaryKey")


async def list_indexes(request: web.Request) -> web.Response:
    """Answer ``GET /indexes``."""
    parameters = read_parameters(request, ("offset", "limit"))
    offset = read_count(parameters, "offset", 0, "invalid_index_offset")
    limit = read_count(parameters, "limit", LIMIT_DEFAULT, "invalid_index_limit")
    indexes = [index for _, index in sorted(service_of(request).views.topology.indexes.items())]
    results = [show_index(index) for index in indexes[offset : offset + limit]]
    return json_response({"results": results, "offset": offset, "limit": limit, "total": len(indexes)})


async def get_index(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}``."""
    return json_response(show_index(index_of(request)))


async def create_index(request: web.Request) -> web.Response:
    """Answer ``POST /indexes``."""
    read_parameters(request, ())
    body = read_fields(await read_json(request), _CREATE_FIELDS)
    if "uid" not in body:
        raise InvalidRequestError("missing_index_uid", "Missing field `uid`")
    uid = body["uid"]
    if not isinstance(uid, str):
        error = wrong_type(uid, "invalid_index_uid", ".uid", "a string")
        raise InvalidRequestError(error.code, str(error))
    uid = checked_uid(uid, "Invalid value at `.uid`: ")
    primary_key = _primary_key(body)
    return await ask(
        service_of(request), CreateIndex(uid, primary_key), "indexCreation", uid, {"primaryKey": primary_key}
    )


async def update_index(request: web.Request) -> web.Response:
    """Answer ``PATCH /indexes/{uid}``: the primary key; renaming is not built yet."""
    read_parameters(request, ())
    uid = uid_of(request)
    body = read_fields(await read_json(request), _UPDATE_FIELDS)
    if body.get("uid") is not None:
        raise not_supported("PATCH /indexes/{indexUid} with `uid` (renaming)")
    primary_key = _primary_key(body)
    if primary_key is None:
        raise not_supported("PATCH /indexes/{indexUid} without a `primaryKey`")
    asked = SetPrimaryKey(uid, primary_key)
    return await ask(service_of(request), asked, "indexUpdate", uid, {"primaryKey": primary_key})


async def delete_index(request: web.Request) -> web.Response:
    """Answer ``DELETE /indexes/{uid}``."""
    read_parameters(request, ())
    uid = uid_of(request)
    return await ask(service_of(request), DeleteIndex(uid), "indexDeletion", uid, {"deletedDocuments": None})


async def ask(service: Service, asked: Request, kind: str, uid: IndexUid, details: dict[str, Any]) -> web.Response:
    """Append a request and the task that names it; answer 202 without waiting for the controller.

    Raises:
        LogUnavailableError: no broker answers.
    """
    index = service.views.topology.indexes.get(uid)
    offset = await service.writes.append_request(asked)
    incarnation = index.incarnation if index is not None and kind != "indexCreation" else None
    record = task_now(kind, uid, incarnation=incarnation, request=offset, details=details)
    return json_response(summarise(await service.writes.append_task(record), record), status=202)


def show_index(index: IndexRecord) -> dict[str, Any]:
    """Return the index as Meilisearch shows it."""
    return {
        "uid": index.uid,
        "createdAt": to_rfc3339(index.created_ms),
        "updatedAt": to_rfc3339(index.updated_ms),
        "primaryKey": index.primary_key,
    }


def _primary_key(body: Any) -> str | None:
    primary_key = body.get("primaryKey")
    if primary_key is None or isinstance(primary_key, str):
        return primary_key
    error = wrong_type(primary_key, "invalid_index_primary_key", ".primaryKey", "a string")
    raise InvalidRequestError(error.code, str(error))


ROUTES = (
    web.get("/indexes", list_indexes),
    web.post("/indexes", create_index),
    web.get("/indexes/{uid}", get_index),
    web.patch("/indexes/{uid}", update_index),
    web.delete("/indexes/{uid}", delete_index),
)
