"""Embedded engines in memory as nodes, and over them the decisions of a search, without a byte of HTTP.

What always holds: ``ShardedIndex`` places documents as a cluster does (partitioner, placement, covers) and asks just
what the query service would ask, round after round; ``EmbeddedIndex`` alone, with all documents, is its oracle.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from miroir.node.engine.federation import federate, parse_multi_search
from miroir.node.engine.search import search, search_facet
from miroir.node.engine.search_request import parse_search
from miroir.node.indexing.batch import BatchTask, run_batch
from miroir.node.indexing.ports import IndexRecord
from miroir.node.server.indexer import BatchStore
from miroir.node.sqlite.index_reader import SqliteIndexReader
from query.facet_search import (
    FacetHits,
    FacetSearchCase,
    check_facet_search,
    decide_facet_search,
    facet_search_body,
    parse_facet_search,
)
from query.federation import (
    FederatedCase,
    IndexAnswers,
    Reach,
    decide_federated,
    federated_body,
    further_reach,
    merge_federated,
)
from query.merge import MergedAnswer
from query.multi_search import Federation, Query
from query.multi_search import parse_multi_search as parse_users_multi_search
from query.query_hash import hash_query
from query.rounds import Ask, Purpose, Round, SearchCase, body_of, decide_round
from query.routing import Part, Route, plan_route
from query.rules import rules_of
from query.search import parse_search as parse_users_search
from query.validate import validate
from schemas.events import PartitionerName
from schemas.ids import Incarnation, IndexUid, NodeId, Offset, ShardId
from streams.marker import marker_of
from streams.node_settings import FACET_VALUES_MIN
from streams.partitioning import partition_of
from streams.placement import Candidate, place

PRIMARY_KEY = "id"
SHARDS = 12
NODES = ("a", "b", "c")
REPLICATION = 2


class EmbeddedIndex:
    """One index of an embedded node."""

    def __init__(self, uid: str, settings: Mapping[str, Any], documents: Iterable[Mapping[str, Any]]) -> None:
        self.uid = uid
        self._store = BatchStore(":memory:")
        payload = b"\n".join(orjson.dumps(document) for document in documents)
        tasks = [
            BatchTask(0, uid, "create_index", {"primary_key": PRIMARY_KEY}),
            BatchTask(1, uid, "settings", {"changes": dict(settings)}),
        ]
        if payload:
            tasks.append(BatchTask(2, uid, "replace", {"creates": True, "content": "application/x-ndjson"}))
        for task in tasks:
            with self._store.transaction():
                (outcome,) = run_batch([task], self._store, lambda _: payload, 1)
            assert outcome.error is None, outcome
        self._reader = SqliteIndexReader(self._store.db, self._record)

    @property
    def _record(self) -> IndexRecord:
        record = self._store.find(self.uid)
        assert record is not None
        return record

    def search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a search, as its JSON."""
        found: dict[str, Any] = orjson.loads(orjson.dumps(search(self._reader, parse_search(_plain(body)))))
        return found

    def facet_search(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the hits of a facet search."""
        rest = {name: value for name, value in body.items() if name not in ("facetName", "facetQuery")}
        return search_facet(self._reader, body["facetName"], body.get("facetQuery"), parse_search(_plain(rest)))

    def multi_search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a federated search of this index."""
        return federate(parse_multi_search(_plain(body)), lambda _uid: self._reader)


class ShardedIndex:
    """An index of 12 shards, two copies each, on three nodes.

    Attributes:
        rules: the user's settings.
        asked: how many rounds of each purpose the searches took.
    """

    def __init__(
        self,
        uid: str,
        settings: Mapping[str, Any],
        documents: Iterable[Mapping[str, Any]],
        *,
        facet_values_node: int = FACET_VALUES_MIN,
        replication: int = REPLICATION,
    ) -> None:
        self.uid = IndexUid(uid)
        plain = rules_of(uid, PRIMARY_KEY, settings)
        self.rules = replace(plain, facet_values_node=facet_values_node)
        self.asked: dict[str, int] = {}
        placed = place(
            self.uid,
            Incarnation(Offset(0)),
            shards=SHARDS,
            replication=replication,
            nodes=[Candidate(NodeId(name)) for name in NODES],
        )
        self.readable = tuple(tuple(placed[ShardId(shard)]) for shard in range(SHARDS))
        held: dict[str, list[Mapping[str, Any]]] = {name: [] for name in NODES}
        for document in documents:
            key = str(document[PRIMARY_KEY]).encode()
            shard = ShardId(partition_of(key, SHARDS, PartitionerName.MURMUR2))
            for node in self.readable[shard]:
                held[node].append({"_miroir": marker_of(shard), **document})
        filterable = ["_miroir", *(settings.get("filterableAttributes") or ())]
        faceting = {**(settings.get("faceting") or {}), "maxValuesPerFacet": facet_values_node}
        opened = {"displayedAttributes": ["*"], "filterableAttributes": filterable, "faceting": faceting}
        self.nodes = {name: EmbeddedIndex(uid, {**settings, **opened}, found) for name, found in held.items()}

    def route(self, body: Mapping[str, Any]) -> Route:
        """Return whom a search asks."""
        return plan_route(self.readable, hash_query(self.uid, parse_users_search(dict(body))))

    def search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of the merged answer to a search."""
        return self.merged(body).body

    def merged(self, body: Mapping[str, Any]) -> MergedAnswer:
        """Return the merged answer to a search."""
        request = parse_users_search(dict(body))
        validate(request, self.rules)
        case = SearchCase(request, self.rules, SHARDS)
        route = self.route(body).parts
        rounds: list[Round] = []
        while isinstance(step := decide_round(case, route, rounds), Ask):
            self.asked[step.purpose.value] = self.asked.get(step.purpose.value, 0) + 1
            rounds.append(Round(step, tuple((part, self.ask(case, step, part)) for part in step.parts or route)))
        return step

    def facet_search(self, body: Mapping[str, Any]) -> FacetHits:
        """Return the merged hits of a facet search."""
        wanted = parse_facet_search(dict(body))
        check_facet_search(wanted, self.rules)
        case = FacetSearchCase(wanted, self.rules, SHARDS)
        route = plan_route(self.readable, hash_query(self.uid, wanted.search)).parts
        ask = Ask(Purpose.HEADS)
        answers = [
            (part, {"facetHits": self.nodes[part.node].facet_search(facet_search_body(case, ask, part))})
            for part in route
        ]
        found = decide_facet_search(case, route, [Round(ask, tuple(answers))])
        assert isinstance(found, FacetHits)
        return found

    def federated(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the merged answer to a federated search of this index."""
        multi = parse_users_multi_search(_plain(body))
        assert multi.federation is not None
        reach: Reach | None = None
        while True:
            found = self._federated(multi.federation, multi.queries, reach)
            reach = further_reach(multi.federation, [found])
            if reach is None:
                return merge_federated(multi.federation, [found])
            self.asked["further"] = self.asked.get("further", 0) + 1

    def _federated(self, federation: Federation, queries: tuple[Query, ...], reach: Reach | None) -> IndexAnswers:
        case = FederatedCase(federation, queries, self.rules, SHARDS, self.uid, reach)
        route = plan_route(self.readable, hash_query(self.uid, queries[0].search)).parts
        ask = Ask(Purpose.HEADS)
        answers = [
            (part, _plain(self.nodes[part.node].multi_search(federated_body(case, ask, part)))) for part in route
        ]
        found = decide_federated(case, route, [Round(ask, tuple(answers))])
        assert isinstance(found, IndexAnswers)
        return found

    def ask(self, case: SearchCase, ask: Ask, part: Part) -> dict[str, Any]:
        """Return what a part's node answers."""
        return self.nodes[part.node].search(body_of(case, ask, part))


def ids_of(hits: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the ids of hits, in order."""
    return [hit[PRIMARY_KEY] for hit in hits]


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body as it comes out of a request: tuples are lists there."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(body))
    return found
