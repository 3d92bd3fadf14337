"""When a node is left alone, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from query.ejection import (
    FAULTS_MAX,
    FORGIVEN_S,
    LATE_FOR_S,
    LATE_MAX,
    PAUSE_MAX_S,
    PAUSE_S,
    Conduct,
    fold_fault,
    fold_good,
    fold_late,
    fold_pause,
    is_faulty,
    is_late,
    may_return,
)


def test_faults_running_make_a_node_faulty_and_a_good_answer_ends_them() -> None:
    """Only uninterrupted faults count."""
    conduct = Conduct()
    for _ in range(FAULTS_MAX - 1):
        conduct = fold_fault(conduct)
    assert not is_faulty(conduct)
    assert not is_faulty(fold_fault(fold_good(conduct)))
    assert is_faulty(fold_fault(conduct))


def test_late_answers_count_only_when_they_last() -> None:
    """Many late answers at one moment are a stall; the same over some time are a slow node."""
    conduct = Conduct()
    for _ in range(LATE_MAX):
        conduct = fold_late(conduct, 0.0)

    assert not is_late(conduct, 0.0)
    assert is_late(conduct, LATE_FOR_S)
    assert not is_late(fold_good(conduct), LATE_FOR_S)


@given(st.lists(st.floats(0.0, FORGIVEN_S - 1.0), min_size=1, max_size=12))
def test_pauses_grow_while_a_node_relapses(gaps_s: list[float]) -> None:
    """Each relapse doubles the pause up to the longest; nobody returns before its end."""
    conduct, now_s, last_s = Conduct(back_at_s=-FORGIVEN_S), 0.0, 0.0
    for gap_s in gaps_s:
        conduct = fold_pause(conduct, now_s)
        pause_s = conduct.back_at_s - now_s
        assert PAUSE_S - 1e-6 <= pause_s <= PAUSE_MAX_S + 1e-6
        assert pause_s >= min(PAUSE_MAX_S, 2 * last_s) - 1e-6
        assert not may_return(conduct, now_s)
        assert may_return(conduct, conduct.back_at_s)
        now_s, last_s = conduct.back_at_s + gap_s, pause_s


def test_pause_after_a_long_time_is_the_first_again() -> None:
    """What is long ago is forgiven."""
    conduct = fold_pause(fold_pause(Conduct(), 100.0), 101.0)
    later_s = conduct.back_at_s + FORGIVEN_S

    assert fold_pause(conduct, later_s).back_at_s == later_s + PAUSE_S
