"""Routes of documents."""

import time
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from miroir.node.engine import bitmaps
from miroir.node.engine.display import select
from miroir.node.engine.filter_evaluation import ErrorStyle, evaluate_filter
from miroir.node.engine.filters import parse_filter
from miroir.node.engine.sorting import Criterion, check_sortable, parse_criterion, sort_buckets
from miroir.node.protocol import tasks
from miroir.node.protocol.errors import ApiError, document_not_found, feature_not_enabled, index_not_found
from miroir.node.protocol.index_uids import check_index_uid
from miroir.node.protocol.keys import Permit
from miroir.node.protocol.payload import CSV, check_content_type, count_documents, parse_ids
from miroir.node.protocol.tasks import Work, view_summary
from miroir.node.protocol.values import check_parameters, parameter_boolean, parameter_count, parameter_list
from miroir.node.server.http import answer, node_of, read_bytes, read_json
from miroir.node.sqlite.index_reader import CatalogReader, SqliteIndexReader
from miroir.node.sqlite.queue_store import NewTask
from schemas.meilisearch_values import (
    check_fields,
    read_array,
    read_boolean,
    read_count,
    read_object,
    read_strings,
    show_json,
)

_WRITE_PARAMETERS = ("primaryKey", "csvDelimiter", "customMetadata", "skipCreation")
_FETCH_FIELDS = ("offset", "limit", "fields", "retrieveVectors", "ids", "filter", "sort", "useNetwork")
_LIMIT_DEFAULT = 20


def add_document_routes(app: web.Application) -> None:
    """Register the routes."""
    path = "/indexes/{uid}/documents"
    app.router.add_get(path, list_documents, allow_head=False)
    app.router.add_post(path, replace_documents)
    app.router.add_put(path, update_documents)
    app.router.add_delete(path, clear_documents)
    app.router.add_post(f"{path}/fetch", fetch_documents)
    app.router.add_post(f"{path}/delete-batch", delete_batch)
    app.router.add_post(f"{path}/delete", delete_by_filter)
    app.router.add_post(f"{path}/edit", edit_documents)
    app.router.add_get(f"{path}/{{id}}", get_document, allow_head=False)
    app.router.add_delete(f"{path}/{{id}}", delete_document)


def _permit(request: web.Request, action: str) -> Permit:
    uid = request.match_info["uid"]
    permit = node_of(request).authorise(request.headers.get("Authorization"), action, uid)
    check_index_uid(uid)
    return permit


async def _accept(
    request: web.Request, kind: str, work: Work, details: Mapping[str, Any], payload: bytes | None = None
) -> web.Response:
    metadata = request.query.get("customMetadata")
    uid = request.match_info["uid"]
    new = NewTask(uid, kind, work, dict(details), time.time_ns(), metadata, payload)
    return answer(view_summary(await node_of(request).accept(new)), 202)


async def replace_documents(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/documents."""
    return await _write(request, "replace")


async def update_documents(request: web.Request) -> web.Response:
    """PUT /indexes/{uid}/documents."""
    return await _write(request, "update")


async def _write(request: web.Request, kind: str) -> web.Response:
    permit = _permit(request, "documents.add")
    content = check_content_type(request.headers.get("Content-Type"))
    check_parameters(request.query, _WRITE_PARAMETERS)
    delimiter = _delimiter(request.query.get("csvDelimiter"), content)
    skips = bool(parameter_boolean(request.query, "skipCreation", "invalid_skip_creation"))
    payload = await read_bytes(request)
    count = await node_of(request).in_parser(lambda: count_documents(content, payload, delimiter=delimiter))
    options = {
        "creates": permit.creates_indexes,
        "primary_key": request.query.get("primaryKey"),
        "content": content,
        "delimiter": delimiter,
        "skip_creation": skips,
    }
    details = {"receivedDocuments": count, "indexedDocuments": None}
    return await _accept(request, tasks.DOCUMENTS, Work(kind, options), details, payload)


def _delimiter(text: str | None, content: str) -> str:
    if text is None:
        return ","
    if len(text) != 1 or not text.isascii():
        reason = f"csvDelimiter must be an ASCII character. Found: {text!r}"
        raise ApiError("invalid_document_csv_delimiter", f"Invalid value in parameter `csvDelimiter`: {reason}")
    if content != CSV:
        name = content.rpartition("/")[2].removeprefix("x-")
        reason = f"The Content-Type `{content}` does not support the use of a csv delimiter. The csv delimiter can only"
        del name
        raise ApiError("invalid_content_type", f"{reason} be used with the Content-Type `text/csv`.")
    return text


async def delete_batch(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/documents/delete-batch."""
    _permit(request, "documents.delete")
    check_parameters(request.query, ("customMetadata",))
    return await _delete_ids(request, parse_ids(await read_json(request)))


async def delete_document(request: web.Request) -> web.Response:
    """DELETE /indexes/{uid}/documents/{id}."""
    _permit(request, "documents.delete")
    check_parameters(request.query, ("customMetadata",))
    return await _delete_ids(request, [request.match_info["id"]])


async def _delete_ids(request: web.Request, ids: list[str]) -> web.Response:
    details = {"providedIds": len(ids), "deletedDocuments": None, "originalFilter": None}
    return await _accept(request, tasks.DOCUMENT_DELETION, Work("delete_ids", {}), details, orjson.dumps(ids))


async def delete_by_filter(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/documents/delete."""
    _permit(request, "documents.delete")
    check_parameters(request.query, ("customMetadata",))
    body = read_object(await read_json(request))
    check_fields(body, ("filter",))
    if "filter" not in body:
        raise ApiError("missing_document_filter", "Missing field `filter`")
    if body["filter"] is None:
        text = "Invalid syntax for the filter parameter: `expected String, Array, found: null`."
        raise ApiError("invalid_document_filter", text)
    tree, _ = parse_filter(body["filter"], "invalid_document_filter")
    if tree is None:
        raise ApiError("invalid_document_filter", "Sending an empty filter is forbidden.")
    details = {"providedIds": 0, "deletedDocuments": None, "originalFilter": show_json(body["filter"])}
    work = Work("delete_filter", {"filter": body["filter"]})
    return await _accept(request, tasks.DOCUMENT_DELETION, work, details)


async def clear_documents(request: web.Request) -> web.Response:
    """DELETE /indexes/{uid}/documents."""
    _permit(request, "documents.delete")
    check_parameters(request.query, ("customMetadata",))
    return await _accept(request, tasks.DOCUMENT_DELETION, Work("clear", {}), {"deletedDocuments": None})


async def edit_documents(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/documents/edit."""
    _permit(request, "documents.add")
    raise feature_not_enabled("Using the documents edit route", "edit documents by function", 762)


# Reading.


def _open(catalog: CatalogReader, uid: str) -> SqliteIndexReader:
    record = catalog.find(uid)
    if record is None:
        raise index_not_found(uid)
    return catalog.open(record)


async def get_document(request: web.Request) -> web.Response:
    """GET /indexes/{uid}/documents/{id}."""
    _permit(request, "documents.get")
    check_parameters(request.query, ("fields", "retrieveVectors", "useNetwork"))
    vectors = parameter_boolean(request.query, "retrieveVectors", "invalid_document_retrieve_vectors")
    uid, document_id = request.match_info["uid"], request.match_info["id"]
    fields = parameter_list(request.query, "fields")

    def job(catalog: CatalogReader) -> dict[str, Any]:
        reader = _open(catalog, uid)
        number = reader.number_of(document_id)
        if number is None:
            raise document_not_found(document_id)
        return _shown(reader.document(number), fields, vectors=bool(vectors))

    return answer(await node_of(request).in_search(job))


async def list_documents(request: web.Request) -> web.Response:
    """GET /indexes/{uid}/documents."""
    _permit(request, "documents.get")
    query = request.query
    check_parameters(query, _FETCH_FIELDS)
    offset = parameter_count(query, "offset", "invalid_document_offset", 0)
    limit = parameter_count(query, "limit", "invalid_document_limit", _LIMIT_DEFAULT)
    return await _list(
        request,
        offset,
        limit,
        fields=parameter_list(query, "fields"),
        ids=parameter_list(query, "ids"),
        filter_value=_filter_parameter(query.get("filter")),
        sort=parameter_list(query, "sort") or (),
        vectors=bool(parameter_boolean(query, "retrieveVectors", "invalid_document_retrieve_vectors")),
    )


def _shown(document: Mapping[str, Any], fields: tuple[str, ...] | None, *, vectors: bool) -> dict[str, Any]:
    shown = select(document, fields)
    return {**shown, "_vectors": {}} if vectors else shown


def _names(value: Any, code: str, path: str) -> tuple[str, ...]:
    return tuple(read_strings(value, code, path))


def _ids(value: Any) -> tuple[str, ...]:
    found = []
    for place, item in enumerate(read_array(value, "invalid_document_ids", ".ids")):
        if isinstance(item, bool) or not isinstance(item, int | str):
            text = (
                f"In `.ids[{place}]`: Document identifier `{show_json(item)}` is invalid. A document identifier can be"
                " of type integer or string, only composed of alphanumeric characters (a-z A-Z 0-9), hyphens (-) and"
                " underscores (_), and can not be more than 511 bytes."
            )
            raise ApiError("invalid_document_ids", text)
        found.append(str(item))
    return tuple(found)


def _filter_parameter(text: str | None) -> Any:
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, list | str) else text


async def fetch_documents(request: web.Request) -> web.Response:
    """POST /indexes/{uid}/documents/fetch."""
    _permit(request, "documents.get")
    body = read_object(await read_json(request))
    check_fields(body, _FETCH_FIELDS)
    offset = read_count(body.get("offset", 0), "invalid_document_offset", ".offset")
    limit = read_count(body.get("limit", _LIMIT_DEFAULT), "invalid_document_limit", ".limit")
    vectors = False
    if body.get("retrieveVectors") is not None:
        vectors = read_boolean(body["retrieveVectors"], "invalid_document_retrieve_vectors", ".retrieveVectors")
    fields = None if body.get("fields") is None else _names(body["fields"], "invalid_document_fields", ".fields")
    if fields is not None:
        # Here a star is a name like any other.
        fields = tuple(name for name in fields if name != "*")
    ids = None if body.get("ids") is None else _ids(body["ids"])
    sort = () if body.get("sort") is None else _names(body["sort"], "invalid_document_sort", ".sort")
    return await _list(
        request, offset, limit, fields=fields, ids=ids, filter_value=body.get("filter"), sort=sort, vectors=vectors
    )


async def _list(
    request: web.Request,
    offset: int,
    limit: int,
    *,
    fields: tuple[str, ...] | None,
    ids: tuple[str, ...] | None,
    filter_value: Any,
    sort: tuple[str, ...],
    vectors: bool,
) -> web.Response:
    uid = request.match_info["uid"]
    tree, source = parse_filter(filter_value, "invalid_document_filter")

    def job(catalog: CatalogReader) -> dict[str, Any]:
        reader = _open(catalog, uid)
        style = ErrorStyle("invalid_document_filter", "", source or None)
        numbers = evaluate_filter(tree, reader, style)
        if ids is not None:
            own = [reader.number_of(document_id) for document_id in ids]
            numbers &= bitmaps.from_numbers([number for number in own if number is not None])
        ordered = _ordered(numbers, sort, reader)[offset : offset + limit]
        results = [_shown(reader.document(number), fields, vectors=vectors) for number in ordered]
        return {"results": results, "offset": offset, "limit": limit, "total": numbers.bit_count()}

    return answer(await node_of(request).in_search(job))


def _ordered(numbers: int, sort: tuple[str, ...], reader: SqliteIndexReader) -> list[int]:
    buckets = [numbers]
    for text in sort:
        criterion = parse_criterion(text, "invalid_document_sort")
        check_sortable(criterion, reader, "", "invalid_document_sort")
        buckets = [part for bucket in buckets for part in _parted(bucket, criterion, reader)]
    return [number for bucket in buckets for number in bitmaps.members(bucket)]


def _parted(bucket: int, criterion: Criterion, reader: SqliteIndexReader) -> list[int]:
    """Return a bucket's documents in the criterion's order, those with the same value together."""
    if bucket.bit_count() <= 1:
        return [bucket]
    return [part.numbers for part in sort_buckets(criterion, bucket, reader)]
