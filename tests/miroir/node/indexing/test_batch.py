"""Batches against the store: the index follows its documents, whatever happens to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine.search import search
from miroir.node.engine.search_request import parse_search
from miroir.node.indexing.batch import BatchTask, run_batch
from miroir.node.indexing.ports import IndexRecord
from miroir.node.protocol.batching import TASKS_MAX
from miroir.node.protocol.tasks import Outcome
from miroir.node.server.indexer import BatchStore
from miroir.node.server.node import LINE_BYTES_MAX
from miroir.node.sqlite.index_reader import SqliteIndexReader

SETTINGS = {"filterableAttributes": ["tag", "n"], "sortableAttributes": ["n"]}
DOCUMENTS = st.fixed_dictionaries(
    {"id": st.integers(0, 6)},
    optional={
        "text": st.text("ab .", max_size=8),
        "tag": st.sampled_from(["x", "Y", None, "", ["x", "y"]]),
        "n": st.one_of(st.integers(-3, 3), st.floats(-2, 2)),
    },
)
OPERATIONS: st.SearchStrategy[tuple[str, list[Any]]] = st.one_of(
    st.tuples(st.sampled_from(["replace", "update"]), st.lists(DOCUMENTS, max_size=4)),
    st.tuples(st.just("delete_ids"), st.lists(st.integers(0, 6).map(str), max_size=4)),
    st.tuples(st.just("clear"), st.just([])),
)
BATCHES = st.lists(st.lists(OPERATIONS, min_size=1, max_size=3), min_size=1, max_size=5)
Operation = tuple[str, list[Any]]


class Bench:
    """A store in memory and batches to run on it."""

    def __init__(self) -> None:
        self.store = BatchStore(":memory:")
        self._payloads: dict[int, bytes] = {}
        self.run([BatchTask(0, "a", "create_index", {"primary_key": "id"})])
        self.run([BatchTask(0, "a", "settings", {"changes": SETTINGS})])

    def run(self, tasks: Sequence[BatchTask]) -> list[Outcome]:
        """Run one batch."""
        with self.store.transaction():
            return run_batch(tasks, self.store, lambda uid: self._payloads.get(uid, b""), 1)

    def apply(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Run one batch of document operations."""
        tasks = []
        for uid, (kind, items) in enumerate(operations):
            self._payloads[uid] = orjson.dumps(items)
            tasks.append(BatchTask(uid, "a", kind, {"creates": True, "content": "application/json"}))
        return self.run(tasks)

    @property
    def record(self) -> IndexRecord:
        """The index as kept."""
        record = self.store.find("a")
        assert record is not None
        return record

    def documents(self) -> list[Any]:
        """Return all documents, by number."""
        return [orjson.loads(body) for _, _, body in self.store.open(self.record).bodies()]

    def postings(self) -> list[Any]:
        """Return every row of words and facets."""
        number = self.record.number
        words = self.store.db.execute(f"SELECT exact, word, chunk, numbers, occurrences FROM words_{number}")
        facets = self.store.db.execute(f"SELECT field, kind, value, chunk, numbers FROM facets_{number}")
        return sorted(map(repr, (*words, *facets)))

    def search(self, **body: Any) -> list[Any]:
        """Return the hits of a search."""
        reader = SqliteIndexReader(self.store.db, self.record)
        hits: list[Any] = search(reader, parse_search(body))["hits"]
        return hits


def fold(batches: Sequence[Sequence[Operation]]) -> dict[str, Any]:
    """Return what the documents must be in the end: a batch with a deletion of all leaves nothing."""
    documents: dict[str, Any] = {}
    for batch in batches:
        if any(kind == "clear" for kind, _ in batch):
            documents = {}
            continue
        for kind, items in batch:
            for item in items:
                if kind == "delete_ids":
                    documents.pop(item, None)
                else:
                    old = documents.get(str(item["id"]), {}) if kind == "update" else {}
                    documents[str(item["id"])] = {**old, **item}
    return documents


@given(BATCHES)
def test_documents_are_the_fold_of_all_batches(batches: list[list[Operation]]) -> None:
    """However operations are cut into batches, the last write per id stands."""
    bench = Bench()

    for batch in batches:
        bench.apply(batch)

    assert {str(document["id"]): document for document in bench.documents()} == fold(batches)
    assert bench.record.documents == len(fold(batches))


@given(BATCHES)
def test_postings_changed_step_by_step_equal_postings_made_anew(batches: list[list[Operation]]) -> None:
    """Adding, replacing and deleting leaves exactly the rows that indexing the rest from nothing would."""
    bench = Bench()
    for batch in batches:
        bench.apply(batch)
    step_by_step = bench.postings()

    bench.run([BatchTask(0, "a", "settings", {"changes": {"stopWords": ["zzz"]}})])

    assert bench.postings() == step_by_step


@given(BATCHES)
def test_field_distribution_counts_top_level_fields(batches: list[list[Operation]]) -> None:
    """Every field is counted once for each document that has it."""
    bench = Bench()
    for batch in batches:
        bench.apply(batch)

    expected: dict[str, int] = {}
    for document in bench.documents():
        for name in document:
            expected[name] = expected.get(name, 0) + 1
    assert bench.record.distribution == expected


def test_freed_numbers_are_taken_again_smallest_first() -> None:
    """Ids 1, 2, 3; delete 2; add 9 then 2: they come out as 1, 9, 3, 2."""
    bench = Bench()
    bench.apply([("replace", [{"id": 1}, {"id": 2}, {"id": 3}])])
    bench.apply([("delete_ids", ["2"])])

    bench.apply([("replace", [{"id": 9}])])
    bench.apply([("replace", [{"id": 2}])])

    assert [document["id"] for document in bench.documents()] == [1, 9, 3, 2]


def test_batch_that_fails_leaves_no_trace() -> None:
    """An error found while indexing undoes everything the batch did before it."""
    bench = Bench()
    bench.apply([("replace", [{"id": 1, "text": "kept"}])])
    bench.run([BatchTask(0, "a", "settings", {"changes": {"filterableAttributes": ["_geo"]}})])
    before = bench.postings()

    outcomes = bench.apply([("replace", [{"id": 2, "text": "x"}]), ("replace", [{"id": 3, "_geo": {"lat": "x"}}])])

    assert [(outcome.error or {})["code"] for outcome in outcomes] == ["invalid_document_geo_field"] * 2
    assert bench.postings() == before


def test_fields_beyond_what_an_index_can_number_fail_their_own_task() -> None:
    """An index has 65,535 fields at most, of all its documents together; a task with more is refused alone."""
    bench = Bench()
    bench.apply([("replace", [{"id": 1, **dict.fromkeys(map(str, range(40_000)), "apple")}])])

    many = {"id": 2, **dict.fromkeys(map(str, range(40_000, 80_000)), "apple")}
    outcomes = bench.apply([("replace", [many]), ("replace", [{"id": 3, "last": "pear"}])])

    assert [outcome.error and outcome.error["code"] for outcome in outcomes] == ["max_fields_limit_exceeded", None]
    assert [hit["id"] for hit in bench.search(q="pear")] == [3]
    assert [hit["id"] for hit in bench.search(q="apple", attributesToRetrieve=["id"])] == [1]


def test_nested_fields_beyond_what_an_index_can_number_are_refused() -> None:
    """Names nested in objects count as fields, and words under them are not found in other documents."""
    bench = Bench()

    outcomes = bench.apply([("replace", [{"id": 1, "o": dict.fromkeys(map(str, range(70_000)), "apple")}])])
    bench.apply([("replace", [{"id": 1}, {"id": 2, "t": "pear"}])])

    assert [(outcome.error or {})["code"] for outcome in outcomes] == ["max_fields_limit_exceeded"]
    assert bench.search(q="apple") == []
    assert [hit["id"] for hit in bench.search(q="pear")] == [2]


def test_error_that_quotes_a_large_document_is_cut() -> None:
    """What a full batch of failed tasks tells fits into the line in which the indexer tells it."""
    bench = Bench()

    outcomes = bench.apply([("replace", [{"text": "\0" * 1_000_000}]), ("replace", [{"id": 1, "text": "good"}])])

    message = (outcomes[0].error or {})["message"]
    assert message.startswith("Document doesn't have a `id` attribute: `{")
    assert len(orjson.dumps(message)) * TASKS_MAX < LINE_BYTES_MAX
    assert outcomes[1].error is None


def test_delete_by_filter_removes_what_it_means() -> None:
    """A filter over the marker character drops one shard's documents."""
    bench = Bench()
    bench.run([BatchTask(0, "a", "settings", {"changes": {"filterableAttributes": ["_miroir"]}})])
    bench.apply([("replace", [{"id": n, "_miroir": chr(0xF0000 + n % 3)} for n in range(9)])])

    outcomes = bench.run([BatchTask(0, "a", "delete_filter", {"filter": f'_miroir = "{chr(0xF0001)}"'})])

    assert outcomes == [Outcome(0, None, {"deletedDocuments": 3})]
    assert [document["id"] for document in bench.documents()] == [0, 2, 3, 5, 6, 8]
    wanted = f'_miroir IN ["{chr(0xF0000)}", "{chr(0xF0007)}"]'
    assert [hit["id"] for hit in bench.search(filter=wanted)] == [0, 3, 6]


def test_swapped_indexes_answer_under_each_others_name() -> None:
    """A swap exchanges everything but the names."""
    bench = Bench()
    bench.apply([("replace", [{"id": 1}])])
    bench.run([BatchTask(0, "b", "create_index", {"primary_key": "k"})])

    swaps = [{"indexes": ["a", "b"], "rename": False}]
    outcomes = bench.run([BatchTask(0, None, "swap", {"swaps": swaps})])

    assert outcomes == [Outcome(0)]
    assert (bench.record.primary_key, bench.record.documents) == ("k", 0)


def test_file_opened_again_holds_the_same(tmp_path: Path) -> None:
    """What was committed is there after the store is closed and opened."""
    path = str(tmp_path / "indexes.sqlite")
    first = BatchStore(path)
    with first.transaction():
        first.create("a", "id", 1)
        first.commit_batch({"batch": 7})
    first.close()

    second = BatchStore(path)

    assert second.last_batch() == {"batch": 7}
    assert second.find("a") is not None
