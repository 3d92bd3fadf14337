"""Replaying a recorded conversation with a node and naming the steps that differ.

What always holds: steps are sent in order, each write awaited. Who calls it: ``bench.parity`` and the embedded node's
tests.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tests.miroir.node.process import NodeProcess, Reply

VOLATILE = frozenset(
    (
        *("enqueuedAt", "startedAt", "finishedAt", "duration", "createdAt", "updatedAt", "processingTimeMs"),
        *("requestUid", "commitSha", "commitDate", "databaseSize", "usedDatabaseSize", "rawDocumentDbSize"),
        *("avgDocumentSize", "lastUpdate", "batchUid"),
    )
)
"""Fields that differ from run to run."""

SHOWN = 700


def stable(value: Any) -> Any:
    """Return ``value`` without what differs from run to run."""
    if isinstance(value, dict):
        named = {key: stable(item) for key, item in value.items() if key not in VOLATILE}
        if str(named.get("name", "")).startswith("Default "):
            # These keys are made afresh by every node.
            named.pop("key", None)
            named.pop("uid", None)
        return named
    if isinstance(value, list):
        return [stable(item) for item in value]
    return value


def replay(node: NodeProcess, steps: Sequence[Mapping[str, Any]], master_key: str) -> Iterator[str]:
    """Play all steps and yield one line for each that differs."""
    for place, step in enumerate(steps):
        line = _difference(node, place, step, master_key)
        if line is not None:
            yield line


def _difference(node: NodeProcess, place: int, step: Mapping[str, Any], master_key: str) -> str | None:
    raw = step.get("raw")
    content_type = step.get("content_type")
    if raw is None and step.get("body") is not None:
        raw, content_type = json.dumps(step["body"], ensure_ascii=False), content_type or "application/json"
    elif raw is not None and content_type is None:
        content_type = "application/x-ndjson"
    name = f"{place} {step['method']} {step['path']}"
    try:
        reply = _send(node, step, raw, content_type, master_key)
    except (OSError, ValueError) as error:
        return f"{name}: no answer: {error}"
    task = None
    if isinstance(reply.body, dict) and "taskUid" in reply.body:
        task = node.wait(reply.body["taskUid"])
    if reply.status != step["status"]:
        return f"{name}: status {reply.status}, recorded {step['status']}: {_short(reply.body)}"
    got, wanted = stable(reply.body), stable(step.get("response", ""))
    if got != wanted:
        return f"{name}:\n  got      {_short(got)}\n  recorded {_short(wanted)}"
    if step.get("task") is not None and stable(task) != stable(step["task"]):
        return f"{name}: task\n  got      {_short(stable(task))}\n  recorded {_short(stable(step['task']))}"
    return None


def _send(
    node: NodeProcess, step: Mapping[str, Any], raw: str | None, content_type: str | None, master_key: str
) -> Reply:
    return node.call(
        step["method"],
        quote(step["path"], safe="/?&=%+,:;[]()*!'@$"),
        raw=None if raw is None else raw.encode(),
        content_type=content_type,
        authorization=step.get("authorization", f"Bearer {master_key}"),
    )


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:SHOWN]
