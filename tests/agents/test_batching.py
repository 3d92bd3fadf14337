"""When a post is sent, and what is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.batching import (
    TASKS_AHEAD_MAX,
    Flush,
    FlushReason,
    PostLimits,
    Wait,
    begin_slice,
    cut_slice,
    decide_flush,
    take_slices,
)
from agents.posts import ShardSlice
from schemas.ids import Position, ShardId
from schemas.posts import PositionRange
from tests.agents.test_window import make_operations

LIMITS = PostLimits(records_max=10, bytes_max=1000, age_max_s=0.5)
SOME = {ShardId(0): ShardSlice(PositionRange(Position(0), Position(1)), ())}


@pytest.mark.parametrize(
    ("tasks_ahead", "waited_s", "is_full", "decision"),
    [
        pytest.param(0, 0.0, False, Flush(FlushReason.IDLE, SOME), id="idle node"),
        pytest.param(1, 0.0, True, Flush(FlushReason.FULL, SOME), id="full behind one"),
        pytest.param(1, 0.2, False, Wait(0.3), id="young behind one"),
        pytest.param(1, 0.5, False, Flush(FlushReason.AGE, SOME), id="old behind one"),
        pytest.param(TASKS_AHEAD_MAX, 9.0, True, Wait(None), id="two ahead"),
    ],
)
def test_flush_waits_only_behind_what_runs(
    tasks_ahead: int,
    waited_s: float,
    is_full: bool,  # noqa: FBT001 - a table's column
    decision: Flush | Wait,
) -> None:
    """Each row of when a post is sent."""
    assert decide_flush(SOME, tasks_ahead=tasks_ahead, waited_s=waited_s, is_full=is_full, limits=LIMITS) == decision


def test_nothing_to_send_waits_until_something_comes() -> None:
    """An empty post is never made."""
    assert decide_flush({}, tasks_ahead=0, waited_s=9.0, is_full=False, limits=LIMITS) == Wait(None)


def test_every_shard_has_its_turn_however_much_there_is() -> None:
    """Where each post holds two of three shards' batches, the third is not the same each time."""
    cursors = {ShardId(number): 0 for number in range(3)}
    taken = dict.fromkeys(cursors, 0)
    for _ in range(300):
        sources = {shard: (Position(at), [make_operations(at, at + 5)]) for shard, at in cursors.items()}
        slices, _ = take_slices(sources, LIMITS)
        for shard, part in slices.items():
            cursors[shard] = part.range.end
            taken[shard] += 1

    assert sum(taken.values()) == 600
    assert min(taken.values()) > 100


def test_slices_take_turns_between_shards() -> None:
    """A shard with very much does not starve the others."""
    rich = [make_operations(at, at + 4) for at in range(0, 40, 4)]
    poor = [make_operations(0, 2)]

    slices, is_full = take_slices({ShardId(0): (Position(0), rich), ShardId(1): (Position(0), poor)}, LIMITS)

    assert is_full
    assert slices[ShardId(1)].range == (0, 2)
    assert slices[ShardId(0)].range == (0, 8)


def test_first_batch_is_taken_even_over_the_limit() -> None:
    """A batch larger than a post goes alone rather than never."""
    slices, _ = take_slices({ShardId(0): (Position(0), [make_operations(0, 50)])}, LIMITS)

    assert slices[ShardId(0)].range == (0, 50)


@given(st.integers(0, 8), st.lists(st.integers(1, 5), min_size=1, max_size=10))
def test_slice_begins_at_the_cursor_or_before_and_ends_with_a_batch(cursor: int, lengths: list[int]) -> None:
    """The range posted always completes from the cursor: no position is passed over."""
    batches, start = [], 0
    for length in lengths:
        batches.append(make_operations(start, start + length))
        start += length
    held = [batch for batch in batches if batch.end > cursor]

    slices, _ = take_slices({ShardId(0): (Position(cursor), held)} if held else {}, LIMITS)

    for part in slices.values():
        assert part.range.start <= cursor < part.range.end
        assert part.range.end in {batch.end for batch in held}
        assert {o.offset for o in part.operations} >= set(range(cursor, part.range.end))


@given(st.integers(0, 12))
def test_cut_slice_holds_exactly_what_stands_before_the_cut(end: int) -> None:
    """Cutting keeps positions and operations in step."""
    part = ShardSlice(PositionRange(Position(2), Position(10)), make_operations(0, 10).operations)

    cut = cut_slice(part, Position(end))

    assert cut.range.end == min(10, end)
    assert all(operation.offset < end for operation in cut.operations)


def test_slice_begun_later_leaves_out_what_comes_before() -> None:
    """A suspect is narrowed from the cursor on: the batch that holds the cursor begins before it."""
    batches = [make_operations(0, 10)]
    slices, _ = take_slices({ShardId(0): (Position(6), batches)}, LIMITS)

    begun = begin_slice(slices[ShardId(0)], Position(6))

    assert begun.range == PositionRange(Position(6), Position(10))
    assert [operation.offset for operation in begun.operations] == [6, 7, 8, 9]
    assert begin_slice(begun, Position(2)) == begun
