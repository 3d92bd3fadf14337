"""Replica against log: nothing equal is called different, and nothing different equal."""

import tracemalloc

import orjson
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation, OperationBatch
from miroir.comparison import Comparison, compare, digest, fold_truth, touched_ids
from schemas.ids import Offset, Position

IDS = st.sampled_from(["1", "2", "3", "a", "b"])
VALUES = st.one_of(st.none(), st.integers(-3, 3))
WRITES = st.lists(st.tuples(IDS, VALUES), max_size=20)
HELD = st.dictionaries(IDS, st.integers(-3, 3))


def make_batch(writes: list[tuple[str, int | None]]) -> OperationBatch:
    """Return the writes as operations; None deletes."""
    operations = tuple(
        Operation(Offset(at), 0, key, None if value is None else orjson.dumps({"id": key, "v": value}))
        for at, (key, value) in enumerate(writes)
    )
    return OperationBatch(Position(0), Position(len(writes)), operations, 0, 0, len(writes))


@given(WRITES)
def test_fold_truth_is_the_last_write_of_each_id(writes: list[tuple[str, int | None]]) -> None:
    """The truth of a run of writes is what a dictionary would hold after them."""
    truth: dict[str, bytes] = {}
    fold_truth(truth, [make_batch(writes[:7]), make_batch(writes[7:])])

    expected = {key: value for key, value in dict(writes).items() if value is not None}
    assert truth == {key: digest({"v": value, "id": key}) for key, value in expected.items()}


def test_truth_of_large_documents_written_often_takes_little_memory() -> None:
    """Some 200 bytes a document, however large it is and however often it was written."""
    count, text = 2000, "x" * 4000
    truth: dict[str, bytes] = {}

    def batch(first: int, version: int) -> OperationBatch:
        written = [
            Operation(Offset(n), 0, str(n), orjson.dumps({"id": n, "v": version, "text": text}))
            for n in range(first, first + 100)
        ]
        return OperationBatch(Position(first), Position(first + 100), tuple(written), 0, 0, 100)

    tracemalloc.start()
    try:
        for version in range(3):
            fold_truth(truth, (batch(first, version) for first in range(0, count, 100)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(truth) == count
    assert held < count * 250


@given(HELD, HELD, st.sets(IDS))
def test_compare_names_every_fault_and_no_other(
    truth: dict[str, int], found: dict[str, int], changed: set[str]
) -> None:
    """Each id is missing, extra, different, equal, or was written meanwhile."""
    comparison = compare(
        {key: digest({"v": value}) for key, value in truth.items()},
        {key: digest({"v": value}) for key, value in found.items()},
        changed=changed,
    )

    assert set(comparison.missing) == truth.keys() - found.keys() - changed
    assert set(comparison.extra) == found.keys() - truth.keys() - changed
    assert set(comparison.different) == {
        key for key in truth.keys() & found.keys() - changed if truth[key] != found[key]
    }
    assert comparison.equal == (not comparison.missing + comparison.extra + comparison.different)


def test_compare_equal_replica_counts_documents() -> None:
    """An equal replica has as many documents as the log."""
    held = {"1": digest({"a": 1}), "2": digest({"a": 2})}

    assert compare(held, dict(held)) == Comparison(2)


def test_digest_order_of_fields_and_vectors_do_not_matter() -> None:
    """The same JSON value is the same document; vectors are kept apart from it by nodes."""
    assert digest({"a": 1, "b": [1, {"c": 2, "d": 3}]}) == digest({"b": [1, {"d": 3, "c": 2}], "a": 1})
    assert digest({"a": 1, "_vectors": {"x": [0.1]}}) == digest({"a": 1})


def test_digest_different_values_differ() -> None:
    """An integer, a float, a text and nothing are four documents."""
    assert len({digest({"a": value}) for value in (1, 1.5, "1", None)} | {digest({})}) == 5


def test_touched_ids_names_writes_and_deletes() -> None:
    """A deleted id was touched too."""
    assert touched_ids([make_batch([("1", 1), ("2", None)])]) == {"1", "2"}
