"""Searches, as a query service makes them, with a view that may be old; each judged by the truth.

Routing, rounds, gathering, hedging, probing, health and merging are the query service's own; what a node answers is
only what it holds, every answer is judged when the node gives it, and the page that is made of them at last.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from query.explanation import RoundTrace
from query.nodes.gather import Gatherer
from query.nodes.health import HEALTH, PROBE_INTERVAL_S, PROBE_TIMEOUT_S, VERSION, NodeHealth
from query.nodes.rounds import ask_rounds
from query.ports import NodeQuestion
from query.rounds import Purpose
from query.routing import Away, Readable, plan_route, usable_replicas
from schemas.errors import NodeRejectedError, NodeTimeoutError
from schemas.events import IndexRecord, NodeRecord, ReplicaRecord
from schemas.ids import IndexUid, NodeId, ShardId, node_index_uid
from schemas.keys import derive_key
from streams.readable import LAG_RECORDS_MAX, ProgressView
from streams.topology import Topology
from tests.simulation.cluster import SEARCH_S, LogView, SimulatedCluster
from tests.simulation.copies import Copies
from tests.simulation.judge import Judge
from tests.simulation.pages import Page, draw_request
from tests.simulation.simulated_node import MASTER_KEY
from tests.simulation.truth import BrokenInvariantError

VIEW_S = 0.5
"""Most that a query service's view is behind the log."""

PAUSE_S = 0.4
"""Most between two searches."""

REQUEST_S = 0.05
"""Most that a question to a node is under way."""

NO_TIME_S = 2 * REQUEST_S
"""A round that ends sooner had no time to hear from everybody: a question and its answer may be under way as long."""

EXCUSE_S = SEARCH_S + 2 * VIEW_S + PROBE_INTERVAL_S + PROBE_TIMEOUT_S
"""So long a copy may be whole before a search must find it: one is under way, its view old, the node unproven."""


_log = logging.getLogger(__name__)


class _Search(NamedTuple):
    """A search under way, with the view that it was begun with."""

    of: IndexRecord
    topology: Topology
    progress: ProgressView
    page: Page


class Searcher:
    """One query service with one client.

    Args:
        cluster: where it searches.
        judge: of what it finds.
        rng: of the run.
        pages: a generator of what is searched for, and of nothing else.

    Attributes:
        searches: how many were answered whole.
        incomplete: how many were not, for a reason.
        rounds: of those answered whole, by purpose.
    """

    def __init__(self, cluster: SimulatedCluster, judge: Judge, rng: random.Random, pages: random.Random) -> None:
        self.searches = 0
        self.incomplete = 0
        self.rounds: Counter[str] = Counter()
        self._cluster = cluster
        self._judge = judge
        self._rng = rng
        self._pages = pages
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
        choice, request = self._rng.randrange(1000), draw_request(self._pages)
        never: frozenset[ShardId] | None = None
        while (index := self._view.topology.indexes.get(uid)) is not None:
            missing = await self._gather(Page(index, request), choice, deadline_s)
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

    async def _gather(self, page: Page, choice: int, deadline_s: float) -> Collection[ShardId]:
        """Ask for a page; return the shards that nobody answered for, else require it to be right."""
        search = _Search(page.index, self._view.topology, self._view.progress, page)
        self._asked = search
        away = self._health.away
        readable = self._usable(search, away)
        route = plan_route(readable, choice)
        if away:
            # As the service does: where everybody else has failed, whoever is away may have come back.
            route = replace(route, spare=self._usable(search, {}))
        nodes = search.topology.nodes
        found = await ask_rounds(
            self._gatherer, page.reading(choice), route, readable, nodes=nodes, deadline_s=deadline_s
        )
        if found.missing:
            now_s = asyncio.get_running_loop().time()
            asked = [(each.purpose, each.took_s, each.missing, each.questions) for each in found.rounds]
            _log.info("%8.3f %s is not whole: %s of %s", now_s, page.index.uid, asked, readable)
            return _lost(found.rounds)
        self.rounds.update(each.purpose for each in found.rounds)
        page.require_right(found.outcome)
        return ()

    @staticmethod
    def _usable(search: _Search, away: Mapping[NodeId, Away]) -> Readable:
        return usable_replicas(search.topology, search.progress, search.of, away=away, lag_records_max=LAG_RECORDS_MAX)

    def answer(self, name: NodeId, question: NodeQuestion) -> Any:
        """Judge what a node shows, and return its answer.

        Raises:
            NodeRejectedError: it does not have the index.
            BrokenInvariantError: it shows less than its progress says.
        """
        search, body = self._asked, orjson.loads(question.body or b"")
        index = search.of
        uid = node_index_uid(index.uid, index.incarnation)
        node = self._cluster.nodes[name]
        if not node.has_index(uid):
            raise NodeRejectedError(name, "search", status=404, code="index_not_found", detail=uid)
        shown: dict[ShardId, Mapping[str, Mapping[str, Any]]] = {}
        for shard in search.page.asked_shards(body):
            what = f"{index.uid} shard {shard} on {name}"
            copies = [replica for replica in search.topology.replicas_of(index.uid, shard) if replica.node == name]
            seen = [found for replica in copies if (found := search.progress.of(replica)) is not None]
            if not seen:
                raise BrokenInvariantError("begun", f"{what} is read, not having begun")
            cursor = max(int(seen[0].cursor), self._copies.must_show(copies[0], search.topology))
            held = node.held(uid, shard)
            self._judge.judge(held, copies[0], cursor=cursor, what=what)
            shown[shard] = {key: document for key, document in held.items() if document is not None}
        return search.page.answer(body, shown)

    def _require_excused(self, index: IndexRecord, missing: Collection[ShardId]) -> None:
        """Raise where a shard that nobody answered for was whole on a node that was well, all the time and before."""
        # A node may have frozen a moment ago, when the search had little time left.
        self._copies.look()
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


def _lost(rounds: Sequence[RoundTrace]) -> Collection[ShardId]:
    """Return the shards without an answer; where a round had too little time left, those that the one before had lost.

    Keys leave time for what they are asked for.
    """
    for before, after in pairwise(rounds):
        if before.missing and after.took_s < NO_TIME_S and before.purpose != Purpose.KEYS.value:
            return before.missing
    return rounds[-1].missing


class _Asker:
    """``NodeAsker`` of searches and probes."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def ask(self, node: NodeRecord, question: NodeQuestion, *, timeout_s: float) -> Any:
        """Ask for health, or with the search key for the version, or for documents."""
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
        if question == VERSION:
            return {"pkgVersion": "1.50.0"}
        answer = self._searcher.answer(node.id, question)
        await self._searcher.travel()
        return answer

    def under_way(self, node: NodeId) -> int:
        """Return none: nobody counts here."""
        del node
        return 0
