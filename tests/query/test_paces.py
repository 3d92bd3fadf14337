"""How fast copies are made, from published progress alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.paces import SPAN_MS, Pace, Paces, fold_paces
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, SettingsVersion, ShardId
from schemas.progress import Progress


def progress(cursor: int, at_ms: int, *, attempt: int = 3, end: int = 100_000, at_end_ms: int = 0) -> Progress:
    """Return what the owner of a copy that is made publishes."""
    return Progress(
        IndexUid("films"),
        Incarnation(1),
        ShardId(0),
        NodeId("n"),
        Attempt(attempt),
        Position(cursor),
        Position(end),
        SettingsVersion(1),
        at_ms,
        at_end_ms,
    )


KEY = "films/1/0/n"


def folded(*seen: Progress) -> Paces:
    """Return what is counted after these, one after the other."""
    paces: Paces = {}
    for each in seen:
        paces = fold_paces(paces, {KEY: each}, [KEY])
    return paces


def pace_of(*seen: Progress) -> Pace:
    """Return the copy's pace after these."""
    return folded(*seen)[KEY]


def test_first_look_tells_what_is_left_and_no_rate() -> None:
    """There is nothing to compare with."""
    pace = pace_of(progress(20_000, 1000))
    assert (pace.left, pace.per_second, pace.eta_s) == (80_000, 0.0, None)


def test_two_looks_tell_the_rate_and_the_time_left() -> None:
    """A thousand in two seconds: 99,000 more take 198."""
    pace = pace_of(progress(0, 1000), progress(1000, 3000))
    assert (pace.per_second, pace.eta_s) == (500.0, 198.0)


@pytest.mark.parametrize("later", [progress(10, 9000, attempt=4), progress(10, 9000)])
def test_copy_that_begins_anew_is_counted_anew(later: Progress) -> None:
    """A later attempt, or a step back."""
    pace = pace_of(progress(0, 1000), progress(5000, 2000), later)
    assert (pace.per_second, pace.left) == (0.0, 99_990)


def test_copy_that_stood_at_the_end_is_counted_no_more() -> None:
    """It is not made any more; nor is one that has not begun, or is gone."""
    assert folded(progress(0, 1000), progress(100_000, 2000, at_end_ms=2000)) == {}
    assert folded(progress(0, 1000, attempt=-1)) == {}
    assert fold_paces(folded(progress(0, 1000)), {}, [KEY]) == {}


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(100, 5000))
def test_rate_is_that_of_the_last_moments(before: int, after: int, step_ms: int) -> None:
    """However fast it was before."""
    fast = [progress(before * at, step_ms * at, end=10**9) for at in range(50)]
    turn = 49
    steps = 3 * SPAN_MS // step_ms + 3
    slow = [progress(before * turn + after * at, step_ms * (turn + at), end=10**9) for at in range(1, steps + 1)]
    assert pace_of(*fast, *slow).per_second == pytest.approx(1000 * after / step_ms)
