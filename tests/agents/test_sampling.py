"""Which documents a node must surely hold, and what differs."""

from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation, OperationBatch
from agents.sampling import (
    BESIDE_MS,
    REPAIR_AGAIN_MS,
    Expected,
    canonical_form,
    choose_expected,
    digest_written,
    find_differing,
    has_other_whole,
    may_repair,
    settled_below,
)
from agents.tail import IndexTail
from schemas.ids import Attempt, Incarnation, Offset, Position, ShardId
from schemas.posts import Checkpoint, Drop, PositionRange, Post, PostMetadata
from schemas.progress import build_progress_key
from streams.cursor import NodeTask, ShardCursor, TaskState
from streams.readable import ProgressView
from tests.builders import make_index, make_progress, make_replica, make_topology

ONE = Incarnation(1)
SHARD, OTHER = ShardId(0), ShardId(1)
ATTEMPT = Attempt(5)


def post(shard: ShardId, start: int, end: int) -> Post:
    """Return what a post of one part names."""
    return Post(ONE, "w-n-1", 0, 1, {shard: PositionRange(Position(start), Position(end))})


def tail(*pending: PostMetadata, cursor: int = 50, state: TaskState = TaskState.WAITING) -> IndexTail:
    """Return an index on a node whose shard stands at the cursor, with tasks that come after it."""
    tasks = tuple(NodeTask(uid, state, each) for uid, each in enumerate(pending, start=7))
    return IndexTail({SHARD: ShardCursor(Position(cursor), ATTEMPT)}, 6, tasks)


@pytest.mark.parametrize(
    ("found", "below"),
    [
        pytest.param(tail(), 50, id="nothing is under way"),
        pytest.param(tail(post(SHARD, 50, 60)), 50, id="what comes next is under way"),
        pytest.param(tail(post(SHARD, 20, 60)), 20, id="something is written again"),
        pytest.param(tail(post(SHARD, 20, 60), state=TaskState.FAILED), 50, id="it has failed"),
        pytest.param(tail(post(SHARD, 50, 200)), 0, id="another owner knows more"),
        pytest.param(tail(post(OTHER, 0, 500)), 50, id="another shard"),
        pytest.param(tail(Drop(ONE, {SHARD: Attempt(9)})), 0, id="it is dropped"),
        pytest.param(tail(Drop(ONE, {OTHER: Attempt(9)})), 50, id="another is dropped"),
        pytest.param(tail(Drop(ONE, {OTHER: Attempt(9)}, is_whole=True)), 0, id="all are dropped"),
        pytest.param(tail(Checkpoint(ONE, 3, {})), 50, id="a checkpoint"),
        pytest.param(tail(cursor=101), 0, id="it has more than is known here"),
        pytest.param(IndexTail(), 0, id="nothing is known of it"),
    ],
)
def test_settled_is_only_what_nobody_writes(found: IndexTail, below: int) -> None:
    """Up to position 100 the log is known here."""
    assert settled_below(found, SHARD, ATTEMPT, known=Position(100)) == below


def test_former_attempt_settles_nothing() -> None:
    """Its documents are about to be dropped."""
    assert settled_below(tail(), SHARD, Attempt(6), known=Position(100)) == 0


def batches(writes: Sequence[tuple[int, int | None]]) -> list[OperationBatch]:
    """Return each write of an id, a delete where there is no value, as a batch."""
    found = []
    for at, (key, value) in enumerate(writes):
        document = None if value is None else orjson.dumps({"id": key, "value": value})
        operation = Operation(Offset(at), 0, str(key), document)
        found.append(OperationBatch(Position(at), Position(at + 1), (operation,), 1, 0, 1))
    return found


WRITES = st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 3))), max_size=40)


@given(WRITES, st.integers(0, 45), st.floats(0, 1, exclude_max=True), st.integers(1, 12))
def test_node_that_has_applied_the_log_never_differs(
    writes: list[tuple[int, int | None]], below: int, draw: float, documents_max: int
) -> None:
    """Wherever the node stands beyond what is settled, no chosen document differs; and any that is changed does."""
    chosen = choose_expected(SHARD, batches(writes), below=Position(below), draw=draw, documents_max=documents_max)
    held = {}
    for key, value in writes[:below]:
        held[key] = None if value is None else {"value": value, "id": key}
    documents = [each for each in held.values() if each is not None]

    assert len({each.id for each in chosen}) == len(chosen) <= documents_max
    assert find_differing(chosen, documents, primary_key="id") == []
    for each in chosen:
        spoilt = [{**document, "more": 1} for document in documents if str(document["id"]) == each.id]
        expected = [each] if spoilt else []
        others = [document for document in documents if str(document["id"]) != each.id]
        assert find_differing(chosen, [*others, *spoilt], primary_key="id") == expected


def test_missing_and_undeleted_documents_differ() -> None:
    """One that should be there and is not, and one that should be gone."""
    there = Expected(SHARD, Offset(1), "1", digest_written(b'{"id":1}'))
    gone = Expected(SHARD, Offset(2), "2", None)
    assert find_differing([there, gone], [{"id": 2}], primary_key="id") == [there, gone]


def test_order_of_fields_and_vectors_make_no_difference() -> None:
    """The same JSON object; vectors are kept apart by a node."""
    assert canonical_form({"b": 1, "a": 2, "_vectors": {}}) == canonical_form({"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("others_whole", "repaired_ms", "beside_ms", "allowed"),
    [
        (True, None, None, True),
        (False, None, None, False),
        (True, 1000, None, False),
        (True, 1000 - REPAIR_AGAIN_MS, None, True),
        (True, None, 1000, False),
        (True, None, 1000 - BESIDE_MS, True),
    ],
)
def test_copy_is_made_anew_beside_a_whole_one_and_not_again_at_once(
    *, others_whole: bool, repaired_ms: int | None, beside_ms: int | None, allowed: bool
) -> None:
    """Replay that did not help does not help; and another copy that was just asked for is whole no more."""
    found = may_repair(others_whole=others_whole, repaired_ms=repaired_ms, beside_ms=beside_ms, now_ms=2000)
    assert found is allowed


@pytest.mark.parametrize(("other_whole", "expected"), [(True, True), (False, False), (None, False)])
def test_only_a_whole_copy_stands_in_for_another(*, other_whole: bool | None, expected: bool) -> None:
    """One that is being made does not, nor one of which nothing is known; and a copy not for itself."""
    index = make_index(shards=1, replication=2)
    here, there = make_replica("n1"), make_replica("n2")
    seen = [replace(make_progress(here, 9), at_end_ms=1)]
    if other_whole is not None:
        seen.append(replace(make_progress(there, 9), at_end_ms=int(other_whole)))
    view = ProgressView(replicas={build_progress_key(each).decode(): each for each in seen})

    assert has_other_whole(make_topology(index, here, there), view, here) is expected
