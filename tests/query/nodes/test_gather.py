"""Gathering: one deadline, second tries elsewhere, no shard twice."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query.ejection import FAULTS_MAX, LATE_MAX
from query.gathered import Gathered
from query.latency import BUDGET, BUDGET_KEPT_MAX
from query.nodes.gather import Gatherer
from query.nodes.health import NodeHealth
from query.ports import NodeQuestion
from query.routing import Part, Readable, Route, plan_route
from schemas.errors import (
    NodeBusyError,
    NodeError,
    NodeForgotError,
    NodeFullError,
    NodeGarbledError,
    NodeRejectedError,
    NodeUnreachableError,
)
from schemas.events import NodeRecord
from schemas.ids import NodeId, ShardId
from tests.query.nodes.asker import FakeAsker

A, B, C = (NodeId(name) for name in "abc")
NODES = {node: NodeRecord(node, f"http://{node}") for node in (A, B, C)}
SEARCH = NodeQuestion("POST", "/search")
TWO_COPIES: Readable = ((A, B), (B, C), (A, C), (A, B))


def _health() -> NodeHealth:
    return NodeHealth(lambda _: 0)


async def _gather(
    asker: FakeAsker, readable: Readable, *, health: NodeHealth | None = None, timeout_s: float = 5.0, choice: int = 0
) -> Gathered:
    gatherer = Gatherer(asker, health or _health(), lambda _node, _seconds: None)
    return await gatherer.gather(
        plan_route(readable, choice),
        readable,
        nodes=NODES,
        build=lambda part: NodeQuestion("POST", f"/{part.node}", repr(part.shards).encode()),
        timeout_s=timeout_s,
    )


def _answer(question: NodeQuestion) -> Any:
    return {"path": question.path}


def _fail(error: NodeError) -> Callable[[NodeQuestion], Any]:
    return lambda _: error


def _shards(gathered: Gathered) -> list[int]:
    return sorted(shard for found in gathered.answers for shard in found.part.shards)


async def test_gather_of_answering_nodes_has_every_shard_once() -> None:
    """All parts come back, by node."""
    gathered = await _gather(FakeAsker(dict.fromkeys("abc", _answer)), TWO_COPIES)

    assert _shards(gathered) == [0, 1, 2, 3]
    assert not gathered.missing
    assert not gathered.errors


outcomes = st.sampled_from(["answer", "refuse", "busy", "forgot", "broken"])


@given(st.fixed_dictionaries({"a": outcomes, "b": outcomes, "c": outcomes}), st.integers(0, 7))
@settings(max_examples=60)
def test_gather_asks_elsewhere_until_nobody_is_left(behaviour: dict[str, str], choice: int) -> None:
    """Whatever fails, a shard is answered exactly if some node that has it answers; none is answered twice."""
    errors: dict[str, Callable[[str], NodeError]] = {
        "refuse": lambda node: NodeUnreachableError(node, "search", "refused"),
        "busy": lambda node: NodeBusyError(node, "search", "busy"),
        "forgot": lambda node: NodeForgotError(node, "search", "key"),
        "broken": lambda node: NodeRejectedError(node, "search", status=500, code="internal", detail="x"),
    }
    asker = FakeAsker(
        {node: _answer if kind == "answer" else _fail(errors[kind](node)) for node, kind in behaviour.items()}
    )

    gathered = asyncio.run(_gather(asker, TWO_COPIES, choice=choice))

    able = [shard for shard, nodes in enumerate(TWO_COPIES) if any(behaviour[node] == "answer" for node in nodes)]
    assert _shards(gathered) == able
    assert sorted([*able, *gathered.missing]) == [0, 1, 2, 3]


async def test_gather_hedges_are_a_share_of_first_questions() -> None:
    """Whoever is asked because others have failed, or are late, earns no room for further second questions."""
    asker = FakeAsker({"a": _fail(NodeBusyError(A, "search", "busy")), "b": _answer})
    gatherer = Gatherer(asker, _health(), lambda _node, _seconds: None)
    while gatherer.budget.spend():
        pass

    first = round(1 / BUDGET)
    for _ in range(first):
        route = Route((Part(A, (ShardId(0),)),))
        await gatherer.gather(route, ((A, B),), nodes=NODES, build=lambda _: SEARCH, timeout_s=5.0)

    assert len(asker.asked) == 2 * first
    assert [gatherer.budget.spend() for _ in range(2)] == [True, False]


async def test_gather_marks_who_refused_and_who_forgot_its_key() -> None:
    """A refused connection takes a node away until it answers, a refused key until it has another one."""
    health = _health()
    refused = NodeUnreachableError(A, "search", "refused")
    forgot = NodeForgotError(B, "search", "key")
    asker = FakeAsker({"a": _fail(refused), "b": _fail(forgot), "c": _answer})

    gathered = await _gather(asker, ((A, B, C),), health=health)
    while A not in health.away or B not in health.away:
        gathered = await _gather(asker, ((A, B, C),), health=health, choice=len(asker.asked))

    assert not gathered.missing
    assert health.silent() == {A}
    assert health.away[B].refused_key == NODES[B].search_key


async def test_gather_late_node_is_asked_about_elsewhere() -> None:
    """A node that takes too long is hedged: the other copy's answer counts, and the question to it is cancelled."""
    asker = FakeAsker({"a": _answer, "b": _answer})
    first = plan_route(((A, B),), 0).parts[0].node
    asker.behaviours[first] = lambda _: asyncio.Event()

    gathered = await _gather(asker, ((A, B),), timeout_s=10.0)

    assert _shards(gathered) == [0]
    assert gathered.answers[0].part.node != first
    assert asker.cancelled == [first]


async def test_gather_answers_of_both_copies_at_once_count_once() -> None:
    """Where the late node and its stand-in answer in the same moment, only one of them counts."""
    release = asyncio.Event()

    def answer_both_at_second(_question: NodeQuestion) -> asyncio.Event:
        if len(asker.asked) == len("ab"):
            release.set()
        return release

    asker = FakeAsker({"a": answer_both_at_second, "b": answer_both_at_second})

    gathered = await _gather(asker, ((A, B),), timeout_s=10.0)

    assert len(gathered.answers) == 1


async def test_gather_node_late_again_and_again_is_away() -> None:
    """A node that owes several answers is not asked any more, and what waited for it is asked elsewhere at once.

    Even though the budget of second questions does not suffice for all.
    """
    health = _health()
    asker = FakeAsker({"a": _answer, "b": _answer})
    frozen = plan_route(((A, B),), 0).parts[0].node
    asker.behaviours[frozen] = lambda _: asyncio.Event()
    gatherer = Gatherer(asker, health, lambda _node, _seconds: None)
    searches = LATE_MAX + 3 * int(BUDGET_KEPT_MAX)
    route = plan_route(((A, B),), 0)

    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(
                gatherer.gather(route, ((A, B),), nodes=NODES, build=lambda _: SEARCH, timeout_s=10.0),
            )
            for _ in range(searches)
        ]

    assert health.silent() == {frozen}
    assert all(not task.result().missing for task in asked)


@pytest.mark.parametrize(
    "error",
    [
        NodeGarbledError(A, "search", "cut short"),
        NodeBusyError(A, "search", "503"),
        NodeRejectedError(A, "search", status=500, code="internal", detail="x"),
    ],
    ids=["garbled", "busy", "500"],
)
async def test_gather_node_that_answers_wrongly_several_times_is_away(error: NodeError) -> None:
    """One wrong answer is made good by another copy; several running take the node away."""
    health = _health()
    asker = FakeAsker({"a": _fail(error), "b": _answer})
    gatherer = Gatherer(asker, health, lambda _node, _seconds: None)
    route = Route((Part(A, (ShardId(0),)),))
    for _ in range(FAULTS_MAX):
        assert not health.away
        gathered = await gatherer.gather(route, ((A, B),), nodes=NODES, build=lambda _: SEARCH, timeout_s=5.0)
        assert gathered.answers[0].part.node == B

    assert health.silent() == {A}


async def test_gather_asks_who_is_away_where_everybody_else_has_failed() -> None:
    """A node that is away may be back, or was wrongly taken for slow: asking it is better than no answer."""
    asker = FakeAsker({"a": _fail(NodeBusyError(A, "search", "503")), "b": _answer})
    gatherer = Gatherer(asker, _health(), lambda _node, _seconds: None)
    route = Route((Part(A, (ShardId(0),)),), spare=((A, B),))

    gathered = await gatherer.gather(route, ((A,),), nodes=NODES, build=lambda _: SEARCH, timeout_s=5.0)

    assert _shards(gathered) == [0]


async def test_gather_leaves_time_to_ask_who_is_away() -> None:
    """Where the only node that is there does not answer, those that are away are asked before the deadline."""
    asker = FakeAsker({"a": lambda _: asyncio.Event(), "b": _answer})
    gatherer = Gatherer(asker, _health(), lambda _node, _seconds: None)
    route = Route((Part(A, (ShardId(0),)),), spare=((A, B),))

    gathered = await gatherer.gather(route, ((A,),), nodes=NODES, build=lambda _: SEARCH, timeout_s=0.5)

    assert _shards(gathered) == [0]


async def test_gather_asks_who_is_away_for_what_it_may_have_beside_what_nobody_else_has() -> None:
    """A shard whose only copy does not answer keeps the other shards of its part from nobody who may be back."""
    asker = FakeAsker({"a": lambda _: asyncio.Event(), "b": _answer})
    gatherer = Gatherer(asker, _health(), lambda _node, _seconds: None)
    route = Route((Part(A, (ShardId(0), ShardId(1))),), spare=((A,), (A, B)))

    gathered = await gatherer.gather(route, ((A,), (A,)), nodes=NODES, build=lambda _: SEARCH, timeout_s=0.5)

    assert _shards(gathered) == [1]
    assert gathered.missing == (0,)


async def test_gather_asks_others_beside_what_nobody_else_has_also_without_a_budget() -> None:
    """Whoever has not answered when a first try would have ended is not hedged but given up for what others have."""
    asker = FakeAsker({"a": lambda _: asyncio.Event(), "b": _answer})
    gatherer = Gatherer(asker, _health(), lambda _node, _seconds: None)
    while gatherer.budget.spend():
        pass
    route = Route((Part(A, (ShardId(0), ShardId(1))),))

    gathered = await gatherer.gather(route, ((A,), (A, B)), nodes=NODES, build=lambda _: SEARCH, timeout_s=0.5)

    assert _shards(gathered) == [1]
    assert gathered.missing == (0,)


async def test_gather_full_node_is_not_held_against_it() -> None:
    """That too many of our own requests are under way at a node says nothing about the node."""
    health = _health()
    asker = FakeAsker({"a": _fail(NodeFullError(A, "search", "200 under way")), "b": _answer})
    gatherer = Gatherer(asker, health, lambda _node, _seconds: None)
    for _ in range(2 * FAULTS_MAX):
        await gatherer.gather(
            Route((Part(A, (ShardId(0),)),)), ((A, B),), nodes=NODES, build=lambda _: SEARCH, timeout_s=5.0
        )

    assert not health.away


async def test_gather_frozen_only_copy_ends_at_the_deadline() -> None:
    """A shard whose only copy does not answer is missing when the deadline has come, and nothing is left behind."""
    asker = FakeAsker({"a": lambda _: asyncio.Event(), "b": _answer})

    gathered = await _gather(asker, ((A,), (B,)), timeout_s=0.05)

    assert gathered.missing == (0,)
    assert _shards(gathered) == [1]


async def test_gather_frozen_only_copy_leaves_the_other_shards_of_its_part() -> None:
    """A node that freezes with the only copy of one shard is asked about elsewhere as far as others have copies."""
    asker = FakeAsker({"a": lambda _: asyncio.Event(), "b": _answer})

    gathered = await _gather(asker, ((A, B), (A,)), timeout_s=1.0)

    assert _shards(gathered) == [0]
    assert gathered.missing == (1,)


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_search_filter"), (413, "payload_too_large")])
async def test_gather_refusal_of_the_question_is_its_verdict(status: int, code: str) -> None:
    """A question that a node calls wrong is not put to others nor held against it, and the node's words are kept."""
    wrong = NodeRejectedError(A, "search", status=status, code=code, detail="bad")
    health = _health()
    for _ in range(FAULTS_MAX):
        asker = FakeAsker(dict.fromkeys("abc", _fail(wrong)))

        gathered = await _gather(asker, TWO_COPIES, health=health)

        assert gathered.verdict is wrong
        assert len(asker.asked) == len({node for node, _ in asker.asked})
    assert not health.away


@pytest.mark.parametrize("status", [401, 403, 404, 500, 502])
async def test_gather_failure_of_one_node_is_no_verdict(status: int) -> None:
    """An index that one node lacks, or a node that is broken, says nothing about the question."""
    broken = NodeRejectedError(A, "search", status=status, code="x", detail="x")
    asker = FakeAsker(dict.fromkeys("abc", _fail(broken)))

    gathered = await _gather(asker, TWO_COPIES)

    assert gathered.verdict is None
    assert gathered.missing == (0, 1, 2, 3)


async def test_gather_knows_when_the_view_may_be_old() -> None:
    """Shards missing because a key was replaced are worth a look at a newer view."""
    asker = FakeAsker({"a": _fail(NodeForgotError(A, "search", "key"))})

    gathered = await _gather(asker, ((A,),))

    assert gathered.forgotten


async def test_gather_of_a_node_that_has_left_asks_another() -> None:
    """A node that is not in the cluster any more counts as unreachable."""
    asker = FakeAsker({"a": _answer})
    gone = NodeId("gone")

    gathered = await _gather(asker, ((A, gone),))
    other = await _gather(asker, ((A, gone),), choice=1)

    assert _shards(gathered) == _shards(other) == [0]


async def test_gather_hears_of_a_mistake_of_our_own() -> None:
    """What is no node's fault is raised to whoever waits, and nothing is left under way."""
    asker = FakeAsker({"a": lambda _: ZeroDivisionError("mistake"), "b": lambda _: asyncio.Event()})

    with pytest.raises(ZeroDivisionError):
        await _gather(asker, ((A,), (B,)))

    assert asker.cancelled == [B]


async def test_gather_cancelled_cancels_every_question() -> None:
    """Whoever stops waiting leaves nothing behind."""
    begun = asyncio.Event()

    def wait(_question: NodeQuestion) -> asyncio.Event:
        begun.set()
        return asyncio.Event()

    asker = FakeAsker({"a": wait, "b": wait})
    gathering = asyncio.create_task(_gather(asker, ((A,), (B,))))
    await begun.wait()
    gathering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert sorted(asker.cancelled) == sorted(node for node, _ in asker.asked)


async def test_ask_each_leaves_out_who_fails() -> None:
    """Every node is asked; those that fail say nothing."""
    refused = NodeUnreachableError(B, "stats", "refused")
    asker = FakeAsker({"a": _answer, "b": _fail(refused), "c": _answer})
    gatherer = Gatherer(asker, _health(), lambda _node, _seconds: None)

    answers = await gatherer.ask_each(list(NODES.values()), NodeQuestion("GET", "/stats"), timeout_s=1.0)

    assert answers == [{"path": "/stats"}] * 2
