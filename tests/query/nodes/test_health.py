"""Who is away, and how that is found out."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from query.ejection import FAULTS_MAX, LATE_FOR_S, LATE_MAX, PAUSE_S
from query.nodes.health import HEALTH, NodeHealth
from query.ports import NodeQuestion
from query.routing import Away
from schemas.errors import NodeForgotError, NodeFullError, NodeRejectedError, NodeUnreachableError
from schemas.events import NodeRecord
from schemas.ids import NodeId
from tests.query.nodes.asker import FakeAsker

A, B = NodeId("a"), NodeId("b")
NODE = NodeRecord(A, "http://a", search_key="one")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1024.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_health_failed_node_is_silent_until_it_answers() -> None:
    """A failure counts with the newest progress of that moment; an answer ends the silence, not the caution."""
    clock = Clock()
    health = NodeHealth(lambda _: 77, now_s=clock)
    health.fail(A, "refused")
    assert health.away == {A: Away(77)}
    assert health.silent() == {A}
    assert (health.is_silent(A), health.reason(A)) == (True, "refused")

    clock.now_s += PAUSE_S
    health.answer(A)
    assert health.away == {A: Away(77, answered=True)}
    assert not health.silent()


def test_health_probes_answered_within_the_pause_do_not_count() -> None:
    """A node whose probes look well is left alone for a while all the same; a real answer in time brings it back."""
    health = NodeHealth(lambda _: 0, now_s=Clock())
    health.fail(A, "refused")
    health.answer(A)
    assert health.is_silent(A)

    health.note_good(A)
    assert not health.is_silent(A)


def test_health_failing_again_takes_the_newer_progress() -> None:
    """A node that had come back and fails again is measured by what was seen meanwhile."""
    seen = iter([1, 2])
    health = NodeHealth(lambda _: next(seen))
    health.fail(A, "refused")
    health.fail(A, "refused")
    health.note_good(A)
    health.fail(A, "refused")

    assert health.away == {A: Away(2)}


def test_health_refused_key_lasts_until_it_is_replaced() -> None:
    """Answering probes does not make a refused key good; another key does."""
    health = NodeHealth(lambda _: 0)
    health.forget(NODE)
    health.answer(A)
    health.refresh({A: NODE})
    assert health.away[A].refused_key == "one"

    health.refresh({A: NodeRecord(A, "http://a", search_key="two")})
    assert not health.away


def test_health_node_that_left_is_forgotten() -> None:
    """Nothing is kept of a node that is no longer in the cluster."""
    health = NodeHealth(lambda _: 0)
    health.fail(A, "refused")
    version = health.version
    health.refresh({})

    assert not health.away
    assert health.version > version


def test_health_node_late_again_and_again_is_away() -> None:
    """Late answers that last take a node away where its peers answer in time."""
    clock = Clock()
    health = NodeHealth(lambda _: 0, now_s=clock)
    health.note_late(B)
    health.note_good(B)
    for _ in range(LATE_MAX):
        assert not health.silent()
        clock.now_s += LATE_FOR_S
        health.note_late(A)

    assert health.silent() == {A}


def test_health_nodes_late_together_are_not_away() -> None:
    """Where most nodes are slow it is the load, or ourselves, and nobody is left alone."""
    clock = Clock()
    health = NodeHealth(lambda _: 0, now_s=clock)
    for _ in range(LATE_MAX):
        health.note_late(A)
        health.note_late(B)
    clock.now_s += 2 * LATE_FOR_S
    health.note_still_late(A)
    health.note_still_late(B)

    assert not health.silent()


def test_health_faults_in_a_row_take_a_node_away() -> None:
    """A node that answers nonsense several times running is left alone, and it is said why."""
    health = NodeHealth(lambda _: 0)
    for _ in range(FAULTS_MAX):
        assert not health.silent()
        health.note_fault(A, "500")

    assert health.silent() == {A}
    assert "500" in health.reason(A)


async def _probed(
    health: NodeHealth, behaviour: Callable[[NodeQuestion], Any], rounds: int, clock: Clock | None = None
) -> Sequence[Away | None]:
    """Return the states of node a before each of its probes."""
    states: list[Away | None] = []

    def nodes() -> dict[NodeId, NodeRecord]:
        if len(states) > rounds:
            raise asyncio.CancelledError
        return {A: NODE}

    def behave(question: NodeQuestion) -> Any:
        if question == HEALTH:
            states.append(health.away.get(A))
            if clock is not None:
                clock.now_s += PAUSE_S
        return behaviour(question)

    with contextlib.suppress(asyncio.CancelledError):
        await health.probe(nodes, FakeAsker({"a": behave}), interval_s=0.0)
    return states[: rounds + 1]


async def test_probe_notices_going_and_coming() -> None:
    """Nodes are asked for their health again and again; an error is an answer, silence is not."""
    clock = Clock()
    outcomes = iter(
        [NodeUnreachableError(A, "health", "refused"), NodeRejectedError(A, "health", status=500, code="", detail="")]
    )

    def behave(question: NodeQuestion) -> Any:
        return next(outcomes, {}) if question == HEALTH else {}

    states = await _probed(NodeHealth(lambda _: 0, now_s=clock), behave, 2, clock)

    assert states == [None, Away(0), Away(0, answered=True)]


async def test_probe_that_found_no_room_says_nothing() -> None:
    """A node that is away with all its room taken by our own questions was not asked, so it is not back."""
    clock = Clock()
    outcomes = iter([NodeUnreachableError(A, "health", "refused"), NodeFullError(A, "health", "8 requests under way")])

    def behave(question: NodeQuestion) -> Any:
        return next(outcomes, {}) if question == HEALTH else {}

    states = await _probed(NodeHealth(lambda _: 0, now_s=clock), behave, 3, clock)

    assert states == [None, Away(0), Away(0), Away(0, answered=True)]


async def test_probe_learns_versions_and_keys_that_are_taken_again() -> None:
    """The version is asked with the search key: a node that takes it again is back."""
    answers = iter([NodeForgotError(A, "version", "key")])

    def behave(question: NodeQuestion) -> Any:
        return {} if question == HEALTH else next(answers, {"pkgVersion": "1.50.0"})

    health = NodeHealth(lambda _: 0)
    health.forget(NODE)
    states = await _probed(health, behave, 2)

    assert states == [Away(0, refused_key="one"), Away(0, refused_key="one"), None]
    assert health.versions == {A: "1.50.0"}


def _tells(version: str) -> Callable[[NodeQuestion], Any]:
    return lambda question: {} if question == HEALTH else {"pkgVersion": version}


async def test_health_knows_filters_once_no_node_is_newer_than_the_grammar() -> None:
    """Of a node that has not told its version, nobody knows what it takes."""
    known: list[bool] = []
    for told in ("1.50.9", "1.51.0", "2.0.0", "nightly", "1.9.0"):
        health = NodeHealth(lambda _: 0)
        before = health.knows_filters
        await _probed(health, _tells(told), 1)
        health.refresh({A: NODE})
        known.append(health.knows_filters and not before)
    health.refresh({A: NODE, NodeId("b"): NODE})

    assert known == [True, False, False, False, True]
    assert not health.knows_filters


async def test_probe_of_a_frozen_node_keeps_no_other_waiting() -> None:
    """The others are asked again and again meanwhile; the frozen one is not asked twice at once."""
    frozen, asked = asyncio.Event(), 0

    def nodes() -> dict[NodeId, NodeRecord]:
        if asked > 5:
            raise asyncio.CancelledError
        return {A: NODE, B: NodeRecord(B, "http://b")}

    def answer(_: NodeQuestion) -> Any:
        nonlocal asked
        asked += 1
        return {}

    asker = FakeAsker({"a": lambda _: frozen, "b": answer})
    with contextlib.suppress(asyncio.CancelledError):
        await NodeHealth(lambda _: 0).probe(nodes, asker, interval_s=0.0)

    assert asked > 5
    assert [node for node, _ in asker.asked].count(A) == 1
