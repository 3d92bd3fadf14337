"""When a node is late, and how often that may be acted on."""

from hypothesis import given
from hypothesis import strategies as st

from query.latency import (
    BUDGET,
    BUDGET_KEPT_MAX,
    RECENT_MAX,
    RECENT_MIN,
    SLOW_MIN_S,
    SLOWER_FACTOR,
    UNKNOWN_S,
    WAIT_MIN_S,
    HedgeBudget,
    Latencies,
    slow_above_s,
)


def test_late_of_unknown_node_is_the_default() -> None:
    """Nothing is concluded from a few answers."""
    latencies = Latencies()
    for _ in range(RECENT_MIN - 1):
        latencies.add(0.001)

    assert latencies.late_s == UNKNOWN_S


@given(st.lists(st.floats(0.0, 10.0), min_size=RECENT_MIN * 10, max_size=RECENT_MIN * 10))
def test_late_is_above_nearly_all_recent_answers(seconds: list[float]) -> None:
    """At most a few in a hundred of the recent answers took longer."""
    latencies = Latencies()
    for each in seconds:
        latencies.add(each)

    recent = seconds[-RECENT_MAX:]
    assert latencies.late_s >= WAIT_MIN_S
    assert sum(each > latencies.late_s for each in recent) <= len(recent) * 0.06


def test_known_is_a_node_with_enough_answers() -> None:
    """The time that is late is computed anew, and said so, once in so many answers."""
    latencies = Latencies()
    computed = [latencies.add(0.1) for _ in range(RECENT_MIN)]

    assert computed == [False] * (RECENT_MIN - 1) + [True]
    assert latencies.is_known


def test_slow_is_a_multiple_of_what_most_peers_take() -> None:
    """One peer that is slow itself changes nothing; without peers nothing is slow; quick ones may differ by much."""
    assert slow_above_s([0.1, 0.1, 9.0]) == 0.1 * SLOWER_FACTOR
    assert slow_above_s([]) == float("inf")
    assert slow_above_s([0.001]) == SLOW_MIN_S


@given(st.lists(st.booleans(), max_size=400))
def test_budget_allows_a_few_in_a_hundred(wishes: list[bool]) -> None:
    """Second questions never exceed what first ones earned and what was saved at the start."""
    budget = HedgeBudget()
    spent = 0
    for wish in wishes:
        budget.earn()
        spent += wish and budget.spend()

    assert spent <= BUDGET_KEPT_MAX + BUDGET * len(wishes)
