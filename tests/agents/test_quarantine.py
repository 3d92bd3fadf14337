"""Finding the one record that a node refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.batching import cut_slice
from agents.posts import ShardSlice
from agents.quarantine import Suspect, Verdict, clear, condemned, join, judge, named_id, narrow, suspect
from agents.tail import FailedTask
from schemas.ids import Attempt, Incarnation, Position, ShardId
from schemas.posts import Drop, PositionRange, Post
from streams.cursor import NodeTask, TaskState
from tests.agents.test_window import make_operations

SHARD = ShardId(0)


def make_failed(code: str, *, alone: bool = True, end: int = 10, message: str = "") -> FailedTask:
    """Return a failed post that held ``[0, end)`` of the shard."""
    post = Post(Incarnation(1), "p", 0, 1, {SHARD: PositionRange(Position(0), Position(end))})
    return FailedTask(NodeTask(1, TaskState.FAILED, post), code, message, alone)


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        pytest.param(make_failed("invalid_document_geo_field"), Verdict.REFUSED, id="document, alone"),
        pytest.param(make_failed("invalid_document_geo_field", alone=False), Verdict.SHARED, id="document, shared"),
        pytest.param(make_failed("no_space_left_on_device"), Verdict.SICK, id="disk full"),
        pytest.param(make_failed("index_not_found"), Verdict.SICK, id="index away"),
        pytest.param(make_failed("internal"), Verdict.SICK, id="internal"),
    ],
)
def test_verdict_needs_a_document_error_and_a_task_alone(failed: FailedTask, verdict: Verdict) -> None:
    """Anything else means that the node is sick, never that a document is."""
    assert judge(failed) is verdict


def test_failed_drop_is_never_a_documents_fault() -> None:
    """A drop holds no document."""
    drop = Drop(Incarnation(1), {SHARD: Attempt(1)})
    failed = FailedTask(NodeTask(1, TaskState.FAILED, drop), "invalid_document_id", "", is_alone=True)

    assert judge(failed) is Verdict.SICK


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ('Could not find latitude in the document with the id: `"777"`. Was expecting a `_geo.lat` field.', "777"),
        ('Document identifier `"a-b"` is invalid.', "a-b"),
        ("The disk is full.", None),
    ],
)
def test_id_is_found_in_the_nodes_own_words(message: str, name: str | None) -> None:
    """The message often names the document."""
    assert named_id(message) == name


@given(st.integers(0, 99), st.booleans(), st.integers(1, 100))
def test_narrowing_ends_with_the_refused_record_alone(poison: int, named: bool, length: int) -> None:  # noqa: FBT001
    """Node's answers in, one record out; everything before it was posted, in order, and nothing was passed over."""
    poison %= length
    operations = make_operations(0, length).operations
    message = f'the document with the id: `"k{poison}"`' if named else "some document"
    cursor = 0
    under = suspect(make_failed("invalid_document_geo_field", end=length, message=message), {SHARD: length})[SHARD]
    for _ in range(40):
        whole = ShardSlice(PositionRange(Position(cursor), Position(length)), operations[cursor:])
        part = narrow(whole, under)
        assert part.range.start == cursor
        if part.range.end <= poison:
            cursor = part.range.end
            continue
        found = condemned(part)
        if found is not None:
            assert found.offset == poison
            return
        size = len(part.operations)
        failed = make_failed("invalid_document_geo_field", end=part.range.end, message=message)
        under = suspect(failed, {SHARD: size})[SHARD]
    pytest.fail("the record was not found in 40 posts")


@pytest.mark.parametrize(("cursor", "stays"), [(3, False), (4, True), (9, True), (10, False)])
def test_suspicion_lasts_while_the_cursor_is_within_its_range(cursor: int, *, stays: bool) -> None:
    """Past it a shard is posted like any other, as is one that begins anew far before it: that would take days."""
    suspects = {SHARD: Suspect(Position(4), Position(10), 1)}

    assert clear(suspects, {SHARD: Position(cursor)}) == (suspects if stays else {})


def test_suspects_of_posts_that_failed_together_reach_back_to_the_first() -> None:
    """The second of two posts that were sent ahead says nothing of where the cursor stands: before the first."""
    other = ShardId(1)
    before = {SHARD: Suspect(Position(4), Position(10), 3), other: Suspect(Position(0), Position(5), 2)}
    found = {SHARD: Suspect(Position(10), Position(20), 5)}

    assert join(before, found) == {**before, SHARD: Suspect(Position(4), Position(20), 5)}


def test_cut_never_crosses_the_suspects_end() -> None:
    """What lies behind the suspected range is not dragged into the search."""
    part = ShardSlice(PositionRange(Position(0), Position(20)), make_operations(0, 20).operations)

    assert narrow(part, Suspect(Position(0), Position(10), 50)) == cut_slice(part, Position(10))


def test_shared_refusal_without_a_name_is_narrowed_too() -> None:
    """Whose document it was shows in smaller posts that go through; only condemning needs a batch alone."""
    unnamed = make_failed("max_fields_limit_exceeded", alone=False)
    named = make_failed("invalid_vector_dimensions", alone=False, message="in document with id `7`")

    assert suspect(unnamed, {SHARD: 10})[SHARD].records_max == 5
    assert suspect(named, {SHARD: 10})[SHARD].records_max == 10
