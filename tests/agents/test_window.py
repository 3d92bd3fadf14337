"""The window on a partition: contiguous, bounded, and never in a slow replica's way."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agents.operations import Operation, OperationBatch
from agents.window import WINDOW_BYTES_MIN, Window, share_bytes
from schemas.ids import Offset, Position


def make_operations(start: int, end: int, *, size: int = 10) -> OperationBatch:
    """Return a batch with an upsert at every position of ``[start, end)``."""
    operations = tuple(Operation(Offset(at), 0, f"k{at}", b"x" * size) for at in range(start, end))
    return OperationBatch(Position(start), Position(end), operations, size * (end - start), 0, end - start)


def test_window_covers_from_its_start_to_its_end() -> None:
    """A replica exactly at the end is live: what comes next is held."""
    window = Window(Position(5), bytes_max=100)
    window.append(make_operations(5, 8))

    assert [window.covers(Position(at)) for at in (4, 5, 8, 9)] == [False, True, True, False]


def test_full_window_lets_go_of_what_one_replica_has_taken() -> None:
    """The oldest batches go first, and only as far as the furthest replica."""
    window = Window(Position(0), bytes_max=50)
    for start in (0, 3, 6):
        window.append(make_operations(start, start + 3))

    assert window.is_full
    assert window.release(Position(2)) is True
    assert window.release(Position(6)) is False
    assert (window.start, window.end) == (6, 9)


def test_gap_begins_the_window_anew() -> None:
    """What is held is always contiguous: after a jump nothing older is offered."""
    window = Window(Position(0), bytes_max=100)
    window.append(make_operations(0, 2))
    window.append(make_operations(5, 7))

    assert (window.start, window.end) == (5, 7)
    assert window.bytes_held == 20


def test_repeated_batch_changes_nothing() -> None:
    """A batch read twice is held once."""
    window = Window(Position(0), bytes_max=100)
    window.append(make_operations(0, 2))
    window.append(make_operations(0, 2))

    assert (window.bytes_held, len(list(window.batches_from(Position(0))))) == (20, 1)


def test_condemned_record_becomes_a_delete() -> None:
    """The record that a node refused no longer writes its document."""
    window = Window(Position(0), bytes_max=100)
    window.append(make_operations(0, 3))

    window.replace_by_delete(Offset(1))

    (batch,) = window.batches_from(Position(0))
    assert [operation.document is None for operation in batch.operations] == [False, True, False]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=15), st.integers(0, 25))
def test_window_is_contiguous_whatever_is_appended(batches: list[tuple[int, int]], cursor: int) -> None:
    """Batches follow one another without a gap, from the start to the end."""
    window = Window(Position(0), bytes_max=10_000)
    for start, length in batches:
        window.append(make_operations(start, start + length))
        window.release(Position(cursor))

    held = list(window.batches_from(Position(0)))
    assert all(left.end >= right.start for left, right in pairwise(held))
    if held:
        assert (held[0].start, held[-1].end) == (window.start, window.end)


def test_windows_share_what_a_worker_may_hold() -> None:
    """Few get what the operator allows, many an equal part, very many a few hundred documents each."""
    assert share_bytes(0, 4_000_000) == 4_000_000
    assert share_bytes(12, 4_000_000) == 4_000_000
    assert share_bytes(96, 4_000_000) == 1024 * 1024
    assert share_bytes(100_000, 4_000_000) == WINDOW_BYTES_MIN
    assert share_bytes(100_000, 65_536) == 65_536
