"""Meilisearch's own federation over remotes, by which its sharding merges, and miroir, each against one node.

``python -m bench.remotes --node-binary PATH [--searches N] [--seed N] [--json]``: four real nodes. One of them has each
index whole; each has a quarter of it, loaded without miroir, and the first searches the four as its remotes; and miroir
has it over the same nodes, 12 shards in two copies. The same searches are put to all three, judged as in
``bench.oracle``; lists by distance, nearest first, and facets count apart. Then one node is frozen, and another killed:
how long each takes to answer, what is missing, and whether the answer says so. No licence is needed: sharding is
Enterprise's, the federation that it merges by is in every edition, as an experiment that is switched on.
"""

import asyncio
import json
import os
import random
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import quantile
from bench.oracle import SEARCHES_DEFAULT, compare, load_documents, recorded_searches, share_of, with_scores
from bench.oracle_searches import build_searches
from bench.oracle_stack import Side, node_client
from bench.setting import make_parser, running_stack
from bench.setting import run as run_measure
from miroir.stack import Stack
from schemas.errors import MiroirError
from schemas.ids import NodeId

NODES = 4
NAMES = ("movies", "cities", "wordnet")
WAYS = ("remotes", "miroir")
KINDS = ("text", "no_text", "nearest_first", "facets")

SCORE_DENOMINATOR_MAX = 10_000

NEAREST = 50
"""Lists by distance, nearest first, beside the other searches of an index whose documents have a place."""

WRONG = frozenset(("order", "hits", "estimatedTotalHits", "totalHits", "totalPages"))
"""In what an answer differs that is otherwise than one node's; scores and facets are not among it."""

FAULT_SEARCH = {"q": "", "limit": 20}
"""Every document is found, so that a total tells how many were searched."""

ASKED = frozenset({"q", "filter", "sort", "matchingStrategy", "facets", "limit", "offset", "page", "hitsPerPage"})
"""What a search of the comparison may hold: what can be told a federation as it is told an index."""

OF_THE_WHOLE = ("limit", "offset", "page", "hitsPerPage")
"""What a federation is told once; the rest is each query's."""

Json = dict[str, Any]  # as Meilisearch writes it


def nearest(score: float) -> float:
    """Return the fraction of small numbers that a rule's score is: a node reads a remote's one digit off at times."""
    return float(Fraction(score).limit_denominator(SCORE_DENOMINATOR_MAX))


class Remotes(NamedTuple):
    """The quarters of an index, searched by one of the nodes as its remotes.

    Attributes:
        quarter: that of the node that is asked; all have one name.
        nodes: whose remotes they are.
    """

    quarter: Side
    nodes: Sequence[NodeId]

    async def search(self, body: Mapping[str, Any]) -> Json:
        """Return the answer to a search of one index."""
        uid = self.quarter.uid
        federation: Json = {name: body[name] for name in OF_THE_WHOLE if name in body}
        if "facets" in body:
            federation |= {"facetsByIndex": {uid: body["facets"]}, "mergeFacets": {}}
        query = {name: value for name, value in body.items() if name not in (*OF_THE_WHOLE, "facets")}
        queries = [{**query, "indexUid": uid, "federationOptions": {"remote": node}} for node in self.nodes]
        return await self.quarter.post("/multi-search", {"federation": federation, "queries": queries})


def as_one_index(answer: Json) -> None:
    """Give a federated answer the form of one index's."""
    for hit in answer["hits"]:
        hit.pop("_federation", None)
        for detail in hit.get("_rankingScoreDetails", {}).values():
            if "score" in detail:
                detail["score"] = nearest(detail["score"])


class Index(NamedTuple):
    """One index, three times."""

    name: str
    single: Side
    remotes: Remotes
    sharded: Side

    async def ask(self, way: str, body: Mapping[str, Any]) -> tuple[Json, float]:
        """Return the answer of ``single`` or of one of the ways, and how many milliseconds it took."""
        begun_s = time.perf_counter()
        if way == "remotes":
            answer = await self.remotes.search(body)
        else:
            answer = await (self.single if way == "single" else self.sharded).ask("search", body)
        return answer, (time.perf_counter() - begun_s) * 1000


class Tally:
    """What the ways' answers to one index's searches were worth, and how long they took."""

    def __init__(self) -> None:
        self._asked = dict.fromkeys(KINDS, 0)
        self._wrong = {way: dict.fromkeys(KINDS, 0) for way in WAYS}
        self._took_ms: dict[str, list[float]] = {way: [] for way in ("single", *WAYS)}

    async def put(self, index: Index, body: Mapping[str, Any]) -> None:
        """Put a search to everyone."""
        asked = with_scores(body)
        wanted, took_ms = await index.ask("single", asked)
        self._took_ms["single"].append(took_ms)
        kinds = [kind_of(body), *(["facets"] if "facets" in body else [])]
        for kind in kinds:
            self._asked[kind] += 1
        for way in WAYS:
            got, took_ms = await index.ask(way, asked)
            assert not got.get("remoteErrors"), got["remoteErrors"]
            self._took_ms[way].append(took_ms)
            if way == "remotes":
                as_one_index(got)
            found = compare(body, got, wanted, distinct=False, inexact_total=False)
            differs = {"facets": got.get("facetDistribution") != wanted.get("facetDistribution")}
            for kind in kinds:
                self._wrong[way][kind] += differs.get(kind, bool(WRONG & set(found)))

    def to_json(self) -> Json:
        """Return it as plain values."""
        p50_ms = {way: quantile(took_ms, 0.5) for way, took_ms in self._took_ms.items()}
        return {"asked": self._asked, "wrong": self._wrong, "p50_ms": p50_ms}


def kind_of(body: Mapping[str, Any]) -> str:
    """Return which of the kinds a search is counted under."""
    first = str((body.get("sort") or ("",))[0])
    if first.startswith("_geoPoint") and first.endswith(":asc"):
        return "nearest_first"
    return "text" if (body.get("q") or "").strip() else "no_text"


def searches_of(name: str, documents: Sequence[Json], count: int, generator: random.Random) -> Iterator[Json]:
    """Yield the searches that are compared: recorded ones, as many more as are wanted, and lists by distance."""
    for body in (*recorded_searches(name), *build_searches(name, documents, count, generator)):
        if body.keys() <= ASKED and body.get("matchingStrategy") != "frequency":
            yield dict(body)
    places = [document["_geo"] for document in documents if document.get("_geo")]
    for place in generator.sample(places, min(NEAREST, len(places))):
        yield {"sort": [f"_geoPoint({place['lat']}, {place['lng']}):asc"]}


async def load(stack: Stack, opened: AsyncExitStack, name: str) -> tuple[Index, Sequence[Json]]:
    """Load one index three times."""
    settings, documents = load_documents(name)
    clients = [await opened.enter_async_context(node_client(stack, node)) for node in stack.plan.node_ids]
    single = Side(clients[-1], f"whole_{name}")
    quarters = [Side(client, f"quarter_{name}") for client in clients]
    sharded = Side(await opened.enter_async_context(stack.client()), name)
    await single.load(settings, documents)
    for number, quarter in enumerate(quarters):
        await quarter.load(settings, documents[number::NODES])
    await sharded.load(settings, documents)
    remotes = Remotes(quarters[0], stack.plan.node_ids)
    return Index(name, single, remotes, sharded), [dict(document) for document in documents]


async def join(stack: Stack) -> None:
    """Make all nodes remotes of the first."""
    key = stack.settings.node_master_key.get_secret_value()
    first = stack.plan.node_ids[0]
    remotes = {node: {"url": stack.node_url(node), "searchApiKey": key} for node in stack.plan.node_ids}
    for node in stack.plan.node_ids:
        async with node_client(stack, node) as client:
            await client.call("PATCH", "/experimental-features", json={"network": True})
    async with node_client(stack, first) as client:
        await client.call("PATCH", "/network", json={"self": first, "remotes": remotes})


async def measure_fault(index: Index, total: int) -> Json:
    """Return what each way answers while a node is hurt: after how long, how many documents, and what it says.

    Both are asked at once, in the moment of the fault: nobody has noticed it yet.
    """
    found = await asyncio.gather(*(_ask_hurt(index, way, total) for way in WAYS))
    return dict(zip(WAYS, found, strict=True))


async def _ask_hurt(index: Index, way: str, total: int) -> Json:
    begun_s = time.perf_counter()
    try:
        answer, _ = await index.ask(way, FAULT_SEARCH)
    except MiroirError as error:
        answer = {"estimatedTotalHits": 0, "error": str(error)}
    says = [name for name in ("remoteErrors", "_miroir", "error") if answer.get(name)]
    seconds = time.perf_counter() - begun_s
    return {"seconds": seconds, "missing": total - answer["estimatedTotalHits"], "says": says}


async def measure(binary: Path, *, searches: int, seed: int) -> Json:
    """Return the figures of every index, and of the faults."""
    generator = random.Random(seed)
    result: Json = {"indexes": {}}
    with tempfile.TemporaryDirectory(prefix="miroir-bench-") as directory:
        async with AsyncExitStack() as opened:
            program = _program(binary, Path(directory))
            stack = await opened.enter_async_context(running_stack(node_binary=program, nodes=NODES))
            await join(stack)
            for number, name in enumerate(NAMES):
                index, documents = await load(stack, opened, name)
                tally = Tally()
                for body in searches_of(name, documents, share_of(searches, number, len(NAMES)), generator):
                    await tally.put(index, body)
                result["indexes"][name] = tally.to_json()
            victim = stack.child(stack.plan.node_ids[1])
            assert victim.pid is not None, "it was started"
            os.kill(victim.pid, signal.SIGSTOP)
            result["frozen"] = await measure_fault(index, len(documents))
            os.kill(victim.pid, signal.SIGCONT)
            await stack.kill_node(stack.plan.node_ids[2])
            result["killed"] = await measure_fault(index, len(documents))
    return result


def _program(binary: Path, directory: Path) -> Path:
    """Return a program that starts a node which may speak to others on this machine."""
    program = directory / "node"
    flags = "--experimental-allowed-ip-networks any"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(binary.resolve()))} {flags} "$@"\n')
    program.chmod(0o700)
    return program


def show(result: Mapping[str, Any]) -> None:
    """Print it for people."""
    for name, figures in result["indexes"].items():
        for kind, asked in figures["asked"].items():
            wrong = ", ".join(f"{way} {figures['wrong'][way][kind]}" for way in WAYS)
            print(f"{name}: of {asked} {kind.replace('_', ' ')} searches otherwise than one node: {wrong}")
        print(f"{name}: p50 " + ", ".join(f"{way} {took:.1f} ms" for way, took in figures["p50_ms"].items()))
    for fault in ("frozen", "killed"):
        for way, found in result[fault].items():
            says = ", ".join(found["says"]) or "nothing"
            print(f"a node {fault}: {way} answers after {found['seconds']:.1f} s, "
                  f"{found['missing']} documents missing, says {says}")  # fmt: skip


def main() -> int:
    """Run, print, return the exit code."""
    parser = make_parser("Meilisearch's federation over remotes and miroir, each against one node.")
    parser.add_argument("--searches", type=int, default=SEARCHES_DEFAULT, help="besides the recorded ones")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.node_binary is None:
        parser.error("--node-binary: name a Meilisearch program; embedded nodes know no remotes")
    result: Json = run_measure(measure(options.node_binary, searches=options.searches, seed=options.seed))
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
