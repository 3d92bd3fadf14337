"""The routes that write documents: post, delete one, many, or all.

What always holds: 202 is answered after Kafka has acknowledged everything; a post that Meilisearch would fail as a task
is a failed task here too, with nothing produced. Who calls it: the application. It must not know: partitions.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from query.documents import Posted, count_posted, field_names, parse_content_type, parse_ids, parse_posted, with_keys
from query.freshness import build_token
from query.http.bodies import json_response, read_body, read_fields, read_json, read_parameters
from query.http.clearing import clear_index
from query.http.errors import not_supported
from query.http.service import Service, service_of, uid_of
from query.http.task_views import summarise
from query.http.writes import Keyed, Produced, task_now
from query.primary_key import infer_primary_key
from schemas.document_ids import parse_id
from schemas.errors import InvalidDocumentError, InvalidRequestError
from schemas.events import IndexRecord
from schemas.ids import IndexUid, Offset, Partition, Position
from schemas.requests import CreateIndex, SetPrimaryKey
from schemas.tasks import TaskRecord

THREAD_BYTES = 256 * 1024
"""A larger body is parsed in a thread: here it would hold up searches for more than some 5 ms."""

ADDITION = "documentAdditionOrUpdate"
DELETION = "documentDeletion"

_ADD_PARAMETERS = ("primaryKey", "csvDelimiter", "customMetadata", "skipCreation")
_DELETE_PARAMETERS = ("customMetadata",)
_TASK_ERRORS = (
    "missing_document_id",
    "invalid_document_id",
    "index_primary_key_no_candidate_found",
    "index_primary_key_multiple_candidates_found",
    "index_primary_key_already_exists",
    "invalid_index_primary_key",
)
"""What Meilisearch answers with 202 and tells in the task."""


@dataclass(frozen=True, slots=True)
class _Post:
    """A post of documents, as it came."""

    uid: IndexUid
    kind: str
    body: bytes
    parameters: Mapping[str, str]

    @property
    def primary_key(self) -> str | None:
        return self.parameters.get("primaryKey")

    @property
    def delimiter(self) -> str:
        return self.parameters.get("csvDelimiter", ",")


async def add_documents(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/documents``: add or replace whole documents."""
    parameters = read_parameters(request, _ADD_PARAMETERS)
    _check_delimiter(parameters)
    if parameters.get("skipCreation") == "true":
        raise not_supported("The parameter `skipCreation`")
    kind = parse_content_type(request.headers.get("Content-Type"))
    post = _Post(uid_of(request), kind, await read_body(request), parameters)
    service = service_of(request)
    index = await service.writes.settled_index(post.uid)
    primary_key = index.primary_key if index is not None else None
    received = 0
    try:
        posted = await _parse(post, primary_key)
        received = len(posted)
        _refuse_large(posted, service.settings.post_bytes_max)
        index, keyed = await _prepare(service, post, index, posted)
    except InvalidRequestError as error:
        if error.code not in _TASK_ERRORS:
            raise
        received = received or await _count(post)
        return await _refused(service, post, error, received)
    produced = await service.writes.append_documents(index, keyed)
    service.metrics.count_produced(len(keyed))
    details = {"receivedDocuments": received}
    return await _accepted(service, index, produced, ADDITION, details, parameters.get("customMetadata"))


async def update_documents(request: web.Request) -> web.Response:
    """Answer ``PUT /indexes/{uid}/documents``: a partial update must be resolved by whoever applies the log.

    Here another writer might come between reading a document and producing it whole, and would be lost.
    """
    uid_of(request)
    raise not_supported("PUT /indexes/{indexUid}/documents (partial update): POST whole documents instead; it")


async def delete_document(request: web.Request) -> web.Response:
    """Answer ``DELETE /indexes/{uid}/documents/{id}``."""
    read_parameters(request, _DELETE_PARAMETERS)
    try:
        keys = [parse_id(request.match_info["id"]).encode()]
    except InvalidDocumentError:
        # No document can have this id, so it is as good as deleted.
        keys = []
    return await _delete(request, keys, provided=1)


async def delete_batch(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/documents/delete-batch``."""
    read_parameters(request, _DELETE_PARAMETERS)
    body = await read_json(request)
    return await _delete(request, parse_ids(body), provided=len(body))


async def delete_by_filter(request: web.Request) -> web.Response:
    """Answer ``POST /indexes/{uid}/documents/delete``: must be resolved by whoever applies the log, as an update must.

    Here a document that does not match any more, for somebody has just written it, would be deleted all the same.
    """
    uid_of(request)
    if "filter" not in read_fields(await read_json(request), ("filter",)):
        raise InvalidRequestError("missing_document_filter", "Missing field `filter`")
    instead = "fetch the ids with POST /indexes/{indexUid}/documents/fetch and send them to delete-batch instead"
    raise not_supported(f"POST /indexes/{{indexUid}}/documents/delete (by filter): {instead}; it")


async def delete_all(request: web.Request) -> web.Response:
    """Answer ``DELETE /indexes/{uid}/documents``."""
    read_parameters(request, _DELETE_PARAMETERS)
    service = service_of(request)
    uid = uid_of(request)
    index = await service.writes.settled_index(uid)
    metadata = request.query.get("customMetadata")
    if index is None:
        return await _no_index(service, uid, {"deletedDocuments": 0}, metadata)
    present = index

    def is_dead(partition: Partition, offset: Offset) -> bool:
        stand = {partition: ((Position(offset), Position(offset + 1)),)}
        return service.views.dead.within(present, stand) is not None

    reader = service.make_reader()
    try:
        cleared = await clear_index(reader, service.writes, index, is_dead)
    finally:
        await reader.close()
    details = {"deletedDocuments": cleared.documents}
    return await _accepted(service, index, cleared.produced, DELETION, details, metadata)


async def _delete(request: web.Request, keys: Sequence[bytes], *, provided: int) -> web.Response:
    service = service_of(request)
    uid = uid_of(request)
    index = await service.writes.settled_index(uid)
    metadata = request.query.get("customMetadata")
    details = {"providedIds": provided, "deletedDocuments": None, "originalFilter": None}
    if index is None:
        return await _no_index(service, uid, details, metadata)
    produced = await service.writes.append_documents(index, [Keyed(key, None) for key in keys])
    return await _accepted(service, index, produced, DELETION, details, metadata)


async def _no_index(service: Service, uid: IndexUid, details: Mapping[str, Any], metadata: str | None) -> web.Response:
    error = {"error_code": "index_not_found", "error_message": f"Index `{uid}` not found."}
    return await _answer(service, task_now(DELETION, uid, details=details, custom_metadata=metadata, **error))


async def _parse(post: _Post, primary_key: str | None) -> list[Posted]:
    if len(post.body) <= THREAD_BYTES:
        return parse_posted(post.kind, post.body, primary_key=primary_key, delimiter=post.delimiter)
    return await asyncio.to_thread(
        parse_posted, post.kind, post.body, primary_key=primary_key, delimiter=post.delimiter
    )


async def _count(post: _Post) -> int:
    """Return how many documents a refused post held."""
    return await asyncio.to_thread(count_posted, post.kind, post.body, delimiter=post.delimiter)


async def _prepare(
    service: Service, post: _Post, index: IndexRecord | None, posted: list[Posted]
) -> tuple[IndexRecord, list[Keyed]]:
    """Return the index and the records for it; makes the index, and names its primary key, where it lacks them.

    Raises:
        InvalidRequestError: with a code of ``_TASK_ERRORS``, or because no worker answers.
    """
    if index is None:
        index = await _create(service, post, posted)
    elif index.primary_key is None and (posted or post.primary_key):
        index = await _name_primary_key(service, post, posted)
    if post.primary_key is not None and index.primary_key != post.primary_key:
        message = f"Index already has a primary key: `{index.primary_key}`."
        raise InvalidRequestError("index_primary_key_already_exists", message)
    if posted and posted[0].key is None:
        assert index.primary_key is not None, "inferred, or refused"
        if len(post.body) <= THREAD_BYTES:
            posted = with_keys(posted, index.primary_key)
        else:
            posted = await asyncio.to_thread(with_keys, posted, index.primary_key)
    return index, [Keyed(each.key, each.value) for each in posted if each.key is not None]


async def _create(service: Service, post: _Post, posted: list[Posted]) -> IndexRecord:
    """Create the index with the primary key given or inferred; where it cannot be inferred, without one."""
    failure: InvalidRequestError | None = None
    primary_key = post.primary_key
    if primary_key is None and posted:
        try:
            primary_key = infer_primary_key(field_names(posted[0]))
        except InvalidRequestError as error:
            failure = error
    index, answer = await service.writes.change_index(post.uid, CreateIndex(post.uid, primary_key))
    if failure is not None:
        raise failure
    if index is None:
        code = answer.code if answer is not None else "miroir_unavailable"
        raise InvalidRequestError(code, answer.message if answer is not None else f"index {post.uid!r} was not made")
    if index.primary_key is None and posted:
        # Somebody else has made it at the same moment, without one.
        return await _name_primary_key(service, post, posted)
    return index


async def _name_primary_key(service: Service, post: _Post, posted: list[Posted]) -> IndexRecord:
    inferred = post.primary_key is None
    primary_key = post.primary_key or infer_primary_key(field_names(posted[0]))
    request = SetPrimaryKey(post.uid, primary_key, inferred=inferred)
    index, answer = await service.writes.change_index(post.uid, request)
    if answer is not None and not answer.accepted:
        raise InvalidRequestError(answer.code, answer.message)
    if index is None or index.primary_key is None:
        raise InvalidRequestError("miroir_unavailable", f"index {post.uid!r} was deleted while it was posted to")
    return index


async def _refused(service: Service, post: _Post, error: InvalidRequestError, received: int) -> web.Response:
    """Answer 202 with a task that has failed, as Meilisearch does."""
    index = service.views.topology.indexes.get(post.uid)
    record = task_now(
        ADDITION,
        post.uid,
        incarnation=None if index is None else index.incarnation,
        details={"receivedDocuments": received},
        custom_metadata=post.parameters.get("customMetadata"),
        error_code=error.code,
        error_message=str(error),
    )
    return await _answer(service, record)


async def _accepted(
    service: Service,
    index: IndexRecord,
    produced: Produced,
    kind: str,
    details: Mapping[str, Any],
    metadata: str | None,
) -> web.Response:
    record = task_now(
        kind,
        index.uid,
        incarnation=index.incarnation,
        ranges=produced.ranges,
        pieces=produced.pieces,
        details=details,
        custom_metadata=metadata,
    )
    return await _answer(service, record, token=build_token(index.uid, produced.last))


async def _answer(service: Service, record: TaskRecord, *, token: str = "") -> web.Response:
    uid = await service.writes.append_task(record)
    headers = {"X-Miroir-Token": token} if token else None
    return json_response(summarise(uid, record), status=202, headers=headers)


def _refuse_large(posted: Sequence[Posted], bytes_max: int) -> None:
    """Refuse a document that fits in no post to a node: a worker could only set it aside.

    Raises:
        InvalidRequestError: there is one.
    """
    size = max((len(each.value) for each in posted), default=0)
    if size > bytes_max:
        message = f"A document has {size} bytes. The maximum accepted size of a document is {bytes_max} bytes."
        raise InvalidRequestError("payload_too_large", message)


def _check_delimiter(parameters: Mapping[str, str]) -> None:
    delimiter = parameters.get("csvDelimiter")
    if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii()):
        message = (
            f"Invalid value in parameter `csvDelimiter`: expected a string of one character, but found: `{delimiter}`"
        )
        raise InvalidRequestError("invalid_document_csv_delimiter", message)


ROUTES = (
    web.post("/indexes/{uid}/documents", add_documents),
    web.put("/indexes/{uid}/documents", update_documents),
    web.delete("/indexes/{uid}/documents", delete_all),
    web.post("/indexes/{uid}/documents/delete-batch", delete_batch),
    web.post("/indexes/{uid}/documents/delete", delete_by_filter),
    web.delete("/indexes/{uid}/documents/{id}", delete_document),
)
