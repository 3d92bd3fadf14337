"""Rounds carried out: the time of each, and what is missing at last."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from query.nodes.gather import FIRST_TRY, Gatherer
from query.nodes.health import NodeHealth
from query.nodes.rounds import Answered, Reading, ask_rounds
from query.ports import NodeAsker, NodeQuestion
from query.rounds import Ask, Purpose, Round
from query.routing import Part, Readable, plan_route
from query.search import SearchKind
from schemas.errors import NodeUnreachableError
from schemas.events import NodeRecord
from schemas.ids import NodeId, ShardId
from tests.query.nodes.asker import Behaviour, FakeAsker

A, B = NodeId("a"), NodeId("b")
NODES = {node: NodeRecord(node, f"http://{node}") for node in (A, B)}
ONE_COPY: Readable = ((A,), (B,))
DEADLINE_S = 0.4


async def _ask(behaviours: dict[str, Behaviour], asks: Sequence[Ask]) -> Answered[list[str]]:
    return await _ask_of(FakeAsker(behaviours), asks, ONE_COPY, timeout_s=DEADLINE_S)


async def _ask_of(
    asker: NodeAsker, asks: Sequence[Ask], readable: Readable, *, timeout_s: float
) -> Answered[list[str]]:
    """Ask everybody for heads and keys, for the rest those who have answered; the outcome is who was heard last."""

    def decide(_route: Sequence[Part], rounds: Sequence[Round]) -> Ask | list[str]:
        if len(rounds) == len(asks):
            return [part.node for part, _ in rounds[-1].answers]
        ask = asks[len(rounds)]
        begins = ask.purpose in {Purpose.HEADS, Purpose.KEYS}
        return ask if begins else replace(ask, parts=tuple(part for part, _ in rounds[-1].answers))

    reading = Reading("/search", 0, decide, lambda ask, part: {"round": ask.purpose.value, "shards": part.shards})
    gatherer = Gatherer(asker, NodeHealth(lambda _: 0), lambda _node, _seconds: None)
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    return await ask_rounds(gatherer, reading, plan_route(readable, 0), readable, nodes=NODES, deadline_s=deadline_s)


class TimedAsker:
    """Notes how long each question may take, and answers at once."""

    def __init__(self) -> None:
        self.seconds: dict[NodeId, float] = {}

    async def ask(self, node: NodeRecord, question: NodeQuestion, *, timeout_s: float) -> Any:
        """Answer; see ``NodeAsker``."""
        self.seconds[node.id] = round(timeout_s)
        return _answer(question)


def _answer(question: NodeQuestion) -> Any:
    return orjson.loads(question.body or b"")


def _gone_in(purpose: Purpose) -> Behaviour:
    """Return how a node behaves that is gone in the rounds of one purpose."""

    def behave(question: NodeQuestion) -> Any:
        if _answer(question)["round"] == purpose.value:
            return NodeUnreachableError(B, "search", "gone")
        return _answer(question)

    return behave


@pytest.mark.parametrize(
    "asks",
    [
        (Ask(Purpose.KEYS), Ask(Purpose.WINDOWS)),
        (Ask(Purpose.HEADS, kind=SearchKind.WORDS), Ask(Purpose.HEADS, kind=SearchKind.SIMILARITY)),
    ],
    ids=["keys", "words"],
)
async def test_round_that_is_followed_leaves_time(asks: Sequence[Ask]) -> None:
    """A frozen node that alone has a shard takes the time of one round, and not what the others have to show."""
    frozen = asyncio.Event()

    answered = await _ask({"a": _answer, "b": lambda _: frozen}, asks)

    assert (answered.outcome, answered.missing) == ([A], (1,))


async def test_what_a_round_of_hits_misses_the_outcome_misses() -> None:
    """Also where later rounds ask only those who have answered."""
    answered = await _ask({"a": _answer, "b": _gone_in(Purpose.HEADS)}, (Ask(Purpose.HEADS), Ask(Purpose.LONGER)))

    assert (answered.outcome, answered.missing) == ([A], (1,))
    assert [each.missing for each in answered.rounds] == [(1,), (1,)]


async def test_what_is_asked_for_anew_is_not_missing_any_more() -> None:
    """As where a part of a deep page was lost, and the heads that are asked for instead have all shards."""
    asks = (Ask(Purpose.KEYS), Ask(Purpose.WINDOWS), Ask(Purpose.HEADS))

    answered = await _ask({"a": _answer, "b": _gone_in(Purpose.WINDOWS)}, asks)

    assert (answered.outcome, answered.missing) == ([A, B], ())


@pytest.mark.parametrize(
    ("lost_in", "asked", "missing"),
    [(Purpose.KEYS, "a", (1,)), (Purpose.WINDOWS, "ab", ()), (Purpose.HEADS, "ab", (1,))],
    ids=["keys", "windows", "heads"],
)
async def test_what_nobody_is_asked_for_anew_stays_missing(
    lost_in: Purpose, asked: str, missing: tuple[int, ...]
) -> None:
    """As where a frozen node has taken the time of the keys, and the windows of the others do not fit."""
    parts = tuple(Part(NodeId(name), (ShardId("ab".index(name)),)) for name in asked)
    asks = (Ask(Purpose.KEYS), Ask(Purpose.WINDOWS), Ask(Purpose.HEADS, parts))

    answered = await _ask({"a": _answer, "b": _gone_in(lost_in)}, asks)

    assert answered.missing == missing


async def test_words_that_were_lost_stay_so_when_similarity_is_asked() -> None:
    """They are two lists of one answer."""
    words, similarity = Ask(Purpose.KEYS, kind=SearchKind.WORDS), Ask(Purpose.HEADS, kind=SearchKind.SIMILARITY)

    answered = await _ask({"a": _answer, "b": _gone_in(Purpose.KEYS)}, (words, similarity))

    assert (answered.outcome, answered.missing) == ([A, B], (1,))


@pytest.mark.parametrize(("ask", "alone_s"), [(Ask(Purpose.HEADS), 100), (Ask(Purpose.KEYS), 80)])
async def test_first_try_has_its_share_of_all_the_time(ask: Ask, alone_s: int) -> None:
    """A node that uses all of an accepted cutoff is not given up because its round may not take all the time."""
    asker = TimedAsker()

    await _ask_of(asker, [ask], ((A, B), (B,), (A,)), timeout_s=100)
    shared = asker.seconds
    asker = TimedAsker()
    await _ask_of(asker, [ask], ((A, B), (A, B)), timeout_s=100)

    assert set(shared.values()) == {alone_s}
    assert set(asker.seconds.values()) == {100 * FIRST_TRY}


async def test_who_does_not_count_takes_no_hits_away() -> None:
    """The outcome is not exact then, which it says by itself; the hits of everybody are in it."""
    answered = await _ask({"a": _answer, "b": _gone_in(Purpose.COUNTS)}, (Ask(Purpose.HEADS), Ask(Purpose.COUNTS)))

    assert (answered.outcome, answered.missing) == ([A], ())
    assert answered.gathered.missing == (1,)
    assert [each.missing for each in answered.rounds] == [(), ()]
