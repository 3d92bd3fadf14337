"""Routes that ask nobody: health and version.

Who calls it: the application. It must not know: nodes.
"""

from importlib import metadata

from aiohttp import web

from query.http.bodies import json_response
from query.http.guarded_writer import require_folding
from query.http.service import service_of

COMPATIBLE = "1.50.0"
"""The Meilisearch whose API is answered here: SDKs look at it."""


async def health(request: web.Request) -> web.Response:
    """Answer ``GET /health``: 503 until cluster and progress have been folded, and once folding has stopped."""
    views = service_of(request).views
    require_folding(views.stopped)
    views.require_ready()
    return json_response({"status": "available"})


async def version(_request: web.Request) -> web.Response:
    """Answer ``GET /version``: of the API, and of miroir in a header."""
    try:
        own = metadata.version("miroir")
    except metadata.PackageNotFoundError:
        own = "unknown"
    return json_response(
        {
            "commitSha": "unknown",
            "commitDate": "unknown",
            "pkgVersion": COMPATIBLE,
        },
        headers={"X-Miroir-Version": own},
    )


ROUTES = (
    web.get("/health", health),
    web.get("/version", version),
)
