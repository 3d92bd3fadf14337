"""Similarity over shards: a query service over three nodes against one node with all documents, both real."""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.integration.api import Api, running_service
from tests.integration.cluster import Cluster
from tests.integration.node import NODE_MASTER_KEY, Node
from tests.integration.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.meilisearch, pytest.mark.asyncio(loop_scope="module")]

DIMENSIONS = 4
WORDS = ("red", "green", "blue", "fast", "slow", "car", "boat", "plane", "old", "new")
SETTINGS = {
    "embedders": {"own": {"source": "userProvided", "dimensions": DIMENSIONS}},
    "filterableAttributes": ["kind", "group"],
    "sortableAttributes": ["rank"],
}
OWN = {"embedder": "own"}


def documents() -> list[dict[str, Any]]:
    """Return documents with a text, and nine in ten with a vector."""
    random = Random(7)
    return [
        {
            "id": number,
            "title": " ".join(random.sample(WORDS, random.randint(1, 5))),
            "kind": random.choice(("a", "b")),
            "group": number % 40,
            "rank": random.randint(0, 5),
            "_vectors": {"own": [random.uniform(-1, 1) for _ in range(DIMENSIONS)] if number % 10 else None},
        }
        for number in range(300)
    ]


def searches() -> list[dict[str, Any]]:
    """Return searches by similarity, and by words as well, with whatever else a search may ask."""
    random = Random(8)
    bodies: list[dict[str, Any]] = []
    for number in range(60):
        vector = [random.uniform(-1, 1) for _ in range(DIMENSIONS)]
        text = {"q": " ".join(random.sample(WORDS, random.randint(1, 3)))} if number % 3 else {}
        ratio = {} if number % 4 else {"semanticRatio": random.choice((0.0, 0.1, 0.3, 0.8, 1.0))}
        more = random.choice(
            (
                {},
                {"offset": 15, "limit": 30},
                {"page": 2, "hitsPerPage": 7},
                {"filter": "kind = a", "facets": ["kind", "group"]},
                {"sort": ["rank:asc"]},
                {"attributesToRetrieve": ["title"], "retrieveVectors": True},
                {"limit": 3},
            )
        )
        bodies.append({**text, "hybrid": {**OWN, **ratio}, "vector": vector, **more})
    return [*bodies, {"q": "red car", "hybrid": OWN}, {"q": "", "hybrid": OWN}, {"q": "car", "hybrid": OWN, "limit": 0}]


class Single:
    """One node with all documents."""

    def __init__(self, node: Node) -> None:
        self._http = httpx.AsyncClient(
            base_url=node.url, headers={"Authorization": f"Bearer {NODE_MASTER_KEY}"}, timeout=60, trust_env=False
        )

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON."""
        return (await self._http.request(method, path, json=body)).json()

    async def done(self, summary: Mapping[str, Any]) -> None:
        """Return when the task has succeeded."""

        async def is_done() -> bool:
            task = await self.call("GET", f"/tasks/{summary['taskUid']}")
            assert task["status"] != "failed", task
            return bool(task["status"] == "succeeded")

        await until(is_done, "the task")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


@pytest.fixture(scope="module")
def binary() -> str:
    """A real Meilisearch; without one there is nothing to compare with."""
    found = os.environ.get("MEILISEARCH_BIN")
    if not found:
        pytest.skip("MEILISEARCH_BIN names no binary")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, binary: str) -> AsyncIterator[Api]:
    """A service over three real nodes that hold the documents."""
    directory: Path = tmp_path_factory.mktemp("similarity")
    async with Cluster(directory, node_binary=binary) as cluster, running_service(cluster.settings) as ready:
        await ready.finished(await ready.write("POST", "/indexes", {"uid": "things", "primaryKey": "id"}))
        await ready.finished(await ready.write("PATCH", "/indexes/things/settings", SETTINGS))
        lines = b"\n".join(map(orjson.dumps, documents()))
        task = await ready.finished(await ready.write("POST", "/indexes/things/documents", raw=lines))
        assert task["status"] == "succeeded", task
        await cluster.caught_up(await cluster.index("things"))
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def single(tmp_path_factory: pytest.TempPathFactory, binary: str) -> AsyncIterator[Single]:
    """One real node with the same documents and settings."""
    node = Node("single", tmp_path_factory.mktemp("single"), binary)
    await node.start()
    whole = Single(node)
    try:
        await whole.done(await whole.call("POST", "/indexes", {"uid": "things", "primaryKey": "id"}))
        await whole.done(await whole.call("PATCH", "/indexes/things/settings", SETTINGS))
        await whole.done(await whole.call("POST", "/indexes/things/documents", documents()))
        yield whole
    finally:
        await whole.close()
        await node.close()


def outline(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be equal of two answers: all but times and ids, and which of equal scores comes first."""
    rest = {name: value for name, value in answer.items() if name not in ("hits", "processingTimeMs", "requestUid")}
    hits = answer["hits"]
    scores = [hit["_rankingScore"] for hit in hits]
    # Of a score that stands once the hit must be the same; the first and the last may tie with hits outside.
    shown = [hit for hit in hits[1:-1] if scores.count(hit["_rankingScore"]) == 1]
    return {**rest, "scores": scores, "shown": shown}


async def test_searches_by_similarity_equal_one_nodes(api: Api, single: Single) -> None:
    """Order, scores, vectors, totals, facets, and how many hits are there for their similarity."""
    differing: list[str] = []
    for body in searches():
        asked = {**body, "showRankingScore": True}
        _, ours, _ = await api.call("POST", "/indexes/things/search", asked)
        theirs = await single.call("POST", "/indexes/things/search", asked)
        mine, other = outline(ours), outline(theirs)
        differing += [f"{body}\n  {mine}\n  {other}"] if mine != other else []

    assert not differing, "\n".join(differing)


@pytest.mark.parametrize("number", [1, 2, 77, 154])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"limit": 4, "offset": 3},
        {"filter": "kind = b", "attributesToRetrieve": ["id"]},
        {"retrieveVectors": True, "limit": 2},
        {"limit": 300},
        {"rankingScoreThreshold": 0.9},
    ],
    ids=["plain", "window", "filter", "vectors", "all", "threshold"],
)
async def test_similar_documents_equal_one_nodes(api: Api, single: Single, number: int, more: dict[str, Any]) -> None:
    """The document itself is left out, and so are those without a vector."""
    asked = {"id": number, "embedder": "own", "showRankingScore": True, **more}

    status, ours, _ = await api.call("POST", "/indexes/things/similar", asked)
    theirs = await single.call("POST", "/indexes/things/similar", asked)

    if "rankingScoreThreshold" in more:
        # An estimate, and of other documents: a search leaves those without a vector out.
        ours["estimatedTotalHits"] = theirs["estimatedTotalHits"]
    assert status == 200
    assert {**ours, "processingTimeMs": 0} == {**theirs, "processingTimeMs": 0}


@pytest.mark.parametrize(
    "asked",
    [
        {"id": 10, "embedder": "own"},
        {"id": 1, "embedder": "own", "limit": 0},
        {"id": 1000, "embedder": "own"},
        {"id": "a b", "embedder": "own"},
        {"id": 1, "embedder": "other"},
        {"id": 1},
        {"embedder": "own"},
        {"id": 1, "embedder": "own", "q": "x"},
        {"id": 1, "embedder": "own", "filter": "title = x"},
        {"id": 1, "embedder": "own", "filter": 5},
        {"id": None, "embedder": "own"},
        {"id": 1, "embedder": "own", "rankingScoreThreshold": 2},
        {"id": 1, "embedder": "own", "limit": -1},
        {"id": 1, "embedder": "own", "attributesToRetrieve": "title"},
    ],
    ids=str,
)
async def test_odd_requests_for_similar_documents_are_answered_as_by_one_node(
    api: Api, single: Single, asked: dict[str, Any]
) -> None:
    """A document without a vector has none like it; what is wrong is said in Meilisearch's words."""
    _, ours, _ = await api.call("POST", "/indexes/things/similar", asked)
    theirs = await single.call("POST", "/indexes/things/similar", asked)

    assert without_links(ours) == without_links(theirs)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/similar?id=1&embedder=own&limit=2&filter=kind%20%3D%20a&attributesToRetrieve=id", None),
        ("GET", "/similar?id=1", None),
        ("GET", "/similar?id=1&embedder=own&limit=x", None),
        ("GET", "/search?q=car&hybridEmbedder=own&vector=1,0,0,0&limit=2&attributesToRetrieve=title", None),
        ("GET", "/search?q=car&hybridEmbedder=own&vector=1,x&limit=2", None),
        ("POST", "/search", {"q": "car", "hybrid": {**OWN, "semanticRatio": 1.0}}),
        ("POST", "/search", {"q": "car", "hybrid": OWN, "vector": [1.0]}),
        ("POST", "/search", {"q": "car", "hybrid": {"embedder": "other"}}),
        ("POST", "/search", {"q": "car", "hybrid": {"embedder": "other", "semanticRatio": 0.0}, "limit": 0}),
        ("GET", "/documents/7?retrieveVectors=true", None),
        ("GET", "/documents/7?retrieveVectors=true&fields=id", None),
        ("POST", "/documents/fetch", {"ids": [3, 10], "retrieveVectors": True, "fields": ["title"]}),
        ("POST", "/documents/fetch", {"ids": [3, 10]}),
        ("GET", "/settings/embedders", None),
    ],
)
async def test_vectors_are_shown_and_refused_as_by_one_node(
    api: Api, single: Single, method: str, path: str, body: Any
) -> None:
    """By every route that reads documents, and by GET as by POST."""
    _, ours, _ = await api.call(method, f"/indexes/things{path}", body)
    theirs = await single.call(method, f"/indexes/things{path}", body)

    assert without_links(ours) == without_links(theirs)


async def test_embeddings_are_counted_once(api: Api, single: Single) -> None:
    """However many copies there are."""
    _, ours, _ = await api.call("GET", "/indexes/things/stats")
    theirs = await single.call("GET", "/indexes/things/stats")

    assert ours["numberOfEmbeddings"] == pytest.approx(theirs["numberOfEmbeddings"], abs=2)
    assert ours["numberOfEmbeddedDocuments"] == pytest.approx(theirs["numberOfEmbeddedDocuments"], abs=2)
    assert "vector" not in ours["fieldDistribution"]


def without_links(answer: Any) -> Any:
    """Return an answer without what tells one from another in any case."""
    return {name: value for name, value in answer.items() if name not in ("link", "processingTimeMs", "requestUid")}


FEDERATED: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({}, [{"hybrid": OWN, "vector": [0.3, -0.2, 0.5, 0.1]}, {"q": "car", "federationOptions": {"weight": 0.5}}]),
    ({"distinct": "group", "limit": 30}, [{"hybrid": OWN, "vector": [0.3, -0.2, 0.5, 0.1]}]),
    ({"distinct": "group", "page": 2, "hitsPerPage": 12}, [{"q": "car"}, {"q": "boat"}]),
    ({"limit": 25}, [{"q": "red car", "hybrid": OWN, "vector": [0.3, -0.2, 0.5, 0.1]}]),
]


@pytest.mark.parametrize(("federation", "queries"), FEDERATED, ids=["two kinds", "distinct", "pages", "both"])
async def test_federated_lists_with_similarity_equal_one_nodes(
    api: Api, single: Single, federation: dict[str, Any], queries: list[dict[str, Any]]
) -> None:
    """By weighted scores, in order; also where values show up once only."""
    asked = {"federation": federation, "queries": [{"indexUid": "things", **query} for query in queries]}

    status, ours, _ = await api.call("POST", "/multi-search", asked)
    theirs = await single.call("POST", "/multi-search", asked)

    assert status == 200
    mine, other = ([hit["_federation"]["weightedRankingScore"] for hit in each["hits"]] for each in (ours, theirs))
    assert mine == other
    assert ours.get("semanticHitCount") == theirs.get("semanticHitCount")
