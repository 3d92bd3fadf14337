"""Running one batch of tasks against the catalog.

What always holds: an error found while indexing fails every task of the batch and leaves no trace; a payload with a bad
id fails its own task only. The same batch run again after a crash gives the same outcome. Who calls it: the indexer
process, inside one transaction. It must not know processes, clocks or files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from miroir.node.engine import bitmaps
from miroir.node.engine.entries import FIELDS_MAX, too_many_fields
from miroir.node.engine.filter_evaluation import ErrorStyle, evaluate_filter
from miroir.node.engine.filters import parse_filter
from miroir.node.engine.geo import check_geo
from miroir.node.engine.index_settings import parse_index_settings
from miroir.node.engine.reader import IndexReader
from miroir.node.indexing.documents import DocumentChanges, needs_reindex
from miroir.node.indexing.ports import Catalog, IndexFiles, IndexRecord
from miroir.node.protocol.document_ids import infer_primary_key, read_id
from miroir.node.protocol.errors import ApiError, as_api_error, index_not_found
from miroir.node.protocol.payload import parse_documents
from miroir.node.protocol.tasks import Outcome
from schemas.errors import InvalidRequestError
from schemas.meilisearch_settings import merge_settings

MESSAGE_MAX = 16_384
"""Characters kept of a task's error, which may quote a whole document, and be every task's of its batch."""


@dataclass(frozen=True, slots=True)
class BatchTask:
    """A task as the indexer gets it."""

    uid: int
    index_uid: str | None
    kind: str
    options: dict[str, Any] = field(default_factory=dict)


class BatchCatalog(Catalog, Protocol):
    """A catalog that can also be searched and can undo."""

    def reader(self, record: IndexRecord) -> IndexReader:
        """Return a reader that sees what was written so far."""

    def undoable(self) -> Any:
        """Return a context that undoes its block if it raises."""


def run_batch(
    tasks: Sequence[BatchTask], catalog: BatchCatalog, read_payload: Callable[[int], bytes], now_ns: int
) -> list[Outcome]:
    """Run a batch and return one outcome per task, in order."""
    batch = _Batch(tasks, catalog, read_payload, now_ns)
    runner = {
        "create_index": batch.create_index,
        "update_index": batch.update_index,
        "swap": batch.swap,
        "settings": batch.change_settings,
    }.get(tasks[0].kind, batch.change_documents)
    if tasks[-1].kind == "delete_index":
        runner = batch.delete_index
    try:
        with catalog.undoable():
            return runner()
    except InvalidRequestError as error:
        return [_failed(task, error) for task in tasks]


def _failed(task: BatchTask, error: InvalidRequestError) -> Outcome:
    told = as_api_error(error).to_wire()
    if len(told["message"]) > MESSAGE_MAX:
        told["message"] = f"{told['message'][:MESSAGE_MAX]}…"
    return Outcome(task.uid, told, _empty_details(task))


def _empty_details(task: BatchTask) -> dict[str, Any]:
    match task.kind:
        case "replace" | "update":
            return {"indexedDocuments": 0}
        case "delete_ids" | "delete_filter" | "clear" | "delete_index":
            return {"deletedDocuments": 0}
        case _:
            return {}


class _Batch:
    def __init__(
        self,
        tasks: Sequence[BatchTask],
        catalog: BatchCatalog,
        read_payload: Callable[[int], bytes],
        now_ns: int,
    ) -> None:
        self._tasks = tasks
        self._catalog = catalog
        self._read_payload = read_payload
        self._now_ns = now_ns

    def _find(self, uid: str | None) -> IndexRecord:
        record = self._catalog.find(uid or "")
        if record is None:
            raise index_not_found(uid or "")
        return record

    def _save(self, record: IndexRecord) -> None:
        record.generation += 1
        record.updated_ns = self._now_ns
        self._catalog.save(record)

    def create_index(self) -> list[Outcome]:
        task = self._tasks[0]
        assert task.index_uid is not None
        if self._catalog.find(task.index_uid) is not None:
            raise ApiError("index_already_exists", f"Index `{task.index_uid}` already exists.")
        self._catalog.create(task.index_uid, task.options.get("primary_key"), self._now_ns)
        return [Outcome(task.uid)]

    def update_index(self) -> list[Outcome]:
        task = self._tasks[0]
        record = self._find(task.index_uid)
        primary_key = task.options.get("primary_key")
        if primary_key is not None:
            if record.documents and record.primary_key is not None and record.primary_key != primary_key:
                raise _other_primary_key(record, f"Index `{record.uid}`: ")
            record.primary_key = primary_key
        new_uid = task.options.get("new_uid")
        if new_uid is not None:
            if self._catalog.find(new_uid) is not None:
                raise ApiError("index_already_exists", f"Index `{new_uid}` already exists.")
            record.uid = new_uid
        self._save(record)
        return [Outcome(task.uid)]

    def delete_index(self) -> list[Outcome]:
        record = self._catalog.find(self._tasks[-1].index_uid or "")
        count = 0
        if record is not None:
            count = record.documents
            self._catalog.drop(record)
        elif not any(task.options.get("creates") for task in self._tasks):
            raise index_not_found(self._tasks[-1].index_uid or "")
        outcomes = [Outcome(task.uid, None, _empty_details(task)) for task in self._tasks[:-1]]
        return [*outcomes, Outcome(self._tasks[-1].uid, None, {"deletedDocuments": count})]

    def swap(self) -> list[Outcome]:
        task = self._tasks[0]
        swaps = [(swap["indexes"], swap["rename"]) for swap in task.options["swaps"]]
        missing = sorted(
            {uid for pair, rename in swaps for uid in (pair[:1] if rename else pair) if self._catalog.find(uid) is None}
        )
        if len(missing) == 1:
            raise index_not_found(missing[0])
        if missing:
            listed = ", ".join(f"`{uid}`" for uid in missing)
            raise ApiError("index_not_found", f"Indexes {listed} not found.")
        for (left, right), rename in swaps:
            self._swap_pair(left, right, rename=rename)
        return [Outcome(task.uid)]

    def _swap_pair(self, left: str, right: str, *, rename: bool) -> None:
        first = self._find(left)
        if rename:
            if self._catalog.find(right) is not None:
                raise ApiError("index_already_exists", f"Index `{right}` already exists.")
            first.uid = right
            self._save(first)
            return
        second = self._find(right)
        # The catalog allows a name once: one of the two waits under a name no index can have.
        first.uid = "\0"
        self._catalog.save(first)
        second.uid = left
        self._save(second)
        first.uid = right
        self._save(first)

    def change_settings(self) -> list[Outcome]:
        record = self._catalog.find(self._tasks[0].index_uid or "")
        if record is None:
            if not self._tasks[0].options.get("creates"):
                raise index_not_found(self._tasks[0].index_uid or "")
            record = self._catalog.create(self._tasks[0].index_uid or "", None, self._now_ns)
        files = self._catalog.open(record)
        if "_geo" in record.distribution:
            # The real node looks at every point again, whatever setting changes.
            for _, document_id, body in files.bodies():
                check_geo(orjson.loads(body).get("_geo"), document_id, record.uid)
        old = parse_index_settings(record.settings)
        for task in self._tasks:
            try:
                record.settings = dict(merge_settings(record.settings, task.options["changes"]))
            except InvalidRequestError as error:
                raise ApiError(error.code, f"Index `{record.uid}`: {error}") from None
        if needs_reindex(old, parse_index_settings(record.settings)):
            DocumentChanges(record, files).reindex()
        self._save(record)
        return [Outcome(task.uid) for task in self._tasks]

    def change_documents(self) -> list[Outcome]:
        record = self._catalog.find(self._tasks[0].index_uid or "")
        if record is None:
            if not any(task.options.get("creates") for task in self._tasks):
                error = index_not_found(self._tasks[0].index_uid or "")
                return [_failed(task, error) for task in self._tasks]
            record = self._catalog.create(self._tasks[0].index_uid or "", None, self._now_ns)
        files = self._catalog.open(record)
        if any(task.kind == "clear" for task in self._tasks):
            return self._clear(record, files)
        run = _DocumentRun(record, files, self._catalog, self._read_payload)
        outcomes = [run.take(task) for task in self._tasks]
        run.finish()
        self._save(record)
        return outcomes

    def _clear(self, record: IndexRecord, files: IndexFiles) -> list[Outcome]:
        changes = DocumentChanges(record, files)
        count = changes.clear()
        changes.finish()
        self._save(record)
        outcomes = []
        for task in self._tasks:
            details = _empty_details(task)
            if task.kind == "clear":
                details, count = {"deletedDocuments": count}, 0
            outcomes.append(Outcome(task.uid, None, details))
        return outcomes


def _other_primary_key(record: IndexRecord, prefix: str = "") -> ApiError:
    text = f"{prefix}Index already has a primary key: `{record.primary_key}`."
    return ApiError("index_primary_key_already_exists", text)


class _DocumentRun:
    """Folds document tasks to the last write per id, then applies the fold at once."""

    def __init__(
        self,
        record: IndexRecord,
        files: IndexFiles,
        catalog: BatchCatalog,
        read_payload: Callable[[int], bytes],
    ) -> None:
        self._record = record
        self._files = files
        self._catalog = catalog
        self._read_payload = read_payload
        self._changes: dict[str, dict[str, Any] | None] = {}
        self._fields = set(record.field_numbers)

    def take(self, task: BatchTask) -> Outcome:
        """Fold one task in; a refusal of its ids touches nothing else."""
        if task.kind == "delete_filter":
            return Outcome(task.uid, None, {"deletedDocuments": self._delete_filter(task)})
        if task.kind == "delete_ids":
            ids: list[str] = orjson.loads(self._read_payload(task.uid))
            return Outcome(task.uid, None, {"deletedDocuments": self._delete(ids)})
        try:
            return Outcome(task.uid, None, {"indexedDocuments": self._write(task)})
        except InvalidRequestError as error:
            return _failed(task, error)

    def finish(self) -> None:
        """Apply the fold."""
        changes = DocumentChanges(self._record, self._files)
        changes.apply(self._changes)
        changes.finish()

    def _write(self, task: BatchTask) -> int:
        payload = self._read_payload(task.uid)
        documents = []
        if payload.strip():
            documents = parse_documents(task.options["content"], payload, delimiter=task.options.get("delimiter", ","))
        primary_key = self._settle_primary_key(task, documents)
        keyed = [(read_id(document, primary_key or ""), document) for document in documents]
        # One whose own names are too many fails by itself; nested names show only later, and fail the whole batch.
        fields = self._fields.union(*documents)
        if len(fields) > FIELDS_MAX:
            raise too_many_fields()
        self._fields = fields
        if self._record.primary_key is None:
            self._record.primary_key = primary_key
        skips = task.options.get("skip_creation", False)
        for document_id, document in keyed:
            if task.kind == "replace" and not skips:
                self._changes.pop(document_id, None)
                self._changes[document_id] = document
            else:
                self._merge(document_id, document, update=task.kind == "update", skips=skips)
        return len(documents)

    def _merge(self, document_id: str, document: dict[str, Any], *, update: bool, skips: bool) -> None:
        old = self._current(document_id)
        if old is None and skips:
            return
        self._changes[document_id] = {**(old or {}), **document} if update else document

    def _settle_primary_key(self, task: BatchTask, documents: Sequence[dict[str, Any]]) -> str | None:
        wanted: str | None = task.options.get("primary_key")
        own = self._record.primary_key
        if own is not None:
            if wanted is not None and wanted != own and (self._record.documents or self._changes or documents):
                raise _other_primary_key(self._record)
            return own
        if wanted is not None or not documents:
            return wanted
        return infer_primary_key(documents[0])

    def _current(self, document_id: str) -> dict[str, Any] | None:
        if document_id in self._changes:
            return self._changes[document_id]
        number = self._files.numbers_of([document_id]).get(document_id)
        if number is None:
            return None
        document: dict[str, Any] = orjson.loads(self._files.body(number))
        return document

    def _delete(self, ids: Sequence[str]) -> int:
        known = self._files.numbers_of(list(ids))
        deleted = 0
        for document_id in dict.fromkeys(ids):
            alive = self._changes[document_id] is not None if document_id in self._changes else document_id in known
            if alive:
                deleted += 1
                self._changes[document_id] = None
        return deleted

    def _delete_filter(self, task: BatchTask) -> int:
        source = task.options["filter"]
        tree, text = parse_filter(source, "invalid_document_filter")
        style = ErrorStyle("invalid_document_filter", f"Index `{self._record.uid}`: ", text or None)
        reader = self._catalog.reader(self._record)
        numbers = evaluate_filter(tree, reader, style)
        return self._delete(list(self._ids(numbers)))

    def _ids(self, numbers: int) -> Iterator[str]:
        for number in bitmaps.members(numbers):
            document = orjson.loads(self._files.body(number))
            yield read_id(document, self._record.primary_key or "")
