"""Sharded answers over HTTP against one node that holds everything and is asked directly.

``python -m bench.oracle_stack [--searches N] [--seed N] [--step N] [--node-binary PATH] [--kafka HOST:PORT] [--json]``:
the indexes and searches of ``bench.oracle``, and facet searches and lists of documents beside, put to a running stack
(12 shards, two copies, three nodes) and to an index that one of its nodes has beside, loaded without miroir. So log,
workers, routes, rounds and connections are in it, and with ``--node-binary`` the engine that all this is for. The same
client speaks to both sides. Embedded broker where no Kafka is named.
"""

import asyncio
import json
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from bench.oracle import (
    NAMES,
    SEARCHES_DEFAULT,
    Tally,
    compare,
    load_documents,
    recorded_searches,
    share_of,
    show_tally,
    with_scores,
)
from bench.oracle_searches import build_facet_searches, build_federated, build_lists, build_searches
from bench.setting import make_parser, running_stack
from bench.setting import run as run_measure
from miroir.client import QueryClient
from miroir.stack import Stack
from query.document_order import Criterion, parse_criteria, sort_key
from query.documents import NDJSON
from query.rewrite import distinct_attribute
from query.rules import rules_of
from query.search import parse_search
from schemas.ids import NodeId

PRIMARY_KEY = "id"
POST_DOCUMENTS = 10_000
ANSWER_S = 60.0
TASK_S = 900.0

METRE = 1.0

KINDS = ("facet_searches", "lists", "federated")
"""What is asked beside searches."""

Json = dict[str, Any]  # as Meilisearch writes it


class Side(NamedTuple):
    """An index as a client of Meilisearch sees it, whoever answers.

    Attributes:
        client: of a Meilisearch, or of miroir, with the key that may do everything.
        uid: of the index.
    """

    client: QueryClient
    uid: str

    async def load(self, settings: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> None:
        """Create the index and fill it; return when all is there."""
        await self._do("POST", "/indexes", json={"uid": self.uid, "primaryKey": PRIMARY_KEY})
        await self._do("PATCH", f"/indexes/{self.uid}/settings", json=settings)
        for start in range(0, len(documents), POST_DOCUMENTS):
            body = b"\n".join(map(orjson.dumps, documents[start : start + POST_DOCUMENTS]))
            await self._do("POST", f"/indexes/{self.uid}/documents", content=body, headers={"Content-Type": NDJSON})

    async def ask(self, action: str, body: Mapping[str, Any]) -> Json:
        """Return the answer of one of the index's routes."""
        return await self.post(f"/indexes/{self.uid}/{action}", body)

    async def federate(self, body: Mapping[str, Any]) -> Json:
        """Return the answer to a federated search, whose queries are put to this index."""
        return await self.post(
            "/multi-search", {**body, "queries": [{**q, "indexUid": self.uid} for q in body["queries"]]}
        )

    async def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """Return the answer of any route; a compressed one would come in small writes, which costs 40 ms."""
        return await self.client.call(
            "POST", path, json=body, headers={"Accept-Encoding": "identity"}, timeout=ANSWER_S
        )

    async def _do(self, method: str, path: str, **options: Any) -> None:
        """Ask for a change, and return when it is made."""
        sent = await self.client.call(method, path, timeout=ANSWER_S, **options)
        await self.client.task(sent["taskUid"], timeout_s=TASK_S)


class Indexes(NamedTuple):
    """The same documents, in shards and on one node."""

    sharded: Side
    single: Side

    async def both(self, action: str, body: Mapping[str, Any]) -> tuple[Json, Json]:
        """Return both answers."""
        return await self.sharded.ask(action, body), await self.single.ask(action, body)


def compare_facets(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in which respects two answers to a facet search differ: values, counts and order all count."""
    return [] if got["facetHits"] == wanted["facetHits"] else ["facetHits"]


def compare_lists(body: Mapping[str, Any], got: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in which respects two lists of documents differ.

    Documents that no sort sets apart stand as they came to a node, which no two nodes need to have alike: so of a list
    that ends within such a tie nothing but its sort values is compared, and of one that is whole also its documents.
    """
    found = [name for name in ("total", "offset", "limit") if got[name] != wanted[name]]
    criteria = parse_criteria(body.get("sort", ()))
    ours, theirs = ([[_value(each, wish) for wish in criteria] for each in side["results"]] for side in (got, wanted))
    if len(ours) != len(theirs) or not all(map(_are_alike, ours, theirs)):
        found.append("order")
    is_whole = body["offset"] == 0 and len(wanted["results"]) == wanted["total"]
    if is_whole and _shown(got) != _shown(wanted):
        found.append("documents")
    return found


def _value(document: Mapping[str, Any], criterion: Criterion) -> Any:
    return document.get(criterion.field) if criterion.point is None else sort_key(document, [criterion])[0]


def _are_alike(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Return whether sort values are the same; a node takes documents less than a metre apart for equally far."""
    return all(
        mine[0] == yours[0] and abs(mine[1] - yours[1]) < METRE if isinstance(mine, tuple) else mine == yours
        for mine, yours in zip(ours, theirs, strict=True)
    )


def compare_federated(got: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return in which respects two answers to a federated search differ: ties may stand in either order.

    A node's score has maxima of its own dictionary in it. So the order is judged by the wanted scores of the
    documents, as far as they are told.
    """
    found = [name for name in ("estimatedTotalHits", "offset", "limit") if got[name] != wanted[name]]
    known = {_query_and_id(hit): _weighted(hit) for hit in wanted["hits"]}
    ours = [known.get(_query_and_id(hit), _weighted(hit)) for hit in got["hits"]]
    theirs = list(map(_weighted, wanted["hits"]))
    if ours != theirs:
        return [*found, "order"]
    # The first and the last tie may go on outside of the window, unless it is the list's own beginning or end.
    is_whole = got["offset"] + len(theirs) >= got["estimatedTotalHits"]
    outer = set(theirs[:1] if got["offset"] else ()) | set(() if is_whole else theirs[-1:])
    inner = [number for number, score in enumerate(theirs) if score not in outer]
    if {(ours[n], got["hits"][n][PRIMARY_KEY]) for n in inner} != {
        (theirs[n], wanted["hits"][n][PRIMARY_KEY]) for n in inner
    }:
        found.append("hits")
    return found


def _weighted(hit: Mapping[str, Any]) -> float:
    score: float = hit["_federation"]["weightedRankingScore"]
    return score


def _query_and_id(hit: Mapping[str, Any]) -> tuple[int, Any]:
    return hit["_federation"].get("queriesPosition", 0), hit[PRIMARY_KEY]


def _shown(answer: Mapping[str, Any]) -> list[bytes]:
    return sorted(orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in answer["results"])


async def ask_index(
    name: str, indexes: Indexes, tally: Tally, *, searches: int, step: int, generator: random.Random
) -> dict[str, Any]:
    """Load one index on both sides and compare; return the figures beside the tally's."""
    settings, documents = load_documents(name, step=step)
    async with asyncio.TaskGroup() as group:
        group.create_task(indexes.sharded.load(settings, documents))
        group.create_task(indexes.single.load(settings, documents))
    rules = rules_of(name, PRIMARY_KEY, settings)
    for body in (*recorded_searches(name), *build_searches(name, documents, searches, generator)):
        got, wanted = await indexes.both("search", with_scores(body))
        distinct = distinct_attribute(parse_search(dict(body)), rules) is not None
        inexact = bool(got.get("_miroir", {}).get("inexactTotal"))
        found = compare(body, got, wanted, distinct=distinct, inexact_total=inexact)
        tally.add(name, body, found, hits=len(wanted["hits"]))
    others: dict[str, Any] = {name: 0 for kind in KINDS for name in (kind, f"{kind}_equal")}
    others["others_differing"] = []
    for body in build_federated(name, documents, searches // 2, generator):
        got, wanted = await indexes.sharded.federate(body), await indexes.single.federate(body)
        _count(others, "federated", name, body, compare_federated(got, wanted))
    for body in build_facet_searches(name, documents, searches // 2, generator):
        got, wanted = await indexes.both("facet-search", body)
        _count(others, "facet_searches", name, body, compare_facets(got, wanted))
    for body in build_lists(name, documents, searches // 2, generator):
        got, wanted = await indexes.both("documents/fetch", body)
        _count(others, "lists", name, body, compare_lists(body, got, wanted))
    return others


def _count(others: dict[str, Any], kind: str, name: str, body: Mapping[str, Any], found: Sequence[str]) -> None:
    others[kind] += 1
    others[f"{kind}_equal"] += not found
    others["others_differing"] += [{"index": name, kind: body, "differs": found}] if found else []


async def measure(
    searches: int,
    *,
    seed: int,
    step: int,
    kafka: str | None = None,
    binary: Path | None = None,
    names: Sequence[str] = NAMES,
) -> dict[str, Any]:
    """Return the counts of equal answers and lists of those that differ."""
    generator, tally = random.Random(seed), Tally()
    others: dict[str, Any] = {}
    async with running_stack(kafka=kafka, node_binary=binary) as stack, AsyncExitStack() as opened:
        for number, name in enumerate(names):
            indexes = Indexes(
                Side(await opened.enter_async_context(stack.client()), name),
                Side(await opened.enter_async_context(node_client(stack, stack.plan.node_ids[-1])), f"direct_{name}"),
            )
            found = await ask_index(
                name, indexes, tally, searches=share_of(searches, number, len(names)), step=step, generator=generator
            )
            others = {key: others.get(key, type(value)()) + value for key, value in found.items()}
    return {**tally.to_json(), **others}


def node_client(stack: Stack, node: NodeId) -> QueryClient:
    """Return a connection to a node of the stack, with its master key; the caller leaves it."""
    return QueryClient(stack.node_url(node), stack.settings.node_master_key.get_secret_value())


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("Sharded answers over HTTP against one node that holds everything.")
    parser.add_argument("--searches", type=int, default=SEARCHES_DEFAULT, help="besides the recorded ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step", type=int, default=1, help="take every STEP-th document only")
    options = parser.parse_args()
    result: dict[str, Any] = run_measure(
        measure(options.searches, seed=options.seed, step=options.step, kafka=options.kafka, binary=options.node_binary)
    )
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return 0
    show_tally(result)
    for kind in KINDS:
        print(f"{result[f'{kind}_equal']} of {result[kind]} {kind.replace('_', ' ')}")
    for entry in result["others_differing"]:
        print(f"differs: {json.dumps(entry, ensure_ascii=False)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
