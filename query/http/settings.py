"""The routes of settings: whole, and one by one.

What always holds: a value is validated before anything is appended; what is shown is what the controller has decided,
whether or not every node has it yet, as a task tells. Who calls it: the application. It must not know: nodes.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from query.http.bodies import json_response, read_json, read_parameters
from query.http.errors import not_supported
from query.http.indexes import ask
from query.http.service import Service, index_of, service_of, uid_of
from query.nodes.gather import FIRST_TRY
from query.nodes.health import VERSION
from schemas.errors import InvalidRequestError
from schemas.meilisearch_embedders import shown_embedders
from schemas.meilisearch_settings import DEFAULT_SETTINGS, RESET_ALL, SUB_ROUTES, validate_setting, validate_settings
from schemas.requests import UpdateSettings

KIND = "settingsUpdate"

EMBEDDED = "embedded"
"""The ``commitSha`` by which an embedded node tells itself from a real one."""

RESET_DETAILS: Mapping[str, Any] = {
    **RESET_ALL,
    "displayedAttributes": ["*"],
    "searchableAttributes": ["*"],
    "foreignKeys": None,
    "chat": None,
}
"""What a task that resets everything shows as its details, as Meilisearch's does."""


async def get_settings(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/settings``."""
    return json_response(_settings(request))


async def get_setting(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/settings/{name}``."""
    name, _ = _sub_route(request)
    return json_response(_settings(request)[name])


async def update_settings(request: web.Request) -> web.Response:
    """Answer ``PATCH /indexes/{uid}/settings``."""
    read_parameters(request, ())
    return await _change(request, validate_settings(await read_json(request)))


async def update_setting(request: web.Request) -> web.Response:
    """Answer the PUT, or PATCH, of one setting."""
    read_parameters(request, ())
    name, method = _sub_route(request)
    if request.method != method:
        raise web.HTTPMethodNotAllowed(request.method, ["GET", method, "DELETE"])
    return await _change(request, {name: validate_setting(name, await read_json(request))})


async def reset_settings(request: web.Request) -> web.Response:
    """Answer ``DELETE /indexes/{uid}/settings``."""
    read_parameters(request, ())
    uid = uid_of(request)
    return await ask(service_of(request), UpdateSettings(uid, RESET_ALL), KIND, uid, dict(RESET_DETAILS))


async def reset_setting(request: web.Request) -> web.Response:
    """Answer ``DELETE /indexes/{uid}/settings/{name}``."""
    read_parameters(request, ())
    name, _ = _sub_route(request)
    return await _change(request, {name: None})


async def _change(request: web.Request, change: Mapping[str, Any]) -> web.Response:
    uid, service = uid_of(request), service_of(request)
    _check_cutoff(service, change)
    await _check_embedders(service, change)
    return await ask(service, UpdateSettings(uid, change), KIND, uid, dict(change))


def _check_cutoff(service: Service, change: Mapping[str, Any]) -> None:
    """Refuse a cutoff longer than one node may take of a search: whoever used all of it would be given up each time.

    Raises:
        InvalidRequestError: it is longer.
    """
    cutoff_ms, timeout_s = change.get("searchCutoffMs"), service.settings.search_timeout_s
    most_ms = FIRST_TRY * timeout_s * 1000
    if cutoff_ms is None or cutoff_ms <= most_ms:
        return
    message = (
        f"Invalid value at `.searchCutoffMs`: {cutoff_ms} is more than the {most_ms:.0f} ms that one node may take of a"
        f" search, so that another can still be asked. Give workers and services a search_timeout_s of"
        f" {cutoff_ms / 1000 / FIRST_TRY:g} or more first; this one's is {timeout_s:g}."
    )
    raise InvalidRequestError("invalid_settings_search_cutoff_ms", message)


async def _check_embedders(service: Service, change: Mapping[str, Any]) -> None:
    """Refuse embedders where a node could not take them: it would take no settings at all from then on.

    Raises:
        InvalidRequestError: a node is an embedded one.
    """
    if not shown_embedders(change.get("embedders") or {}):
        return
    nodes = [node for node in service.views.topology.nodes.values() if node.search_key]
    versions = await service.gatherer.ask_each(nodes, VERSION, timeout_s=service.settings.search_timeout_s)
    if any(isinstance(found, dict) and found.get("commitSha") == EMBEDDED for found in versions):
        raise not_supported("Setting `embedders` with embedded nodes: they know no vectors; it")


def _settings(request: web.Request) -> Mapping[str, Any]:
    index = index_of(request)
    found = service_of(request).views.topology.settings(index.uid)
    settings = {**DEFAULT_SETTINGS, **(found.settings if found is not None else {})}
    return {**settings, "embedders": shown_embedders(settings["embedders"])}


def _sub_route(request: web.Request) -> tuple[str, str]:
    """Return the setting's name and the method that changes it."""
    found = SUB_ROUTES.get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    return found


ROUTES = (
    web.get("/indexes/{uid}/settings", get_settings),
    web.patch("/indexes/{uid}/settings", update_settings),
    web.delete("/indexes/{uid}/settings", reset_settings),
    web.get("/indexes/{uid}/settings/{name}", get_setting),
    web.put("/indexes/{uid}/settings/{name}", update_setting),
    web.patch("/indexes/{uid}/settings/{name}", update_setting),
    web.delete("/indexes/{uid}/settings/{name}", reset_setting),
)
