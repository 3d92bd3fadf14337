"""Routes of API keys."""

import time
import uuid

from aiohttp import web

from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.keys import Key, change_key, parse_key, view_key
from miroir.node.protocol.values import check_parameters, parameter_count
from miroir.node.server.http import answer, node_of, read_json


def add_key_routes(app: web.Application) -> None:
    """Register the routes."""
    app.router.add_get("/keys", list_keys, allow_head=False)
    app.router.add_post("/keys", create_key)
    app.router.add_get("/keys/{key}", get_key, allow_head=False)
    app.router.add_patch("/keys/{key}", update_key)
    app.router.add_delete("/keys/{key}", delete_key)


def _find(request: web.Request, action: str) -> tuple[Key, str]:
    node = node_of(request)
    node.authorise(request.headers.get("Authorization"), action)
    wanted = request.match_info["key"]
    for key, value in node.list_keys():
        if wanted in {key.uid, value} or wanted.lower() == key.uid:
            return key, value
    raise ApiError("api_key_not_found", f"API key `{wanted}` not found.")


async def list_keys(request: web.Request) -> web.Response:
    """GET /keys."""
    node = node_of(request)
    node.authorise(request.headers.get("Authorization"), "keys.get")
    check_parameters(request.query, ("offset", "limit"))
    offset = parameter_count(request.query, "offset", "invalid_api_key_offset", 0)
    limit = parameter_count(request.query, "limit", "invalid_api_key_limit", 20)
    keys = node.list_keys()
    shown = [view_key(key, value) for key, value in keys[offset : offset + limit]]
    return answer({"results": shown, "offset": offset, "limit": limit, "total": len(keys)})


async def create_key(request: web.Request) -> web.Response:
    """POST /keys."""
    node = node_of(request)
    node.authorise(request.headers.get("Authorization"), "keys.create")
    key = parse_key(await read_json(request), fresh_uid=str(uuid.uuid4()), now_ns=time.time_ns())
    if any(key.uid == known.uid for known, _ in node.list_keys()):
        text = f"`uid` field value `{key.uid}` is already an existing API key."
        raise ApiError("api_key_already_exists", text)
    value = await node.put_key(key)
    return answer(view_key(key, value), 201)


async def get_key(request: web.Request) -> web.Response:
    """GET /keys/{uid or key}."""
    key, value = _find(request, "keys.get")
    return answer(view_key(key, value))


async def update_key(request: web.Request) -> web.Response:
    """PATCH /keys/{uid or key}."""
    key, _ = _find(request, "keys.update")
    changed = change_key(key, await read_json(request), now_ns=time.time_ns())
    value = await node_of(request).put_key(changed)
    return answer(view_key(changed, value))


async def delete_key(request: web.Request) -> web.Response:
    """DELETE /keys/{uid or key}."""
    _, value = _find(request, "keys.delete")
    await node_of(request).drop_key(value)
    return web.Response(status=204)
