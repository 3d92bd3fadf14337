"""Replica against log: nothing equal is called different, and nothing different equal."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation, OperationBatch
from agents.sampling import digest
from miroir.comparison import (
    EXAMPLES_MAX,
    Comparison,
    FaultyIds,
    add_up,
    compare,
    last_digests,
    log_digest,
    node_digest,
    touched_ids,
)
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
def test_last_digests_are_of_the_last_write_of_each_id(writes: list[tuple[str, int | None]]) -> None:
    """What a batch leaves is what a dictionary holds after its writes; what it deletes is named too."""
    expected = {key: None if value is None else digest({"v": value, "id": key}) for key, value in writes}

    assert last_digests(make_batch(writes)) == expected


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

    both = truth.keys() & found.keys()
    different = {key for key in both - changed if truth[key] != found[key]}
    assert comparison == Comparison(
        len(both) - len(different),
        missing=faulty(truth.keys() - found.keys() - changed),
        extra=faulty(found.keys() - truth.keys() - changed),
        different=faulty(different),
    )
    assert comparison.equal == (truth.keys() - changed == found.keys() - changed and not different)


def faulty(ids: set[str]) -> FaultyIds:
    """Return so many ids, all named: there are no more than may be."""
    assert len(ids) <= EXAMPLES_MAX
    return FaultyIds(len(ids), tuple(sorted(ids)))


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.integers(0, 41), st.integers(0, 41))
def test_blocks_add_up_to_what_a_comparison_at_once_finds(
    truth: set[int], found: set[int], first: int, second: int
) -> None:
    """Wherever the ids are cut: every fault is counted, and the same few are named."""

    def part(numbers: set[int], start: int, end: int) -> dict[str, bytes]:
        return {f"{number:02}": b"%d" % (number % 3) for number in numbers if start <= number < end}

    ends = [0, *sorted((first, second)), 41]
    spoilt = {key: b"9" if key.endswith("7") else value for key, value in part(found, 0, 41).items()}
    comparison = Comparison(0)
    for start, end in pairwise(ends):
        held = {key: value for key, value in spoilt.items() if start <= int(key) < end}
        comparison = add_up(comparison, compare(part(truth, start, end), held))

    assert comparison == compare(part(truth, 0, 41), spoilt)
    assert comparison.missing.examples == tuple(f"{number:02}" for number in sorted(truth - found)[:EXAMPLES_MAX])
    assert comparison.missing.count == len(truth - found)


def test_compare_equal_replica_counts_documents() -> None:
    """An equal replica has as many documents as the log."""
    held = {"1": digest({"a": 1}), "2": digest({"a": 2})}

    assert compare(held, dict(held)) == Comparison(2)


def test_digest_order_of_fields_and_vectors_do_not_matter() -> None:
    """The same JSON value is the same document; vectors are kept apart from it by nodes."""
    assert digest({"a": 1, "b": [1, {"c": 2, "d": 3}]}) == digest({"b": [1, {"d": 3, "c": 2}], "a": 1})
    assert digest({"a": 1, "_vectors": {"x": [0.1]}}) == digest({"a": 1})


@pytest.mark.parametrize(
    ("logged", "held", "different"),
    [
        ({"own": [0.1, 0.2]}, {"own": {"embeddings": [[0.10000000149011612, 0.20000000298023224]]}}, 0),
        ({"own": [0.1, 0.2]}, {"own": {"embeddings": [[0.10000000149011612, 0.25]]}}, 1),
        ({"own": [0.1, 0.2]}, {"own": {"embeddings": []}}, 1),
        ({"own": None}, {"own": {"embeddings": [[0.5, 0.25]]}}, 1),
        ({"own": {"embeddings": [[1, 2]], "regenerate": True}}, {}, 0),
        ({"another": [1, 2]}, {"another": [3, 4]}, 0),
    ],
)
def test_vectors_count_where_the_log_tells_them(logged: Any, held: Any, different: int) -> None:
    """As a node has rounded them; of embedders that the index has."""
    truth = {"1": log_digest({"a": 1, "_vectors": logged}, {"own": False})}

    assert compare(truth, {"1": node_digest({"a": 1, "_vectors": held}, {"own": False})}).different.count == different
    assert compare(truth, {"1": node_digest({"a": 2, "_vectors": held}, {"own": False})}).different.count == 1


def test_last_digests_are_with_vectors_where_there_are_embedders() -> None:
    """Where there are none, as ever without."""
    text = orjson.dumps({"id": 1, "_vectors": {"own": [0.5]}})
    batch = OperationBatch(Position(0), Position(1), (Operation(Offset(0), 0, "1", text),), 0, 0, 1)

    assert last_digests(batch) == {"1": digest({"id": 1})}
    assert last_digests(batch, {"own": False}) == {"1": log_digest(orjson.loads(text), {"own": False})}
    assert last_digests(batch, {"own": False}) != last_digests(batch)


def test_digest_different_values_differ() -> None:
    """An integer, a float, a text and nothing are four documents."""
    assert len({digest({"a": value}) for value in (1, 1.5, "1", None)} | {digest({})}) == 5


def test_touched_ids_names_writes_and_deletes() -> None:
    """A deleted id was touched too."""
    assert touched_ids(make_batch([("1", 1), ("2", None)])) == {"1", "2"}
