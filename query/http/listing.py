"""The routes that list documents: GET and POST.

Without a sort, shards are read one behind the other, and a page asks only those it touches; with one, every node gives
its head and these are merged. Ids are asked of their own shards alone. What always holds: totals are exact; a document
shows once; the marker shows nowhere; all attributes show, whatever is displayed, as in Meilisearch. Who calls it: the
application. It must not know: the log.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from query.document_order import fold_text, merge_sorted, parse_criteria
from query.document_request import FIELDS, DocumentsRequest, parse_fetch, parse_list
from query.document_window import Piece, cut_window
from query.filter_quotes import quote_users
from query.gathered import Gathered, PartAnswer
from query.http.bodies import json_response, read_json, read_parameters
from query.http.demands import Demands, fresh_enough, read_demands
from query.http.errors import not_supported
from query.http.reading import require_whole
from query.http.service import Service, index_of, service_of
from query.identity import identity_of
from query.ports import NodeQuestion
from query.rewrite import is_marker, with_shards
from query.routing import Part, Readable, Route
from query.rules import IndexRules
from query.strip import strip_document
from query.validate import check_document_sort, check_filter
from schemas.errors import InvalidRequestError, NoReplicaError
from schemas.events import IndexRecord, NodeRecord
from schemas.ids import NodeId, ShardId, node_index_uid
from streams.partitioning import partition_of

SORTED_WINDOW_MAX = 100_000
"""Offset and limit together where there is a sort: every node gives its list from the beginning."""

SECTIONS_MAX = 64
"""An index of more shards is read node after node: counting every shard would cost a request each."""

PARTS_AT_ONCE = 32
"""Pieces of one page asked for at the same moment; a large page of many small shards must not take a node's room."""

TRIES_MAX = 3
"""A copy that fails between counting and reading makes the page begin anew; three times, and that is not the reason."""

_CODE = "invalid_document_filter"

_NOTHING: Mapping[str, Any] = {"limit": 0}
"""What a part is asked for that has come up for some shards of another one, in the place of a node that has failed."""

Documents = list[Mapping[str, Any]]


class _Listed(NamedTuple):
    """What one view of the cluster led to: the page and the total, or what was asked with keys that are forgotten."""

    documents: Documents
    total: int
    lost: Gathered | None = None

    @property
    def forgotten(self) -> bool:
        return self.lost is not None


class _ForgottenError(Exception):
    """A node does not know its key: whom to ask is to be chosen anew."""

    def __init__(self, gathered: Gathered) -> None:
        super().__init__("forgotten")
        self.gathered = gathered


@dataclass(frozen=True, slots=True)
class _Listing:
    """One list under way, over one view: of copies and nodes' keys of different moments, some would lack documents."""

    service: Service
    index: IndexRecord
    wanted: DocumentsRequest
    readable: Readable
    nodes: Mapping[NodeId, NodeRecord]
    deadline_s: float

    @property
    def path(self) -> str:
        return f"/indexes/{node_index_uid(self.index.uid, self.index.incarnation)}/documents/fetch"

    def route(self) -> Route:
        """Return whom to ask: always the same nodes, so that pages line up.

        Raises:
            NoReplicaError: some shard has no copy.
        """
        route = self.service.route(self.index, self.readable, 0)
        if route.missing:
            raise NoReplicaError(self.index.uid, route.missing, epoch=self.service.views.topology.epoch)
        return route

    async def ask(self, parts: Iterable[Part], bodies: Mapping[ShardId, Mapping[str, Any]]) -> Gathered:
        """Return what the parts answer, each to the body under its first shard; to one without a body, nothing.

        Raises:
            _ForgottenError: shards are missing because the view is old.
            NoReplicaError: because nobody could be asked.
        """

        def build(part: Part) -> NodeQuestion:
            # A part that several nodes answer cannot be cut as the whole was: whoever asks sees it in the shards.
            body = next((bodies[shard] for shard in part.shards if shard in bodies), _NOTHING)
            condition = with_shards(self.wanted.condition, part.shards)
            return NodeQuestion("POST", self.path, orjson.dumps({**body, "filter": condition}))

        timeout_s = self.deadline_s - asyncio.get_running_loop().time()
        gathered = await self.service.gather(
            Route(tuple(parts)), self.readable, build, timeout_s=timeout_s, nodes=self.nodes
        )
        if gathered.forgotten:
            raise _ForgottenError(gathered)
        require_whole(self.service, self.index, gathered, partial(quote_users, condition=self.wanted.condition))
        return gathered

    async def ask_each(
        self, parts: Sequence[Part], bodies: Mapping[ShardId, Mapping[str, Any]]
    ) -> dict[ShardId, PartAnswer]:
        """Return what each part answered, under its first shard, some parts at a time."""
        found: dict[ShardId, PartAnswer] = {}
        for first in range(0, len(parts), PARTS_AT_ONCE):
            gathered = await self.ask(parts[first : first + PARTS_AT_ONCE], bodies)
            found |= {answer.part.shards[0]: answer for answer in gathered.answers}
        return found


async def list_documents(request: web.Request) -> web.Response:
    """Answer ``GET /indexes/{uid}/documents``."""
    parameters = read_parameters(request, FIELDS)
    return await _answer(request, parse_list(parameters))


async def fetch_documents(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/documents/fetch``."""
    return await _answer(request, parse_fetch(await read_json(request)))


async def _answer(request: web.Request, wanted: DocumentsRequest) -> web.Response:
    service, index = service_of(request), index_of(request)
    _check(wanted, service.views.rules(index))
    demands = read_demands(request)
    deadline_s = asyncio.get_running_loop().time() + service.settings.search_timeout_s

    async def ask() -> _Listed:
        return await _list(service, service.views.searched.index(index.uid), wanted, demands, deadline_s)

    listed = await service.gather_known(ask, deadline_s=deadline_s)
    if listed.lost is not None:
        require_whole(service, index, listed.lost, partial(quote_users, condition=wanted.condition))
    results = [strip_document(document, None) for document in listed.documents]
    return json_response({"results": results, "offset": wanted.offset, "limit": wanted.limit, "total": listed.total})


def _check(wanted: DocumentsRequest, rules: IndexRules) -> None:
    if wanted.network:
        raise not_supported("The parameter `useNetwork`")
    check_filter(wanted.condition, rules, code=_CODE)
    check_document_sort(wanted.sort, rules)
    if wanted.sort and wanted.offset + wanted.limit > SORTED_WINDOW_MAX:
        message = f"offset and limit together must be at most {SORTED_WINDOW_MAX} where there is a sort"
        raise InvalidRequestError("invalid_document_limit", message)


async def _list(
    service: Service, index: IndexRecord, wanted: DocumentsRequest, demands: Demands, deadline_s: float
) -> _Listed:
    """Return what the view of this moment leads to."""
    if index.primary_key is None:
        return _Listed([], 0)
    readable = await fresh_enough(service, index, demands, deadline_s)
    listing = _Listing(service, index, wanted, readable, service.views.topology.nodes, deadline_s)
    try:
        return _Listed(*await _page(listing))
    except _ForgottenError as error:
        return _Listed([], 0, error.gathered)


async def _page(listing: _Listing) -> tuple[Documents, int]:
    """Return the page and the total."""
    if listing.wanted.ids is not None:
        return await _by_ids(listing, listing.wanted.ids)
    if listing.wanted.sort:
        return await _sorted(listing)
    for _ in range(TRIES_MAX):
        page = await _browse(listing)
        if page is not None:
            return page
    raise NoReplicaError(listing.index.uid, (), epoch=listing.service.views.topology.epoch)


async def _browse(listing: _Listing) -> tuple[Documents, int] | None:
    """Return the page and the total; None where a copy has failed in between, so that pieces do not fit any more."""
    wanted = listing.wanted
    parts = _sections(listing)
    counted = await listing.ask_each(parts, {shard: {"limit": 0} for part in parts for shard in part.shards})
    lists = [answer for _, answer in sorted(counted.items())]
    totals = [answer.answer["total"] for answer in lists]
    pieces = cut_window(totals, offset=wanted.offset, limit=wanted.limit)
    asked = [lists[piece.at].part for piece in pieces]
    bodies = {part.shards[0]: _window(wanted, piece) for part, piece in zip(asked, pieces, strict=True)}
    found = await listing.ask_each(asked, bodies)
    if any(found[part.shards[0]].part.shards != part.shards for part in asked):
        return None
    documents = [document for part in asked for document in found[part.shards[0]].answer["results"]]
    return documents, sum(totals)


def _sections(listing: _Listing) -> Sequence[Part]:
    """Return what is read one behind the other: shards, or where they are too many all that a node is asked for."""
    route = listing.route()
    if listing.index.shards > SECTIONS_MAX:
        return route.parts
    return _by_shard(route)


async def _sorted(listing: _Listing) -> tuple[Documents, int]:
    wanted = listing.wanted
    criteria = parse_criteria(wanted.sort)
    body = _fields(wanted, *(criterion.field for criterion in criteria))
    body |= {"offset": 0, "limit": wanted.offset + wanted.limit, "sort": list(wanted.sort)}
    gathered = await listing.ask(listing.route().parts, {ShardId(shard): body for shard in range(listing.index.shards)})
    lists = [found.answer["results"] for found in gathered.answers]
    documents = merge_sorted(lists, criteria, offset=wanted.offset, limit=wanted.limit)
    return [_cut(document, wanted) for document in documents], _total(gathered)


async def _by_ids(listing: _Listing, ids: tuple[str, ...]) -> tuple[Documents, int]:
    """Return the documents with these ids, in the order of the ids, or as the sort says."""
    wanted, index = listing.wanted, listing.index
    by_shard: dict[ShardId, list[str]] = {}
    for key in ids:
        shard = ShardId(partition_of(key.encode(), index.shards, index.partitioner))
        by_shard.setdefault(shard, []).append(key)
    criteria = parse_criteria(wanted.sort)
    fields = _fields(wanted, str(index.primary_key), *(criterion.field for criterion in criteria))
    sort = {"sort": list(wanted.sort)} if wanted.sort else {}
    bodies = {
        shard: {**fields, **sort, "ids": keys, "offset": 0, "limit": len(keys)} for shard, keys in by_shard.items()
    }
    parts = [part for part in _by_shard(listing.route()) if part.shards[0] in bodies]
    found = await listing.ask_each(parts, bodies)
    if criteria:
        lists = [answer.answer["results"] for answer in found.values()]
    else:
        name = str(index.primary_key)
        every = (document for answer in found.values() for document in answer.answer["results"])
        lists = [sorted(every, key=lambda document: _id_key(identity_of(document, name)))]
    documents = merge_sorted(lists, criteria, offset=wanted.offset, limit=wanted.limit)
    return [_cut(document, wanted) for document in documents], sum(map(len, lists))


def _by_shard(route: Route) -> Sequence[Part]:
    """Return every shard by itself, in order."""
    parts = (Part(part.node, (shard,)) for part in route.parts for shard in part.shards)
    return sorted(parts, key=lambda part: part.shards)


def _window(wanted: DocumentsRequest, piece: Piece) -> dict[str, Any]:
    return {**_fields(wanted), "offset": piece.offset, "limit": piece.limit}


def _fields(wanted: DocumentsRequest, *needed: str) -> dict[str, Any]:
    """Return what to ask for of documents: the fields wanted and those needed besides, and vectors where wanted."""
    body: dict[str, Any] = {"retrieveVectors": True} if wanted.vectors else {}
    if wanted.fields is not None:
        body["fields"] = [name for name in dict.fromkeys((*wanted.fields, *needed)) if not is_marker(name)]
    return body


def _cut(document: Mapping[str, Any], wanted: DocumentsRequest) -> Mapping[str, Any]:
    """Return the document with the fields that are wanted, where more were asked for."""
    if wanted.fields is None:
        return document
    cut = strip_document(document, wanted.fields)
    return cut | {"_vectors": document["_vectors"]} if wanted.vectors and "_vectors" in document else cut


def _total(gathered: Gathered) -> int:
    return sum(found.answer["total"] for found in gathered.answers)


def _id_key(value: object) -> tuple[int, int, str]:
    return (0, value, "") if isinstance(value, int) else (1, 0, fold_text(str(value)))


ROUTES = (
    web.get("/indexes/{uid}/documents", list_documents),
    web.post("/indexes/{uid}/documents/fetch", fetch_documents),
)
