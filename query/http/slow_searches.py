"""The log of slow searches that are no plain ones, or have failed: federated, for facet values, for similar documents.

What always holds: nothing is logged below the threshold, nor is anything explained then. Who calls it: the routes of
such searches, and whatever reads in rounds where that fails; the route of plain ones logs by itself. It must not know:
what was searched.
"""

import logging
from collections.abc import Sequence

from query.explanation import SearchTrace, build_trace
from query.http.middleware import REQUEST_ID
from query.http.service import Service

_log = logging.getLogger(__name__)


def note_slow(
    service: Service, took_s: float, traces: Sequence[tuple[str, SearchTrace]], search: object, *, error: str = ""
) -> None:
    """Log a search that took long, with how each index was asked.

    Args:
        service: whose threshold counts.
        took_s: how long the whole took.
        traces: index and trace of each reading.
        search: what was searched for, in a few words.
        error: what its client is told instead of an answer, if it has failed.
    """
    slow_ms = service.settings.search_slow_ms
    if not slow_ms or took_s * 1000 < slow_ms:
        return
    away = {node: service.health.reason(node) for node in service.health.away}
    explained = [build_trace(index, trace._replace(away=away)) for index, trace in traces]
    extra: dict[str, object] = {"request": REQUEST_ID.get(), "search": search, "explain": explained}
    if error:
        extra["error"] = error
    _log.warning("a search was slow", extra=extra)
