"""The web application of a node."""

from aiohttp import web

from miroir.node.protocol.errors import not_supported
from miroir.node.server.document_routes import add_document_routes
from miroir.node.server.http import NODE, PAYLOAD_BYTES_MAX, answer, errors_to_answers, node_of
from miroir.node.server.index_routes import add_index_routes
from miroir.node.server.key_routes import add_key_routes
from miroir.node.server.node import Node
from miroir.node.server.search_routes import add_search_routes
from miroir.node.server.task_routes import add_task_routes

VERSION = "1.50.0"
"""The version whose behaviour the node has."""

_REPORTED = web.AppKey("reported", str)

EXPERIMENTAL = dict.fromkeys(
    (
        "metrics",
        "logsRoute",
        "editDocumentsByFunction",
        "containsFilter",
        "dynamicSearchRules",
        "network",
        "getTaskDocumentsRoute",
        "taskQueueCompactionRoute",
        "compositeEmbedders",
        "chatCompletions",
        "multimodal",
        "foreignKeys",
        "disableDocumentsFetchQueue",
        "legacySearch",
        "renderRoute",
    ),
    False,
)

_UNSUPPORTED = (
    *("/dumps", "/snapshots", "/network", "/network/{rest:.*}", "/webhooks", "/webhooks/{uid}", "/export", "/metrics"),
    *("/chats", "/chats/{rest:.*}", "/logs/{rest:.*}", "/dynamic-search-rules", "/dynamic-search-rules/{rest:.*}"),
    *("/tasks/compact", "/tasks/{uid}/documents", "/indexes/{uid}/compact", "/indexes/{uid}/fields"),
    *("/indexes/{uid}/settings/chat", "/indexes/{uid}/settings/foreign-keys"),
)


def build_app(node: Node, *, version_reported: str = VERSION) -> web.Application:
    """Return the application that serves ``node``.

    Args:
        node: the node.
        version_reported: what it says its version is, for those who rehearse an upgrade.
    """
    # The server's own decompression would take a body that is cut short.
    plain = {"auto_decompress": False}
    app = web.Application(client_max_size=PAYLOAD_BYTES_MAX, middlewares=[errors_to_answers], handler_args=plain)
    app[NODE] = node
    app[_REPORTED] = version_reported
    app.router.add_get("/health", health, allow_head=True)
    app.router.add_get("/version", version, allow_head=False)
    app.router.add_get("/experimental-features", experimental, allow_head=False)
    app.router.add_patch("/experimental-features", unsupported)
    for path in _UNSUPPORTED:
        app.router.add_route("*", path, unsupported)
    # Routes are tried in this order: searches come most often.
    add_search_routes(app)
    add_index_routes(app)
    add_document_routes(app)
    add_task_routes(app)
    add_key_routes(app)
    return app


async def health(_request: web.Request) -> web.Response:
    """GET /health."""
    return answer({"status": "available"})


async def version(request: web.Request) -> web.Response:
    """GET /version."""
    node_of(request).authorise(request.headers.get("Authorization"), "version")
    # The commit tells it from a real one.
    return answer({"commitSha": "embedded", "commitDate": "unknown", "pkgVersion": request.app[_REPORTED]})


async def experimental(request: web.Request) -> web.Response:
    """GET /experimental-features."""
    node_of(request).authorise(request.headers.get("Authorization"), "experimental.get")
    return answer(EXPERIMENTAL)


async def unsupported(request: web.Request) -> web.Response:
    """Routes an embedded node does not have."""
    node_of(request).authorise(request.headers.get("Authorization"), "*")
    raise not_supported(request.path)
