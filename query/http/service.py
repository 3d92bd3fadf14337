"""The parts of one query service, as its routes find them.

Who calls it: every route, through ``service_of``. It must not know: any route.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from aiohttp import web

from query.gathered import Gathered
from query.http.metrics import Metrics
from query.http.views import Views
from query.http.writes import Writes
from query.nodes.client import NodeClient
from query.nodes.gather import Build, Gatherer
from query.nodes.health import NodeHealth
from query.routing import ANY, Away, Kind, Readable, Route, Wanted, alike_copies, plan_route, usable_replicas
from schemas.config import Settings
from schemas.errors import InvalidInputError, InvalidRequestError
from schemas.events import IndexRecord, NodeRecord
from schemas.ids import INDEX_UID_BYTES_MAX, IndexUid, NodeId, ShardId, parse_index_uid
from streams.log import LogReader
from streams.readable import ProgressView, read_beyond_bound
from streams.topology import Topology
from streams.unread import unread_copies

NEWER_VIEW_S = 1.0
"""How long a read that met a replaced key waits for the record that says so: it was written before the key was
replaced, so it is on its way."""

TRIES_MAX = 3
"""A view that is old three times within one deadline is not the reason."""


class MayForget(Protocol):
    """What was brought by asking nodes."""

    @property
    def forgotten(self) -> bool:
        """Whether shards are missing while a node did not know its key: the view may be old."""


T = TypeVar("T", bound=MayForget)


@dataclass(slots=True)
class _Remembered:
    """What was readable, and of what it was made."""

    topology: Topology
    progress: ProgressView
    health: int
    readable: Readable
    alike: Readable
    spare: Readable
    behind: tuple[ShardId, ...]


@dataclass(slots=True)
class Service:
    """One query service: its settings, its view of the log, its nodes.

    Attributes:
        make_reader: makes a reader of the log for one task; whoever asks closes it.
    """

    settings: Settings
    views: Views
    writes: Writes
    make_reader: Callable[[], LogReader]
    client: NodeClient
    health: NodeHealth
    gatherer: Gatherer
    metrics: Metrics
    _readable: dict[IndexUid, _Remembered] = field(default_factory=dict)
    _partial_indexes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Read the list of indexes once."""
        names = self.settings.search_partial_indexes.split(",")
        self._partial_indexes = frozenset(name.strip() for name in names if name.strip())

    def readable(self, index: IndexRecord, wanted: Wanted = ANY) -> Readable:
        """Return whom to ask for each shard; what nothing special is wanted of, made anew only when it has changed."""
        remembered = self._remembered(index)
        return remembered.readable if wanted is ANY else self._usable(index, self.health.away, wanted)

    def _remembered(self, index: IndexRecord) -> _Remembered:
        """Return what is readable now, made anew only when what it is made of has changed."""
        views, version = self.views, self.health.version
        found = self._readable.get(index.uid)
        if (
            found is not None
            and found.topology is views.searched
            and found.progress is views.progress
            and found.health == version
        ):
            return found
        readable = self._usable(index, self.health.away, ANY)
        alike = self._alike(index, readable)
        spare = self._usable(index, {}, ANY) if self.health.away else ()
        behind = self._behind(index)
        found = _Remembered(views.searched, views.progress, version, readable, alike, spare, behind)
        self._readable[index.uid] = found
        # Each one keeps a whole view of the log alive: of indexes that are no more, nobody will ask for a newer.
        for gone in self._readable.keys() - views.searched.indexes.keys():
            del self._readable[gone]
        return found

    def behind(self, uid: IndexUid) -> tuple[ShardId, ...]:
        """Return the shards that are read from copies which lack something, as there are no better ones; in order.

        They are those of the last read, whatever was wanted of its copies: a copy that has caught up since was behind
        when it answered. An index that is empty, as it has no primary key, is read from no copy.
        """
        found, index = self._readable.get(uid), self.views.searched.indexes.get(uid)
        return () if found is None or index is None or index.primary_key is None else found.behind

    def unread(self, index: IndexRecord) -> Sequence[Mapping[NodeId, str]]:
        """Return of each shard the copies that may not be read now, with the reason."""
        lag_records_max = self._lag_records_max(index)
        return [
            unread_copies(self.views.searched, self.views.progress, index, shard, lag_records_max=lag_records_max)
            for shard in map(ShardId, range(index.shards))
        ]

    def _behind(self, index: IndexRecord) -> tuple[ShardId, ...]:
        if self.is_former(index):
            return ()
        topology, progress, lag_records_max = self.views.searched, self.views.progress, self.settings.lag_records_max
        return tuple(
            shard
            for shard in map(ShardId, range(index.shards))
            if read_beyond_bound(topology, progress, index, shard, lag_records_max=lag_records_max)
        )

    def _usable(self, index: IndexRecord, away: Mapping[NodeId, Away], wanted: Wanted) -> Readable:
        views, lag_records_max = self.views, self._lag_records_max(index)
        return usable_replicas(
            views.searched, views.progress, index, away=away, lag_records_max=lag_records_max, wanted=wanted
        )

    def _lag_records_max(self, index: IndexRecord) -> int:
        # A former copy that lags will never catch up: only those that have come furthest will do.
        return 0 if self.is_former(index) else self.settings.lag_records_max

    def route(self, index: IndexRecord, readable: Readable, choice: int) -> Route:
        """Return whom to ask first: a cover of copies that rank alike, where there is one."""
        found = self._readable.get(index.uid)
        if found is None or found.readable is not readable:
            return plan_route(self._alike(index, readable), choice)
        route = plan_route(found.alike, choice)
        return replace(route, spare=found.spare) if found.spare else route

    def is_former(self, index: IndexRecord) -> bool:
        """Return whether it is an index as it was before it got another log: its positions are not the present ones."""
        present = self.views.topology.indexes.get(index.uid)
        return present is not None and present.incarnation != index.incarnation

    def is_partial(self, index: IndexUid, *, asked: bool | None) -> bool:
        """Return whether an answer without some shards will do, as the request, the index or the service says."""
        if asked is not None:
            return asked
        return self.settings.search_partial or index in self._partial_indexes

    def _alike(self, index: IndexRecord, readable: Readable) -> Readable:
        views, programs = self.views, self.health.versions
        seen = {
            (ShardId(shard), replica.node): found.settings_version
            for shard in range(index.shards)
            for replica in views.searched.replicas_of(index.uid, ShardId(shard))
            if (found := views.progress.of(replica)) is not None
        }
        return alike_copies(readable, lambda shard, node: Kind(seen.get((shard, node), 0), programs.get(node, "")))

    def gather(
        self,
        route: Route,
        readable: Readable,
        build: Build,
        *,
        timeout_s: float,
        nodes: Mapping[NodeId, NodeRecord] | None = None,
    ) -> Coroutine[Any, Any, Gathered]:
        """Return what the route's nodes answered; see ``Gatherer.gather``.

        Args:
            route: whom to ask.
            readable: who else may be asked.
            build: makes each part's question.
            timeout_s: in seconds.
            nodes: as they were when the route was made, or None where that was just now: a copy that has left since
                refuses the key known then, and might answer a newer one without its documents.
        """
        known = self.views.topology.nodes if nodes is None else nodes
        return self.gatherer.gather(route, readable, nodes=known, build=build, timeout_s=timeout_s)

    async def gather_known(self, ask: Callable[[], Awaitable[T]], *, deadline_s: float) -> T:
        """Return what ``ask`` brings; where nodes do not know their keys, once more with the next view of the log.

        Args:
            ask: makes its route anew each time, and keeps to the deadline.
            deadline_s: in the event loop's time.
        """
        loop = asyncio.get_running_loop()
        for left in reversed(range(TRIES_MAX)):
            epoch = self.views.topology.epoch
            brought = await ask()
            if not brought.forgotten or not left:
                break
            await self._newer_view(epoch, timeout_s=min(NEWER_VIEW_S, deadline_s - loop.time()))
        return brought

    async def _newer_view(self, epoch: int, *, timeout_s: float) -> None:
        """Return when the cluster topic has been folded further than ``epoch``, or after the time."""

        def newer() -> bool | None:
            return True if self.views.topology.epoch > epoch else None

        await self.views.wait_for(newer, timeout_s=max(0.0, timeout_s))


SERVICE: web.AppKey[Service] = web.AppKey("service", Service)


def service_of(request: web.Request) -> Service:
    """Return the service that the request came to."""
    return request.app[SERVICE]


def index_of(request: web.Request) -> IndexRecord:
    """Return the index that the path names, as searches see it.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: the name cannot be one.
    """
    return service_of(request).views.searched.index(uid_of(request))


def uid_of(request: web.Request) -> IndexUid:
    """Return the index uid in the path, whether or not there is such an index.

    Raises:
        InvalidRequestError: no index can have this name.
    """
    return checked_uid(request.match_info["uid"])


def checked_uid(text: str, place: str = "") -> IndexUid:
    """Return an index uid that a client gave, ``place`` being the field of the body it stood in.

    Raises:
        InvalidRequestError: no index can have this name.
    """
    try:
        return parse_index_uid(text)
    except InvalidInputError:
        message = (
            f"{place}`{text}` is not a valid index uid. Index uid can be an integer or a string containing only"
            " alphanumeric characters, hyphens (-) and underscores (_), and can not be more than"
            f" {INDEX_UID_BYTES_MAX} bytes."
        )
        raise InvalidRequestError("invalid_index_uid", message) from None


Json = dict[str, Any]
