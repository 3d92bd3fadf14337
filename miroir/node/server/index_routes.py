"""Routes of indexes, their settings and stats, swaps."""

import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from miroir.node.indexing.ports import IndexRecord
from miroir.node.protocol import tasks
from miroir.node.protocol.errors import ApiError, index_not_found
from miroir.node.protocol.index_uids import check_index_uid
from miroir.node.protocol.instants import format_instant
from miroir.node.protocol.tasks import Work, view_summary
from miroir.node.protocol.values import check_parameters, parameter_count
from miroir.node.server.http import answer, node_of, read_json
from miroir.node.sqlite.queue_store import NewTask
from schemas.meilisearch_settings import SETTINGS_FIELDS, SUB_ROUTES, read_setting, read_settings
from schemas.meilisearch_values import check_fields, read_object, read_string, read_strings, show_json

_PAIR = 2


def add_index_routes(app: web.Application) -> None:
    """Register the routes."""
    app.router.add_get("/indexes", list_indexes, allow_head=False)
    app.router.add_post("/indexes", create_index)
    app.router.add_get("/indexes/{uid}", get_index, allow_head=False)
    app.router.add_patch("/indexes/{uid}", update_index)
    app.router.add_delete("/indexes/{uid}", delete_index)
    app.router.add_get("/indexes/{uid}/stats", index_stats, allow_head=False)
    app.router.add_get("/stats", all_stats, allow_head=False)
    app.router.add_post("/swap-indexes", swap_indexes)
    app.router.add_get("/indexes/{uid}/settings", get_settings, allow_head=False)
    app.router.add_patch("/indexes/{uid}/settings", change_settings)
    app.router.add_delete("/indexes/{uid}/settings", reset_settings)
    for segment, (name, method) in SUB_ROUTES.items():
        path = f"/indexes/{{uid}}/settings/{segment}"
        app.router.add_get(path, _get_setting(name), allow_head=False)
        app.router.add_route(method, path, _change_setting(name))
        app.router.add_delete(path, _reset_setting(name))


def view_index(record: IndexRecord) -> dict[str, Any]:
    """Return an index as the routes show it."""
    return {
        "uid": record.uid,
        "createdAt": format_instant(record.created_ns),
        "updatedAt": format_instant(record.updated_ns),
        "primaryKey": record.primary_key,
    }


async def find_index(request: web.Request, action: str) -> IndexRecord:
    """Return the index a route names, if the bearer may touch it."""
    uid = request.match_info["uid"]
    node_of(request).authorise(request.headers.get("Authorization"), action, uid)
    check_index_uid(uid)
    record = await node_of(request).in_search(lambda catalog: catalog.find(uid))
    if record is None:
        raise index_not_found(uid)
    return record


async def list_indexes(request: web.Request) -> web.Response:
    """GET /indexes."""
    permit = node_of(request).authorise(request.headers.get("Authorization"), "indexes.get")
    check_parameters(request.query, ("offset", "limit"))
    offset = parameter_count(request.query, "offset", "invalid_index_offset", 0)
    limit = parameter_count(request.query, "limit", "invalid_index_limit", 20)
    records = await node_of(request).in_search(lambda catalog: catalog.records())
    allowed = [record for record in records if permit.allows(record.uid)]
    shown = [view_index(record) for record in allowed[offset : offset + limit]]
    return answer({"results": shown, "offset": offset, "limit": limit, "total": len(allowed)})


async def get_index(request: web.Request) -> web.Response:
    """GET /indexes/{uid}."""
    return answer(view_index(await find_index(request, "indexes.get")))


async def create_index(request: web.Request) -> web.Response:
    """POST /indexes."""
    permit = node_of(request).authorise(request.headers.get("Authorization"), "indexes.create")
    body = read_object(await read_json(request))
    check_fields(body, ("uid", "primaryKey"))
    if "uid" not in body:
        raise ApiError("missing_index_uid", "Missing field `uid`")
    uid = check_index_uid(read_string(body["uid"], "invalid_index_uid", ".uid"), ".uid")
    permit.check(uid)
    primary_key = _primary_key(body.get("primaryKey"))
    work = Work("create_index", {"primary_key": primary_key})
    return await _accept(request, uid, tasks.INDEX_CREATION, work, {"primaryKey": primary_key})


def _primary_key(value: Any) -> str | None:
    return None if value is None else read_string(value, "invalid_index_primary_key", ".primaryKey")


async def _accept(
    request: web.Request, uid: str | None, kind: str, work: Work, details: Mapping[str, Any]
) -> web.Response:
    new = NewTask(uid, kind, work, dict(details), time.time_ns())
    return answer(view_summary(await node_of(request).accept(new)), 202)


async def update_index(request: web.Request) -> web.Response:
    """PATCH /indexes/{uid}."""
    uid = request.match_info["uid"]
    node_of(request).authorise(request.headers.get("Authorization"), "indexes.update", uid)
    check_index_uid(uid)
    body = read_object(await read_json(request))
    for name in ("createdAt", "updatedAt"):
        if name in body:
            code = f"immutable_index_{name[:-2]}_at"
            raise ApiError(code, f"Immutable field `{name}`: expected one of `primaryKey`, `uid`")
    check_fields(body, ("primaryKey", "uid"))
    primary_key = _primary_key(body.get("primaryKey"))
    details: dict[str, Any] = {"primaryKey": primary_key}
    new_uid = body.get("uid")
    if new_uid is not None:
        check_index_uid(read_string(new_uid, "invalid_index_uid", ".uid"), ".uid")
        details |= {"oldIndexUid": uid, "newIndexUid": new_uid}
    work = Work("update_index", {"primary_key": primary_key, "new_uid": new_uid})
    return await _accept(request, uid, tasks.INDEX_UPDATE, work, details)


async def delete_index(request: web.Request) -> web.Response:
    """DELETE /indexes/{uid}."""
    uid = request.match_info["uid"]
    node_of(request).authorise(request.headers.get("Authorization"), "indexes.delete", uid)
    check_index_uid(uid)
    details = {"deletedDocuments": None}
    return await _accept(request, uid, tasks.INDEX_DELETION, Work("delete_index", {}), details)


async def swap_indexes(request: web.Request) -> web.Response:
    """POST /swap-indexes."""
    permit = node_of(request).authorise(request.headers.get("Authorization"), "indexes.swap")
    body = await read_json(request)
    swaps = []
    for place, item in enumerate(body if isinstance(body, list) else [body]):
        fields = read_object(item, "bad_request", f"[{place}]")
        check_fields(fields, ("indexes", "rename"), f"[{place}]")
        if "indexes" not in fields:
            raise ApiError("missing_swap_indexes", f"Missing field `indexes` inside `[{place}]`")
        pair = list(read_strings(fields["indexes"], "invalid_swap_indexes", f"[{place}].indexes"))
        if len(pair) != _PAIR:
            text = (
                "Two indexes must be given for each swap. The list"
                f" `[{', '.join(map(show_json, pair))}]` contains {len(pair)} indexes."
            )
            raise ApiError("invalid_swap_indexes", text)
        for uid in pair:
            check_index_uid(uid, f"[{place}].indexes")
            permit.check(uid)
        swaps.append({"indexes": pair, "rename": bool(fields.get("rename", False))})
    _refuse_duplicates(swaps)
    return await _accept(request, None, tasks.INDEX_SWAP, Work("swap", {"swaps": swaps}), {"swaps": swaps})


def _refuse_duplicates(swaps: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for swap in swaps:
        for uid in swap["indexes"]:
            if uid in seen:
                text = f"Indexes must be declared only once during a swap. `{uid}` was specified several times."
                raise ApiError("invalid_swap_duplicate_index_found", text)
            seen.add(uid)


# Stats.


def _view_stats(record: IndexRecord, *, is_indexing: bool) -> dict[str, Any]:
    count = record.documents
    return {
        "numberOfDocuments": count,
        "rawDocumentDbSize": record.body_bytes,
        "avgDocumentSize": record.body_bytes // count if count else 0,
        "isIndexing": is_indexing,
        "numberOfEmbeddings": 0,
        "numberOfEmbeddedDocuments": 0,
        "fieldDistribution": dict(sorted(record.distribution.items())),
    }


async def index_stats(request: web.Request) -> web.Response:
    """GET /indexes/{uid}/stats."""
    record = await find_index(request, "stats.get")
    return answer(_view_stats(record, is_indexing=node_of(request).processing_index == record.uid))


async def all_stats(request: web.Request) -> web.Response:
    """GET /stats."""
    node = node_of(request)
    permit = node.authorise(request.headers.get("Authorization"), "stats.get")
    records = [r for r in await node.in_search(lambda catalog: catalog.records()) if permit.allows(r.uid)]
    sizes = node.sizes_bytes()
    last = max((record.updated_ns for record in records), default=None)
    return answer(
        {
            "databaseSize": sizes[0],
            "usedDatabaseSize": sizes[1],
            "lastUpdate": None if last is None else format_instant(last),
            "indexes": {r.uid: _view_stats(r, is_indexing=node.processing_index == r.uid) for r in records},
        }
    )


# Settings.


async def get_settings(request: web.Request) -> web.Response:
    """GET /indexes/{uid}/settings."""
    record = await find_index(request, "settings.get")
    return answer(record.settings)


_RESET_DETAILS = {
    name: ["*"] if name in {"displayedAttributes", "searchableAttributes"} else None for name in SETTINGS_FIELDS
}
"""The details of a task that resets every setting."""


def _check_embedders(changes: Mapping[str, Any]) -> None:
    """Refuse embedders: this node has none."""
    if any(fields is not None for fields in (changes.get("embedders") or {}).values()):
        raise ApiError("miroir_not_supported", "The embedded node does not support `embedders`.")


async def change_settings(request: web.Request) -> web.Response:
    """PATCH /indexes/{uid}/settings."""
    return await _accept_settings(request, read_settings(await _settings_body(request)))


async def reset_settings(request: web.Request) -> web.Response:
    """DELETE /indexes/{uid}/settings."""
    _authorise_settings(request)
    changes = dict.fromkeys(SETTINGS_FIELDS)
    return await _accept_settings(request, changes, details=_RESET_DETAILS, is_reset=True)


async def _settings_body(request: web.Request) -> Any:
    _authorise_settings(request)
    return await read_json(request)


def _authorise_settings(request: web.Request) -> bool:
    uid = request.match_info["uid"]
    permit = node_of(request).authorise(request.headers.get("Authorization"), "settings.update", uid)
    check_index_uid(uid)
    return permit.creates_indexes


async def _accept_settings(
    request: web.Request,
    changes: Mapping[str, Any],
    *,
    details: Mapping[str, Any] | None = None,
    is_reset: bool = False,
) -> web.Response:
    creates = _authorise_settings(request) and not is_reset
    _check_embedders(changes)
    kept = {name: value for name, value in changes.items() if name != "embedders"}
    work = Work("settings", {"changes": kept, "creates": creates})
    uid = request.match_info["uid"]
    if details is None:
        details = {name: _RESET_DETAILS[name] if value is None else value for name, value in changes.items()}
    return await _accept(request, uid, tasks.SETTINGS, work, details)


def _get_setting(name: str) -> Any:
    async def get_setting(request: web.Request) -> web.Response:
        record = await find_index(request, "settings.get")
        return answer(record.settings[name])

    return get_setting


def _change_setting(name: str) -> Any:
    async def change_setting(request: web.Request) -> web.Response:
        body = await _settings_body(request)
        return await _accept_settings(request, {name: read_setting(name, body)})

    return change_setting


def _reset_setting(name: str) -> Any:
    async def reset_setting(request: web.Request) -> web.Response:
        return await _accept_settings(request, {name: None}, is_reset=True)

    return reset_setting
