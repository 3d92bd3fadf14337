"""What moves, what would move, and why a shard is where it is: miroir's own routes for operators.

What always holds: it is read off this process's fold of the log; nothing here changes anything. Who calls it: the
application. It must not know: the command line.
"""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from query.counts import parse_count
from query.http.bodies import json_response, read_body, read_parameters
from query.http.service import Service, service_of
from schemas.errors import InvalidRequestError, NotFoundError
from schemas.events import IndexRecord, ReplicaRecord, ReplicaState
from schemas.ids import IndexUid, NodeId, ShardId
from schemas.requests import parse_request
from streams.capacity import room_fault
from streams.moves import Copy, candidates, moves_between, plan_moves, wanted_copies, whole_copies
from streams.placement import explain
from streams.readable import readable_replicas
from streams.topology import Topology
from streams.what_if import topology_after


async def moves(request: web.Request) -> web.Response:
    """Answer ``GET /_miroir/moves``: which copies are made, wait, leave; and whether anything is left to do."""
    service = service_of(request)
    plan = plan_moves(service.views.topology, service.views.progress)
    return json_response(
        {
            "done": plan.is_done,
            "building": [_standing(service, replica) | _pace(service, replica) for replica in plan.building],
            "waiting": _copies((*plan.begin, *plan.waiting)),
            "surplus": [_place(replica) for replica in (*plan.leave, *plan.surplus)],
            "leaving": [_place(replica) for replica in (*plan.forget, *plan.leaving)],
            "nodes": {node: _holding(service.views.topology, node) for node in sorted(service.views.topology.nodes)},
        }
    )


async def shards(request: web.Request) -> web.Response:
    """Answer ``GET /_miroir/shards``: every copy of every shard, where it is and where it is wanted."""
    parameters = read_parameters(request, ("index",))
    service = service_of(request)
    named = parameters.get("index")
    topology = service.views.topology
    indexes = [topology.index(IndexUid(named))] if named else [each for _, each in sorted(topology.indexes.items())]
    return json_response({"results": [row for index in indexes for row in _shards(service, index)]})


async def why(request: web.Request) -> web.Response:
    """Answer ``GET /_miroir/why?index=…&shard=…``: what every node has to say to the placement of a shard."""
    parameters = read_parameters(request, ("index", "shard"))
    topology = service_of(request).views.topology
    index = topology.index(IndexUid(parameters.get("index", "")))
    shard = _shard(index, parameters.get("shard", ""))
    return json_response(
        {
            "index": index.uid,
            "shard": shard,
            "replication": index.replication,
            "wanted": sorted(wanted_copies(topology, index)[shard]),
            "placed": [replica.node for replica in topology.replicas_of(index.uid, shard)],
            "groups": {
                str(group): [
                    {
                        "node": found.node.id,
                        "weight": found.node.weight,
                        "zone": found.node.zone,
                        "seat": found.node.seat or found.node.id,
                        "score": found.score,
                        "share": found.share,
                        "room": found.room,
                        "held": found.held,
                        "chosen": found.chosen,
                    }
                    for found in explain(
                        index.uid,
                        index.incarnation,
                        shard,
                        shards=index.shards,
                        replication=index.replication,
                        nodes=candidates(topology, group),
                    )
                ]
                for group in index.groups
            },
        }
    )


async def plan(request: web.Request) -> web.Response:
    """Answer ``POST /_miroir/plan``: which copies the request in the body would move, were it accepted."""
    asked = parse_request(await read_body(request))
    before = service_of(request).views.topology
    after = topology_after(before, asked)
    begin = moves_between(before, after)
    leave = moves_between(after, before)
    total = sum(len(nodes) for index in after.indexes.values() for nodes in wanted_copies(after, index).values())
    fault = room_fault(before, after)
    return json_response({"begin": _copies(begin), "leave": _copies(leave), "copies": total, "fault": fault})


def _shards(service: Service, index: IndexRecord) -> Iterable[dict[str, Any]]:
    topology, progress = service.views.topology, service.views.progress
    wanted = wanted_copies(topology, index)
    for number in range(index.shards):
        shard = ShardId(number)
        leaving = [each for each in topology.leaving if (each.uid, each.shard) == (index.uid, shard)]
        readable = readable_replicas(topology, progress, index, shard, lag_records_max=service.settings.lag_records_max)
        whole = whole_copies(topology, progress, index, shard)
        copies = [
            _standing(service, each)
            | {
                "state": each.state,
                "readable": each.node in readable and each.state is ReplicaState.PLACED,
                "whole": each.node in whole and each.state is ReplicaState.PLACED,
            }
            for each in (*topology.replicas_of(index.uid, shard), *leaving)
        ]
        yield {"index": index.uid, "shard": shard, "wanted": sorted(wanted[shard]), "copies": copies}


def _holding(topology: Topology, node: NodeId) -> dict[str, Any]:
    return {
        "state": topology.nodes[node].state,
        "copies": len(topology.replicas_on(node)),
        "leaving": len(topology.leaving_on(node)),
    }


def _standing(service: Service, replica: ReplicaRecord) -> dict[str, Any]:
    seen = service.views.progress.of(replica)
    cursor, end = (None, None) if seen is None else (seen.cursor, seen.end)
    return _place(replica) | {"attempt": replica.attempt, "cursor": cursor, "end": end}


def _pace(service: Service, replica: ReplicaRecord) -> dict[str, Any]:
    pace = service.views.paces.get(f"{replica.uid}/{replica.incarnation}/{replica.shard}/{replica.node}")
    if pace is None or pace.attempt != replica.attempt:
        return {"left": None, "per_second": None, "eta_s": None}
    rate, eta_s = round(pace.per_second, 1), pace.eta_s
    return {"left": pace.left, "per_second": rate, "eta_s": None if eta_s is None else round(eta_s, 1)}


def _place(place: Copy | ReplicaRecord) -> dict[str, Any]:
    return {"index": place.uid, "shard": place.shard, "node": place.node}


def _copies(copies: Iterable[Copy]) -> list[dict[str, Any]]:
    return [_place(copy) for copy in copies]


def _shard(index: IndexRecord, text: str) -> ShardId:
    shard = parse_count(text)
    if shard is None:
        raise InvalidRequestError("bad_request", f"shard: expected a number, found `{text}`")
    if shard >= index.shards:
        raise NotFoundError("shard", text)
    return ShardId(shard)


ROUTES = (
    web.get("/_miroir/moves", moves),
    web.get("/_miroir/shards", shards),
    web.get("/_miroir/why", why),
    web.post("/_miroir/plan", plan),
)
