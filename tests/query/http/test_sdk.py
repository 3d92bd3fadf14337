"""Official clients of Meilisearch against the service, unchanged."""

import asyncio
from typing import Any

import orjson
import pytest

from tests.query.http.javascript_client import run_script
from tests.query.http.stand import Stand, films

meilisearch = pytest.importorskip("meilisearch", reason="the SDK is a development dependency")

JAVASCRIPT = """
import { Meilisearch } from 'meilisearch';
const client = new Meilisearch({ host: process.argv[2] });
const index = client.index('films');
const refused = await index.search('x', { filter: 'nope = 1' }).catch((error) => error.cause.code);
const hits = (await index.search('film 1', { limit: 50 })).hits;
const facets = await index.searchForFacetValues({ facetName: 'genre' });
const federated = await client.multiSearch({ federation: {}, queries: [{ indexUid: 'films', q: 'film 7' }] });
const byIds = await index.getDocuments({ ids: [4, 2] });
console.log(JSON.stringify({
  healthy: await client.isHealthy(),
  version: (await client.getVersion()).pkgVersion,
  indexes: (await client.getIndexes()).results.map((found) => found.uid),
  'primary key': await index.fetchPrimaryKey(),
  hits: hits.map((hit) => hit.id).sort((a, b) => a - b),
  'by GET': (await index.searchGet('film 7', { limit: 1 })).hits[0].id,
  page: (await index.search('film', { page: 2, hitsPerPage: 8 })).totalPages,
  facets: facets.facetHits.map((hit) => hit.value),
  queries: (await client.multiSearch({ queries: [{ indexUid: 'films', q: 'x' }] })).results.map((r) => r.indexUid),
  federated: federated.hits[0]._federation.indexUid,
  document: (await index.getDocument(3)).title,
  documents: (await index.getDocuments({ limit: 100 })).results.length,
  'by ids': byIds.results.map((document) => document.id),
  stats: (await index.getStats()).numberOfDocuments,
  'all stats': Object.keys((await client.getStats()).indexes),
  settings: (await index.getSettings()).displayedAttributes,
  embedders: await index.getEmbedders(),
  similar: await index.searchSimilarDocuments({ id: 1, embedder: 'e' }).catch((error) => error.cause.code),
  tasks: (await client.tasks.getTasks({ limit: 1 })).results[0].status,
  refused,
}));
"""


def _read(url: str) -> dict[str, Any]:
    """Call every read of the Python client."""
    client = meilisearch.Client(url)
    index = client.index("films")
    with pytest.raises(meilisearch.errors.MeilisearchApiError) as refused:
        index.search("x", {"filter": "nope = 1"})
    return {
        "healthy": client.is_healthy(),
        "version": client.get_version()["pkgVersion"],
        "indexes": [found.uid for found in client.get_indexes()["results"]],
        "primary key": client.get_index("films").primary_key,
        "hits": sorted(hit["id"] for hit in index.search("film 1", {"limit": 50})["hits"]),
        "queries": [found["indexUid"] for found in client.multi_search([{"indexUid": "films", "q": "x"}])["results"]],
        "document": index.get_document(3).title,
        "documents": sorted(document.id for document in index.get_documents({"limit": 100}).results),
        "by ids": [document.id for document in index.get_documents({"ids": [4, 2]}).results],
        "stats": index.get_stats().number_of_documents,
        "all stats": list(client.get_all_stats()["indexes"]),
        "settings": index.get_settings()["displayedAttributes"],
        "tasks": client.get_tasks({"limit": 1}).results[0].status,
        "refused": refused.value.code,
    }


async def test_python_client_reads_everything(stand: Stand) -> None:
    """Each read of the official Python client returns what it does from one Meilisearch."""
    await stand.films(20)

    read = await asyncio.to_thread(_read, str(stand.client.make_url("")).rstrip("/"))

    ones = sorted(film["id"] for film in films(20) if "film 1" in film["title"])
    assert read == {
        "healthy": True,
        "version": "1.50.0",
        "indexes": ["films"],
        "primary key": "id",
        "hits": ones,
        "queries": ["films"],
        "document": "film 3",
        "documents": list(range(20)),
        "by ids": [2, 4],
        "stats": 20,
        "all stats": ["films"],
        "settings": ["*"],
        "tasks": "succeeded",
        "refused": "invalid_search_filter",
    }


async def test_javascript_client_reads_everything(stand: Stand) -> None:
    """The same for the official JavaScript client."""
    await stand.films(20)
    change = await stand.call("PATCH", "/indexes/films/settings", {"filterableAttributes": ["genre"]})
    await stand.finished(change)

    read = await asyncio.to_thread(run_script, JAVASCRIPT, str(stand.client.make_url("")).rstrip("/"))

    assert orjson.loads(read) == {
        "healthy": True,
        "version": "1.50.0",
        "indexes": ["films"],
        "primary key": "id",
        "hits": sorted(film["id"] for film in films(20) if "film 1" in film["title"]),
        "by GET": 7,
        "page": 3,
        "facets": ["comedy", "drama"],
        "queries": ["films"],
        "federated": "films",
        "document": "film 3",
        "documents": 20,
        "by ids": [2, 4],
        "stats": 20,
        "all stats": ["films"],
        "settings": ["*"],
        "embedders": {},
        "similar": "invalid_similar_embedder",
        "tasks": "succeeded",
        "refused": "invalid_search_filter",
    }
