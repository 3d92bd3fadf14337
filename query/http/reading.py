"""The routes that read one document, or counts, from nodes.

What always holds: each shard is asked of one replica, by the marker; the marker shows nowhere. A document has all its
attributes, whatever is displayed, as in Meilisearch. Who calls it: the application. It must not know: the log.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from aiohttp import web

from query.document_request import parse_document_flag, split_list
from query.field_counts import ESTIMATED, CopiesSeen, estimate_field_counts, see_copies
from query.gathered import EMPTY, Gathered
from query.http.asking import to_search_error
from query.http.bodies import json_response, read_parameters
from query.http.demands import NO_DEMANDS, Demands, fresh_enough, read_demands
from query.http.errors import not_supported
from query.http.service import Service, index_of, service_of
from query.ports import NodeQuestion
from query.rewrite import is_marker, with_shards
from query.routing import Part, plan_again
from query.strip import strip_document
from schemas.document_ids import parse_id
from schemas.errors import InvalidDocumentError, NodeRejectedError, NoReplicaError, NotFoundError
from schemas.events import IndexRecord
from schemas.ids import ShardId, node_index_uid
from streams.partitioning import partition_of


async def get_document(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/documents/{id}``: one shard's replica is asked."""
    parameters = read_parameters(request, ("fields", "retrieveVectors", "useNetwork"))
    vectors = parse_document_flag("retrieveVectors", parameters.get("retrieveVectors", "false"))
    if parse_document_flag("useNetwork", parameters.get("useNetwork", "false")):
        raise not_supported("The parameter `useNetwork`")
    service, index = service_of(request), index_of(request)
    fields, demands = _fields(parameters.get("fields")), read_demands(request)
    document = await fetch_document(
        service, index, request.match_info["id"], fields=fields, vectors=vectors, demands=demands
    )
    return json_response(strip_document(document, None))


async def fetch_document(
    service: Service,
    index: IndexRecord,
    text: str,
    *,
    fields: Sequence[str] | None,
    vectors: bool,
    demands: Demands,
) -> Any:
    """Return a document as a node gives it, of one shard's replica; ``fields`` None is all.

    Raises:
        NotFoundError: there is none.
        NoReplicaError: its shard could not be asked.
    """
    if index.primary_key is None:
        raise NotFoundError("document", text)
    try:
        key = parse_id(text)
    except InvalidDocumentError:
        raise NotFoundError("document", text) from None
    asked = {} if fields is None else {"fields": ",".join(fields)}
    asked |= {"retrieveVectors": "true"} if vectors else {}
    query = f"?{urlencode(asked)}" if asked else ""
    path = f"/indexes/{node_index_uid(index.uid, index.incarnation)}/documents/{quote(key, safe='')}{query}"
    shard = ShardId(partition_of(key.encode(), index.shards, index.partitioner))
    return await _ask_shard(service, index, shard, NodeQuestion("GET", path), demands, text)


async def index_stats(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/stats``."""
    read_parameters(request, ())
    return json_response(await _index_stats(service_of(request), index_of(request), read_demands(request)))


async def all_stats(request: web.Request) -> web.Response:
    """Answer ``GET /stats``."""
    read_parameters(request, ())
    service = service_of(request)
    indexes = sorted(service.views.searched.indexes.values(), key=lambda index: index.uid)
    stats = {index.uid: await _index_stats(service, index, NO_DEMANDS) for index in indexes}
    sizes = await _ask_nodes(service, NodeQuestion("GET", "/stats"))
    return json_response(
        {
            "databaseSize": sum(found.get("databaseSize", 0) for found in sizes),
            "usedDatabaseSize": sum(found.get("usedDatabaseSize", 0) for found in sizes),
            "lastUpdate": max((found["lastUpdate"] for found in sizes if found.get("lastUpdate")), default=None),
            "indexes": stats,
        }
    )


async def _index_stats(service: Service, index: IndexRecord, demands: Demands) -> dict[str, Any]:
    """Return the number of documents, and what follows from the nodes' own statistics for the rest.

    Exact where no copy lags or is leaving; else ``_miroir`` says which shards lag, and what is an estimate.
    """
    node_index = node_index_uid(index.uid, index.incarnation)
    gathered = await _count(service, index, f"/indexes/{node_index}/documents/fetch", demands)
    documents = sum(found.answer["total"] for found in gathered.answers)
    found = await _ask_nodes(service, NodeQuestion("GET", f"/indexes/{node_index}/stats"))
    held = sum(stats["numberOfDocuments"] for stats in found)
    stats: dict[str, Any] = {
        "numberOfDocuments": documents,
        "rawDocumentDbSize": _share(found, "rawDocumentDbSize", documents, held),
        "avgDocumentSize": max((stats.get("avgDocumentSize", 0) for stats in found), default=0),
        "isIndexing": any(stats["isIndexing"] for stats in found),
        **{name: _share(found, name, documents, held) for name in ("numberOfEmbeddings", "numberOfEmbeddedDocuments")},
        "fieldDistribution": estimate_field_counts(
            [stats["fieldDistribution"] for stats in found], documents=documents, held=held
        ),
    }
    copies = _see_copies(service, index)
    if index.primary_key is not None and not (copies.are_exact and len(found) == _holders(service, index)):
        stats["_miroir"] = {"lagging": list(copies.lagging), "estimated": list(ESTIMATED)}
    return stats


def _share(found: Sequence[Any], name: str, documents: int, held: int) -> int:
    """Return what nodes count over all they hold, for every document once."""
    return sum(stats.get(name, 0) for stats in found) * documents // held if held else 0


async def _count(service: Service, index: IndexRecord, path: str, demands: Demands) -> Gathered:
    """Return each part's number of documents."""
    if index.primary_key is None:
        return EMPTY
    deadline_s = asyncio.get_running_loop().time() + service.settings.search_timeout_s

    def build(part: Part) -> NodeQuestion:
        return NodeQuestion("POST", path, orjson.dumps({"limit": 0, "filter": with_shards(None, part.shards)}))

    async def ask() -> Gathered:
        readable = await fresh_enough(service, index, demands, deadline_s)
        timeout_s = deadline_s - asyncio.get_running_loop().time()
        return await service.gather(service.route(index, readable, 0), readable, build, timeout_s=timeout_s)

    gathered = await service.gather_known(ask, deadline_s=deadline_s)
    require_whole(service, index, gathered)
    return gathered


def _see_copies(service: Service, index: IndexRecord) -> CopiesSeen:
    views = service.views
    shards = [views.searched.replicas_of(index.uid, ShardId(shard)) for shard in range(index.shards)]
    incarnation = (index.uid, index.incarnation)
    leaving = any((replica.uid, replica.incarnation) == incarnation for replica in views.searched.leaving)
    return see_copies([[views.progress.of(replica) for replica in replicas] for replicas in shards], leaving=leaving)


def _holders(service: Service, index: IndexRecord) -> int:
    """Return how many nodes hold something of the index."""
    shards = (service.views.searched.replicas_of(index.uid, ShardId(shard)) for shard in range(index.shards))
    return len({replica.node for replicas in shards for replica in replicas})


async def _ask_nodes(service: Service, question: NodeQuestion) -> Sequence[Any]:
    """Return what every node that answers says; one that does not have the index yet says nothing."""
    silent = service.health.silent()
    nodes = [node for node in service.views.topology.nodes.values() if node.search_key and node.id not in silent]
    return await service.gatherer.ask_each(nodes, question, timeout_s=service.settings.search_timeout_s)


async def _ask_shard(
    service: Service, index: IndexRecord, shard: ShardId, question: NodeQuestion, demands: Demands, document: str
) -> Any:
    deadline_s = asyncio.get_running_loop().time() + service.settings.search_timeout_s

    async def ask() -> Gathered:
        readable = await fresh_enough(service, index, demands, deadline_s)
        route = plan_again(readable, [shard], ())
        timeout_s = deadline_s - asyncio.get_running_loop().time()
        return await service.gather(route, readable, lambda _: question, timeout_s=timeout_s)

    gathered = await service.gather_known(ask, deadline_s=deadline_s)
    absent = (isinstance(error, NodeRejectedError) and error.code == "document_not_found" for error in gathered.errors)
    if gathered.missing and any(absent):
        raise NotFoundError("document", document)
    require_whole(service, index, gathered)
    return gathered.answers[0].answer


def require_whole(service: Service, index: IndexRecord, gathered: Gathered, reword: Callable[[str], str] = str) -> None:
    """Refuse an answer that some shard is missing in; ``reword`` puts what nodes say into words about the question.

    Raises:
        InvalidSearchError: the nodes refuse the question.
        NoReplicaError: a shard could not be asked.
    """
    if (verdict := gathered.verdict) is not None:
        raise to_search_error(verdict, index, reword)
    if gathered.missing:
        raise NoReplicaError(index.uid, gathered.missing, epoch=service.views.topology.epoch)


def _fields(text: str | None) -> list[str] | None:
    """Return the fields of a parameter, without ours; None is all."""
    names = None if text is None else split_list(text)
    return None if names is None or "*" in names else [name for name in names if not is_marker(name)]


ROUTES = (
    web.get("/indexes/{uid}/documents/{id}", get_document),
    web.get("/indexes/{uid}/stats", index_stats),
    web.get("/stats", all_stats),
)
