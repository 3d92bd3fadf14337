"""What the headers of a read ask of the copies that answer it, and waiting until there are such copies.

What always holds: nothing is waited for beyond the deadline given; without such headers nothing is. Who calls it: the
routes that read from nodes. It must not know: what is read.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from query.freshness import NO_LAG_BOUND, LagBound, parse_max_lag, parse_token
from query.http.clock import now_ms
from query.http.service import Service, service_of, uid_of
from query.routing import ANY, Readable, Wanted
from schemas.errors import InvalidRequestError, ReplicaBehindError
from schemas.events import IndexRecord
from schemas.ids import IndexUid, ShardId
from schemas.progress import FRESH_MS

LOOK_AGAIN_S = 0.2
"""A copy's lag may come within its bound by nothing but time, without anything new in the log."""

NEW_INDEX_MS = 10_000
"""So long after an index was made its first copies may be on their way: a worker needs a second or two for them."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What a request asks besides its question.

    Attributes:
        partial: answer without shards that cannot be asked; None is as the settings say.
        cursors: the least visible cursor by index and shard.
        lag: how far behind the log's end a copy may be.
    """

    partial: bool | None = None
    cursors: Mapping[IndexUid, Mapping[ShardId, int]] | None = None
    lag: LagBound = NO_LAG_BOUND

    def wanted(self, index: IndexUid) -> Wanted:
        """Return what is asked of the copies of one index."""
        cursors = (self.cursors or {}).get(index, {})
        if not cursors and self.lag is NO_LAG_BOUND:
            return ANY
        return Wanted(cursors, self.lag.ms, now_ms(), self.lag.records)


NO_DEMANDS = Demands()


def read_demands(request: web.Request) -> Demands:
    """Return what the headers ask.

    Raises:
        InvalidTokenError: the token is of another form.
        InvalidRequestError: another header is.
    """
    headers = request.headers
    partial = headers.get("X-Miroir-Partial")
    token = headers.get("X-Miroir-Token")
    lag = headers.get("X-Miroir-Max-Lag")
    if partial is None and token is None and lag is None:
        return NO_DEMANDS
    if partial not in (None, "true", "false"):
        raise InvalidRequestError("bad_request", f"Header `X-Miroir-Partial`: expected `true` or `false`: `{partial}`")
    cursors = None if token is None else parse_token(token)
    if cursors is not None:
        _check_partitions(service_of(request), cursors)
    bound = NO_LAG_BOUND if lag is None else parse_max_lag(lag)
    return Demands(None if partial is None else partial == "true", cursors, bound)


def read_asked(request: web.Request) -> tuple[IndexUid, Demands, Service]:
    """Return which index a read asks, and how; called once its body was read, whose faults go first in Meilisearch.

    Raises:
        NotFoundError: there is no such index.
        InvalidRequestError: the name cannot be one, or a header is wrong.
    """
    uid, demands, service = uid_of(request), read_demands(request), service_of(request)
    service.views.topology.index(uid)
    return uid, demands, service


async def fresh_enough(service: Service, index: IndexRecord, demands: Demands, deadline_s: float) -> Readable:
    """Return whom to ask, as soon as some copy of every shard is as fresh as is asked.

    A shard of which no search at all could read a copy is not waited for, unless the index was made just now: nobody
    knows when there will be one, and waiting would leave no time to ask for the others.

    Args:
        service: whose view counts.
        index: which index.
        demands: what is asked.
        deadline_s: in the event loop's time.

    Raises:
        ReplicaBehindError: some shard has copies, and none of them is, until the deadline.
    """
    wanted = demands.wanted(index.uid)
    if wanted is not ANY and service.is_former(index):
        # Its copies stand still, at positions of another log.
        raise _behind(service, index, ShardId(0), wanted)
    readable = service.readable(index, wanted)
    if wanted is ANY or _is_enough(service, index, readable):
        return readable

    def fresh() -> Readable | None:
        found = service.readable(index, demands.wanted(index.uid))
        return found if _is_enough(service, index, found) else None

    loop = asyncio.get_running_loop()
    while (left_s := deadline_s - loop.time()) > 0:
        found = await service.views.wait_for(fresh, timeout_s=min(LOOK_AGAIN_S, left_s))
        if found is not None:
            return found
    readable = service.readable(index, demands.wanted(index.uid))
    plain = service.readable(index)
    behind = [ShardId(shard) for shard, nodes in enumerate(readable) if not nodes and plain[shard]]
    if behind:
        raise _behind(service, index, behind[0], wanted)
    return readable


def _is_enough(service: Service, index: IndexRecord, readable: Readable) -> bool:
    """Return whether nothing is to be waited for."""
    if all(readable):
        return True
    if now_ms() - index.created_ms < NEW_INDEX_MS:
        return False
    return all(nodes or not plain for nodes, plain in zip(readable, service.readable(index), strict=True))


def _behind(service: Service, index: IndexRecord, shard: ShardId, wanted: Wanted) -> ReplicaBehindError:
    views = service.views
    seen = [found for replica in views.topology.replicas_of(index.uid, shard) if (found := views.progress.of(replica))]
    cursor = wanted.cursors.get(shard, 0)
    if wanted.lag_records_max is not None:
        cursor = max(cursor, max((found.end for found in seen), default=0) - wanted.lag_records_max)
    best = max((found.cursor for found in seen), default=0)
    is_bounded = wanted.lag_ms_max is not None or wanted.lag_records_max is not None
    age_ms = wanted.now_ms - max((found.seen_ms for found in seen), default=0)
    unseen_s = age_ms // 1000 if is_bounded and age_ms > FRESH_MS else 0
    epoch = views.topology.epoch
    return ReplicaBehindError(index.uid, shard, wanted=cursor, cursor=best, epoch=epoch, unseen_s=unseen_s)


def _check_partitions(service: Service, cursors: Mapping[IndexUid, Mapping[ShardId, int]]) -> None:
    for uid, shards in cursors.items():
        index = service.views.topology.indexes.get(uid)
        if index is not None and max(shards) >= index.shards:
            message = f"Header `X-Miroir-Token`: index `{uid}` has {index.shards} partitions, found {max(shards)}"
            raise InvalidRequestError("miroir_invalid_token", message)
