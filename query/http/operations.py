"""Miroir's own routes, which the command line is a thin client of: status, requests, dead letters, metrics.

Who calls it: the application. It must not know: the command line.
"""

from typing import Any

from aiohttp import web

from query.counts import parse_count
from query.http.bodies import json_response, read_body, read_count, read_parameters
from query.http.clock import now_ms
from query.http.service import Service, service_of
from query.http.writes import ANSWER_WAIT_S
from schemas.dead_letters import DeadLetter
from schemas.errors import InvalidRequestError
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import ShardId
from schemas.requests import parse_request
from streams.readable import readable_replicas
from streams.topics import CLUSTER

DEAD_LIMIT_DEFAULT = 100


async def status(request: web.Request) -> web.Response:
    """Answer ``GET /_miroir/status``: the cluster as this process sees it."""
    service = service_of(request)
    views = service.views
    silent = service.health.silent()
    return json_response(
        {
            "epoch": views.topology.epoch,
            "ready": views.is_ready,
            "log": {
                "connected": views.connected,
                "position": views.position(CLUSTER),
                "stopped": views.stopped,
                "skipped": views.skipped,
            },
            "now_ms": now_ms(),
            "requests_cursor": views.topology.requests_cursor,
            "nodes": [
                {
                    "id": node.id,
                    "url": node.url,
                    "state": node.state,
                    "weight": node.weight,
                    "zone": node.zone,
                    "group": node.group,
                    "replicas": len(views.topology.replicas_on(node.id)),
                    "answers": node.id not in silent,
                }
                for _, node in sorted(views.topology.nodes.items())
            ],
            "indexes": [_index(service, index) for _, index in sorted(views.topology.indexes.items())],
            "dead_letters": len(views.dead),
        }
    )


async def post_request(request: web.Request) -> web.Response:
    """Answer ``POST /_miroir/requests``: append a request and wait for what becomes of it, for a bounded time.

    200 with ``accepted`` true or false; 202 with ``accepted`` null where the controller has not answered in time: the
    request is in the log all the same.
    """
    parameters = read_parameters(request, ("timeout_s",))
    timeout_s = min(float(read_count(parameters, "timeout_s", int(ANSWER_WAIT_S), "bad_request")), 60.0)
    asked = parse_request(await read_body(request))
    service = service_of(request)
    offset = await service.writes.append_request(asked)
    answer = await service.writes.answer_to(offset, timeout_s=timeout_s)
    body: dict[str, Any] = {"offset": offset, "accepted": None, "code": "", "message": ""}
    if answer is None:
        return json_response(body, status=202)
    return json_response(body | {"accepted": answer.accepted, "code": answer.code, "message": answer.message})


async def get_answer(request: web.Request) -> web.Response:
    """Answer ``GET /_miroir/requests/{offset}``: what became of a request, if the answer is still kept."""
    text = request.match_info["offset"]
    offset = parse_count(text)
    if offset is None:
        raise InvalidRequestError("bad_request", f"expected the offset of a request, found `{text}`")
    views = service_of(request).views
    answer = next((found for found in views.topology.answers() if found.offset == offset), None)
    body = {"offset": offset, "accepted": None, "code": "", "message": ""}
    if answer is None:
        return json_response(body | {"decided": offset < views.topology.requests_cursor})
    found = {"accepted": answer.accepted, "code": answer.code, "message": answer.message, "decided": True}
    return json_response(body | found)


async def dead_letters(request: web.Request) -> web.Response:
    """Answer ``GET /_miroir/dead``: dead letters, newest first."""
    parameters = read_parameters(request, ("index", "offset", "limit"))
    offset = read_count(parameters, "offset", 0, "bad_request")
    limit = read_count(parameters, "limit", DEAD_LIMIT_DEFAULT, "bad_request")
    dead = service_of(request).views.dead
    index = parameters.get("index")
    letters = [letter for letter in reversed(list(dead)) if index is None or letter.uid == index]
    return json_response(
        {
            "results": [_letter(letter) for letter in letters[offset : offset + limit]],
            "offset": offset,
            "limit": limit,
            "total": len(letters),
            "dropped": dead.dropped,
        }
    )


async def metrics(request: web.Request) -> web.Response:
    """Answer ``GET /metrics`` in Prometheus' text form."""
    service = service_of(request)
    text = service.metrics.render(
        service.views,
        nodes_away=len(service.health.silent()),
        lag_records_max=service.settings.lag_records_max,
    )
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _index(service: Service, index: IndexRecord) -> dict[str, Any]:
    return {
        "uid": index.uid,
        "incarnation": index.incarnation,
        "topic": index.topic,
        "primary_key": index.primary_key,
        "partitioner": index.partitioner,
        "replication": index.replication,
        "settings_version": index.settings_version,
        "state": index.state,
        "reason": index.reason,
        "shards": [_shard(service, index, ShardId(shard)) for shard in range(index.shards)],
    }


def _shard(service: Service, index: IndexRecord, shard: ShardId) -> dict[str, Any]:
    views = service.views
    readable = readable_replicas(
        views.topology, views.progress, index, shard, lag_records_max=service.settings.lag_records_max
    )
    replicas = views.topology.replicas_of(index.uid, shard)
    return {
        "shard": shard,
        "readable": list(readable),
        "replicas": [_replica(service, replica, readable=replica.node in readable) for replica in replicas],
    }


def _replica(service: Service, replica: ReplicaRecord, *, readable: bool) -> dict[str, Any]:
    """Return a replica; the fields of progress are null where nothing was seen of it."""
    progress = service.views.progress
    seen = progress.of(replica) or progress.unbegun(replica)
    return {
        "node": replica.node,
        "attempt": replica.attempt,
        "readable": readable,
        "cursor": None if seen is None else seen.cursor,
        "end": None if seen is None else seen.end,
        "lag_records": None if seen is None else max(0, seen.end - seen.cursor),
        "lag_ms": None if seen is None else seen.lag_ms,
        "settings_version": None if seen is None else seen.settings_version,
        "seen_ms": None if seen is None else seen.seen_ms,
        "at_end_ms": None if seen is None else seen.at_end_ms,
        "differing": None if seen is None else seen.differing,
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter without the record's value, which is not kept here: the topic has it."""
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "index": letter.uid,
        "incarnation": letter.incarnation,
        "reason": letter.reason,
        "message": letter.message,
        "key_base64": letter.key,
        "timestamp_ms": letter.timestamp_ms,
    }


ROUTES = (
    web.get("/_miroir/status", status),
    web.post("/_miroir/requests", post_request),
    web.get("/_miroir/requests/{offset}", get_answer),
    web.get("/_miroir/dead", dead_letters),
    web.get("/metrics", metrics),
    web.get("/_miroir/metrics", metrics),
)
