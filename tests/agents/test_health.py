"""When a node counts as failed, and when it is taken back."""

from dataclasses import replace

import pytest

from agents.health import QUIET_MS, RETURN_S_MAX, HealthLimits, is_seen, judge_return, judge_silence
from schemas.events import NodeRecord, NodeState
from schemas.ids import Attempt, NodeId
from schemas.progress import FRESH_MS, Progress, build_progress_key
from streams.readable import ProgressView
from tests.agents.clusters import NOW_MS, cluster_of, node_record
from tests.builders import make_index, make_node, make_progress, make_replica, make_topology

A, B = NodeId("a"), NodeId("b")
LIMITS = HealthLimits(failed_after_s=10.0, return_after_s=4.0)
REPLICAS = (make_replica("a"), make_replica("a", shard=1))
TOPOLOGY = make_topology(make_node("a"), make_node("b"), make_index(), *REPLICAS)


def view_of(*progress: Progress) -> ProgressView:
    """Return the progress topic, folded."""
    return ProgressView(replicas={build_progress_key(each).decode(): each for each in progress})


def published(number: int = 0, *, away: bool = False, age_ms: int = 0) -> Progress:
    """Return what a worker published of one of the node's copies."""
    return replace(make_progress(REPLICAS[number], 10), away=away, seen_ms=NOW_MS - age_ms)


@pytest.mark.parametrize(
    ("progress", "visited", "seen"),
    [
        pytest.param((), (A,), True, id="by the controller"),
        pytest.param((), (B,), False, id="by nobody"),
        pytest.param((published(),), (), True, id="by a worker"),
        pytest.param((published(away=True),), (), False, id="by a worker in vain"),
        pytest.param((published(away=True), published(1)), (), True, id="by one of two workers"),
        pytest.param((published(age_ms=FRESH_MS + 1),), (), False, id="by a worker long ago"),
        pytest.param((replace(published(), attempt=Attempt(9)),), (), False, id="in another life"),
    ],
)
def test_node_is_seen_by_anybody_who_reaches_it(
    progress: tuple[Progress, ...], visited: tuple[NodeId, ...], *, seen: bool
) -> None:
    """One observer is enough."""
    assert is_seen(TOPOLOGY, view_of(*progress), A, visited=visited, now_ms=NOW_MS) is seen


@pytest.mark.parametrize("state", NodeState)
def test_only_an_active_node_is_declared_failed(state: NodeState) -> None:
    """Maintenance is expected; a draining node's copies are made elsewhere already."""
    topology = cluster_of(node_record("a", state), node_record("b"))

    failed = judge_silence(topology, topology.nodes[A], 11.0, seen=[B], limits=LIMITS, now_ms=NOW_MS)

    assert (failed is not None) == (state is NodeState.ACTIVE)


@pytest.mark.parametrize(
    ("silent_s", "seen", "fails"),
    [(9.9, [B], False), (10.0, [B], True), (100.0, [], False)],
    ids=["not yet", "long enough", "nobody is seen"],
)
def test_node_fails_after_the_time_that_is_set_if_others_are_seen(
    silent_s: float, seen: list[NodeId], *, fails: bool
) -> None:
    """If nobody is seen, the network has failed, not the nodes."""
    topology = cluster_of(node_record("a"), node_record("b"))

    failed = judge_silence(topology, topology.nodes[A], silent_s, seen=seen, limits=LIMITS, now_ms=NOW_MS)

    assert (failed is not None) is fails
    if failed is not None:
        assert (failed.state, failed.failed_ms, failed.failures) == (NodeState.FAILED, NOW_MS, 1)


def test_node_of_another_group_says_nothing() -> None:
    """Groups may be in different places."""
    topology = cluster_of(node_record("a"), replace(node_record("b"), group=1))

    assert judge_silence(topology, topology.nodes[A], 99.0, seen=[B], limits=LIMITS, now_ms=NOW_MS) is None


def failed_node(failures: int) -> NodeRecord:
    """Return a node that has failed so often."""
    return replace(node_record("a", NodeState.FAILED), failures=failures, failed_ms=NOW_MS)


@pytest.mark.parametrize(("ago_ms", "failures"), [(QUIET_MS - 1, 4), (QUIET_MS, 1)], ids=["soon", "after a quiet time"])
def test_failures_are_counted_until_a_quiet_time(ago_ms: int, failures: int) -> None:
    """Only who flaps waits longer."""
    node = replace(node_record("a"), failures=3, failed_ms=NOW_MS - ago_ms)
    topology = cluster_of(node, node_record("b"))

    failed = judge_silence(topology, node, 11.0, seen=[B], limits=LIMITS, now_ms=NOW_MS)

    assert failed is not None
    assert failed.failures == failures


@pytest.mark.parametrize(
    ("failures", "wanted_s"), [(0, 4.0), (1, 4.0), (2, 8.0), (4, 32.0), (60, RETURN_S_MAX)], ids=str
)
def test_node_that_flaps_is_taken_back_later_each_time(failures: int, wanted_s: float) -> None:
    """Up to a bound."""
    node = failed_node(failures)

    assert judge_return(node, wanted_s - 0.1, LIMITS) is None
    taken = judge_return(node, wanted_s, LIMITS)
    assert taken is not None
    assert (taken.state, taken.failures) == (NodeState.ACTIVE, failures)


def test_node_that_has_not_failed_does_not_return() -> None:
    """Whatever it is, it stays."""
    assert judge_return(node_record("a", NodeState.MAINTENANCE), 1e6, LIMITS) is None
