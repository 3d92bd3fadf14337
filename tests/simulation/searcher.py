"""Searches, as a query service makes them, with a view that may be old; each judged by the truth.

Routing, gathering, hedging, probing and health are the query service's own; what a node answers is only what it
holds, and every answer is judged at the moment at which the node gives it.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from query.nodes.gather import Gatherer
from query.nodes.health import HEALTH, PROBE_INTERVAL_S, PROBE_TIMEOUT_S, NodeHealth
from query.ports import NodeQuestion
from query.routing import Away, Part, Readable, plan_route, usable_replicas
from schemas.errors import NodeRejectedError, NodeTimeoutError
from schemas.events import IndexRecord, NodeRecord, ReplicaRecord
from schemas.ids import IndexUid, NodeId, ShardId, node_index_uid
from schemas.keys import derive_key
from streams.readable import LAG_RECORDS_MAX, ProgressView
from streams.topology import Topology
from tests.simulation.cluster import SEARCH_S, LogView, SimulatedCluster
from tests.simulation.copies import Copies
from tests.simulation.judge import Judge
from tests.simulation.simulated_node import MASTER_KEY
from tests.simulation.truth import BrokenInvariantError

VIEW_S = 0.5
"""Most that a query service's view is behind the log."""

PAUSE_S = 0.4
"""Most between two searches."""

REQUEST_S = 0.05
"""Most that a question to a node is under way."""

EXCUSE_S = SEARCH_S + 2 * VIEW_S + PROBE_INTERVAL_S + PROBE_TIMEOUT_S
"""So long a copy may be whole before a search must find it: one is under way, its view old, the node unproven."""


_log = logging.getLogger(__name__)


class _Search(NamedTuple):
    """A search under way, with the view that it was begun with."""

    of: IndexRecord
    topology: Topology
    progress: ProgressView


class Searcher:
    """One query service with one client.

    Args:
        cluster: where it searches.
        judge: of what it finds.
        rng: of the run.

    Attributes:
        searches: how many were answered whole.
        incomplete: how many were not, for a reason.
    """

    def __init__(self, cluster: SimulatedCluster, judge: Judge, rng: random.Random) -> None:
        self.searches = 0
        self.incomplete = 0
        self._cluster = cluster
        self._judge = judge
        self._rng = rng
        self._view = LogView(cluster.log)
        self._asked: _Search
        self._copies = Copies(cluster)
        self._health = NodeHealth(self._seen_ms, now_s=lambda: asyncio.get_running_loop().time())
        self._asker = _Asker(self)
        self._gatherer = Gatherer(self._asker, self._health, lambda _node, _seconds: None)

    def _seen_ms(self, node: NodeId) -> int:
        return max((p.seen_ms for p in self._view.progress.replicas.values() if p.node == node), default=0)

    async def probe(self) -> None:
        """Look after the nodes."""
        await self._health.probe(lambda: self._view.topology.nodes, self._asker)

    async def follow(self) -> None:
        """Keep the view."""
        while True:
            if not self._cluster.log.away:
                self._view.read()
            self._copies.look()
            await asyncio.sleep(self._rng.uniform(0.01, VIEW_S))

    async def run(self) -> None:
        """Search again and again."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.01, PAUSE_S))
            indexes = self._view.topology.indexes
            if indexes:
                await self._search(self._rng.choice(sorted(indexes)))

    async def _search(self, uid: IndexUid) -> None:
        """Search one index whole; again with a fresh view while there is time, as after a refused key."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + SEARCH_S
        choice = self._rng.randrange(1000)
        never: frozenset[ShardId] | None = None
        while (index := self._view.topology.indexes.get(uid)) is not None:
            missing = await self._gather(index, choice, deadline_s - loop.time())
            if not missing:
                self.searches += 1
                return
            # The last try may have had too little time for what an earlier one found.
            never = frozenset(missing) if never is None else never.intersection(missing)
            if loop.time() + REQUEST_S >= deadline_s:
                break
            await asyncio.sleep(REQUEST_S)
            if not self._cluster.log.away:
                self._view.read()
        else:
            return
        self.incomplete += 1
        self._require_excused(index, never or frozenset())

    async def _gather(self, index: IndexRecord, choice: int, timeout_s: float) -> Collection[ShardId]:
        """Ask for every shard; return those that nobody answered for."""
        search = _Search(index, self._view.topology, self._view.progress)
        self._asked = search
        away = self._health.away
        readable = self._usable(search, away)
        route = plan_route(readable, choice)
        if away:
            # As the service does: where everybody else has failed, whoever is away may have come back.
            route = replace(route, spare=self._usable(search, {}))
        gathered = await self._gatherer.gather(
            route,
            readable,
            nodes=search.topology.nodes,
            build=lambda part: self._asker.question(search, part),
            timeout_s=timeout_s,
        )
        if gathered.missing:
            _log.info(
                "%8.3f %s is not whole: %s of %s", asyncio.get_running_loop().time(), index.uid, gathered, readable
            )
        return gathered.missing

    @staticmethod
    def _usable(search: _Search, away: Mapping[NodeId, Away]) -> Readable:
        return usable_replicas(search.topology, search.progress, search.of, away=away, lag_records_max=LAG_RECORDS_MAX)

    def answer(self, search: _Search, part: Part) -> None:
        """Judge what a node shows.

        Raises:
            NodeRejectedError: it does not have the index.
            BrokenInvariantError: it shows less than its progress says.
        """
        name, index = part.node, search.of
        uid = node_index_uid(index.uid, index.incarnation)
        node = self._cluster.nodes[name]
        if not node.has_index(uid):
            raise NodeRejectedError(name, "search", status=404, code="index_not_found", detail=uid)
        for shard in part.shards:
            what = f"{index.uid} shard {shard} on {name}"
            copies = [replica for replica in search.topology.replicas_of(index.uid, shard) if replica.node == name]
            seen = [found for replica in copies if (found := search.progress.of(replica)) is not None]
            if not seen:
                raise BrokenInvariantError("begun", f"{what} is read, not having begun")
            cursor = max(int(seen[0].cursor), self._copies.must_show(copies[0], search.topology))
            self._judge.judge(node.held(uid, shard), index.incarnation, shard, name, cursor=cursor, what=what)

    def _require_excused(self, index: IndexRecord, missing: Collection[ShardId]) -> None:
        """Raise where a shard that nobody answered for was whole on a node that was well, all the time and before."""
        for replica, since_s in self._copies.whole_since_s.items():
            is_asked = replica.incarnation == index.incarnation and replica.shard in missing
            is_found = since_s < asyncio.get_running_loop().time() - EXCUSE_S and not self._has_old_view(replica)
            if is_asked and is_found:
                away = self._health.away.get(replica.node)
                raise BrokenInvariantError("complete", f"nobody answered for {replica}, a whole copy; away: {away}")

    def _has_old_view(self, replica: ReplicaRecord) -> bool:
        """Return whether the last try did not know the node's key, or the copy's progress, as the log had been away."""
        asked, present = self._asked, self._cluster.view()
        known, now = (topology.nodes.get(replica.node) for topology in (asked.topology, present.topology))
        is_old_key = known is not None and now is not None and known.search_key != now.search_key
        is_old = is_old_key or asked.progress.of(replica) != present.progress.of(replica)
        return is_old and asyncio.get_running_loop().time() - self._cluster.log_away_s < SEARCH_S + 2 * VIEW_S

    async def travel(self) -> None:
        """Take the time that a question is under way."""
        await asyncio.sleep(self._rng.uniform(0, REQUEST_S))

    def node(self, node: NodeId) -> Any:
        """Return the node itself."""
        return self._cluster.nodes[node]


class _Asker:
    """``NodeAsker`` of searches and probes."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._searches: dict[str, tuple[_Search, Part]] = {}
        self._count = 0

    def question(self, search: _Search, part: Part) -> NodeQuestion:
        """Return the question for a part of a search."""
        self._count += 1
        path = f"/indexes/search/{self._count}"
        self._searches[path] = (search, part)
        return NodeQuestion("POST", path)

    async def ask(self, node: NodeRecord, question: NodeQuestion, *, timeout_s: float) -> Any:
        """Ask for health, or with the search key for the version, or for documents."""
        search = self._searches.pop(question.path, None)
        await self._searcher.travel()
        simulated = self._searcher.node(node.id)
        try:
            if question == HEALTH:
                simulated.require_there("health")
                return {}
            simulated.check(derive_key(MASTER_KEY, node.search_key), "ask")
        except NodeTimeoutError:
            await asyncio.sleep(timeout_s)
            raise
        if search is not None:
            self._searcher.answer(*search)
            await self._searcher.travel()
        return {"pkgVersion": "1.50.0"}

    def under_way(self, node: NodeId) -> int:
        """Return none: nobody counts here."""
        del node
        return 0
