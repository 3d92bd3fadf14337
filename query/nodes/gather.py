"""Asks several nodes at once under one deadline: elsewhere too where one fails or is late.

What always holds: no shard is answered twice; of two answers to the same shards the first counts and the other question
is cancelled; after the deadline nothing is under way. Who calls it: the routes. It must not know: what is asked, or how
answers are merged.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from query.explanation import QuestionTrace
from query.gathered import Gathered, PartAnswer, is_verdict
from query.latency import HedgeBudget, Latencies, slow_above_s
from query.nodes.health import NodeHealth
from query.ports import NodeAsker, NodeQuestion
from query.routing import Part, Readable, Route, has_others, has_some_others, plan_again
from schemas.errors import (
    NodeBusyError,
    NodeError,
    NodeForgotError,
    NodeFullError,
    NodeGarbledError,
    NodeRejectedError,
    NodeTimeoutError,
    NodeUnreachableError,
)
from schemas.events import NodeRecord
from schemas.ids import NodeId, ShardId

FIRST_TRY = 0.4
"""How much of the time left one node may take where others have the shards too: a second try still fits in."""

LOOK_AGAIN_S = 0.05
"""How often a question that is late, and must not be put to others for now, is looked at again: its node may be found
to be frozen meanwhile, by other searches."""

ROUTED = "route"
"""Why a question was asked: the cover names its node."""

_FAULTS = range(500, 600)

Build = Callable[[Part], NodeQuestion]
"""Makes the question that a part's node is asked."""


@dataclass(slots=True, eq=False)
class _Need:
    """Some shards, the node that is asked for them, and whom else is asked instead."""

    part: Part
    tried: frozenset[NodeId]
    late_at_s: float
    first_try_until_s: float
    look_at_s: float
    why: str
    took_s: float | None = None
    answer: Any = None
    error: NodeError | None = None
    instead: list["_Need"] | None = None
    missing: tuple[ShardId, ...] = ()
    late: bool = False

    @property
    def answered(self) -> bool:
        return self.answer is not None or (
            self.instead is not None and not self.missing and all(need.answered for need in self.instead)
        )

    @property
    def trace(self) -> QuestionTrace:
        if self.error is not None:
            return QuestionTrace(self.part, self.why, f"{type(self.error).__name__}: {self.error.detail}", self.took_s)
        return QuestionTrace(self.part, self.why, "dropped" if self.answer is None else "answered", self.took_s)

    @property
    def settled(self) -> bool:
        failed = self.error is not None and all(need.settled for need in self.instead or ())
        return failed or self.answered

    def collect(self, answers: list[PartAnswer], missing: list[ShardId]) -> None:
        if self.answer is not None:
            answers.append(PartAnswer(self.part, self.answer))
        elif self.instead is None:
            missing += self.part.shards
        else:
            missing += self.missing
            for need in self.instead:
                need.collect(answers, missing)


class Gatherer:
    """Carries out routes.

    Args:
        asker: asks one node.
        health: is told who fails and who answers.
        observe: is told each answer's node and time in seconds.
    """

    def __init__(self, asker: NodeAsker, health: NodeHealth, observe: Callable[[NodeId, float], None]) -> None:
        self.asker = asker
        self.health = health
        self.budget = HedgeBudget()
        self._observe = observe
        self._latencies: dict[NodeId, Latencies] = {}
        self._slow_above_s: dict[NodeId, float] = {}

    async def gather(
        self,
        route: Route,
        readable: Readable,
        *,
        nodes: Mapping[NodeId, NodeRecord],
        build: Build,
        timeout_s: float,
        share: float = 1.0,
    ) -> Gathered:
        """Return what the nodes of the route, or others in their place, answered in time.

        Never raises for a node's sake: what failed is in the result. Cancelling it cancels every question.

        Args:
            route: whom to ask.
            readable: who else may be asked.
            nodes: all of them.
            build: makes each part's question.
            timeout_s: seconds that are left, of which a first try may take its share.
            share: how much of them all tries together may take.
        """
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        deadline_s, end_s = begun_s + timeout_s, begun_s + share * timeout_s
        scatter = _Scatter(self, loop, nodes, build, readable, route.spare, deadline_s, end_s, loop.create_future())
        try:
            return await scatter.run(route)
        finally:
            await scatter.end()

    async def ask_each(self, nodes: Sequence[NodeRecord], question: NodeQuestion, *, timeout_s: float) -> Sequence[Any]:
        """Return the answers of those nodes that gave one, in the order of the nodes."""

        async def one(node: NodeRecord) -> Any:
            try:
                return await self.asker.ask(node, question, timeout_s=timeout_s)
            except NodeError:
                return None

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(node)) for node in nodes]
        return [answer for task in tasks if (answer := task.result()) is not None]

    def late_after_s(self, node: NodeId) -> float:
        """Return how long the node may take: as nearly all of its own answers did, and not much longer than others."""
        own = self._latencies.get(node)
        if own is None:
            own = self._latencies[node] = Latencies()
        return min(own.late_s, self._slow_above_s.get(node, math.inf))

    def note_latency(self, node: NodeId, seconds: float) -> None:
        """Count the time of one answer."""
        self._observe(node, seconds)
        if self._latencies[node].add(seconds):
            known = {name: found.late_s for name, found in self._latencies.items() if found.is_known}
            self._slow_above_s = {
                name: slow_above_s([late_s for other, late_s in known.items() if other != name]) for name in known
            }


@dataclass(slots=True, eq=False)
class _Scatter:
    """One question to a route, while it is under way.

    Answers are taken in as they come; whoever waits for the whole is woken once, unless something has to be decided.
    """

    gatherer: Gatherer
    loop: asyncio.AbstractEventLoop
    nodes: Mapping[NodeId, NodeRecord]
    build: Build
    readable: Readable
    spare: Readable
    deadline_s: float
    """What first tries have a share of."""
    end_s: float
    """When nothing is waited for any more; not behind the deadline."""
    news: "asyncio.Future[None]"
    tasks: dict["asyncio.Task[Any]", _Need] = field(default_factory=dict)
    dropped: list["asyncio.Task[Any]"] = field(default_factory=list)
    errors: list[NodeError] = field(default_factory=list)
    wanted: list[_Need] = field(default_factory=list)
    asked: list[_Need] = field(default_factory=list)
    fault: BaseException | None = None

    async def run(self, route: Route) -> Gathered:
        """Return what has come once every part is answered, nobody is left to be asked, or time is over."""
        self.wanted = [self._start(part, frozenset(), ROUTED) for part in route.parts]
        while self.tasks and not self._is_settled():
            late_s = [need.look_at_s for need in self.tasks.values() if need.instead is None]
            if not await self._wait(min([self.end_s, *late_s])):
                break
        answers: list[PartAnswer] = []
        missing = list(route.missing)
        for need in self.wanted:
            need.collect(answers, missing)
        answers.sort(key=lambda found: found.part)
        traces = tuple([need.trace for need in self.asked])
        return Gathered(tuple(answers), tuple(sorted(missing)), tuple(self.errors), traces)

    async def end(self) -> None:
        """Cancel what is still under way, and return when it has ended."""
        if left := [task for task in (*self.tasks, *self.dropped) if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left)

    async def _wait(self, until_s: float) -> bool:
        """Return whether there is time left, after news or that moment; then others are asked about what is late."""
        if self.news.done():
            self.news = self.loop.create_future()
        timer = self.loop.call_at(until_s, self._wake)
        try:
            await self.news
        finally:
            timer.cancel()
        if self.fault is not None:
            raise self.fault
        now_s = self.loop.time()
        self._hedge_late(now_s)
        return now_s < self.end_s

    def _wake(self) -> None:
        if not self.news.done():
            self.news.set_result(None)

    def _is_settled(self) -> bool:
        return all(need.settled for need in self.wanted)

    def _start(self, part: Part, tried: frozenset[NodeId], why: str) -> _Need:
        gatherer, begun_s = self.gatherer, self.loop.time()
        late_at_s = begun_s + gatherer.late_after_s(part.node)
        first_try_until_s = min(self.end_s, begun_s + FIRST_TRY * (self.deadline_s - begun_s))
        look_at_s = min(late_at_s, first_try_until_s)
        need = _Need(part, tried | {part.node}, late_at_s, first_try_until_s, look_at_s, why)
        if why == ROUTED:
            gatherer.budget.earn()
        self.asked.append(need)
        task = self.loop.create_task(self._ask(need, begun_s))
        self.tasks[task] = need
        task.add_done_callback(self._hear)
        return need

    async def _ask(self, need: _Need, begun_s: float) -> Any:
        """Return the answer, or the error."""
        node = need.part.node
        record = self.nodes.get(node)
        if record is None:
            return NodeUnreachableError(node, "search", "it has left the cluster")
        until_s = self.end_s
        if has_others(self.spare or self.readable, need.part.shards, need.tried):
            until_s = need.first_try_until_s
        left_s = max(0.001, until_s - begun_s)
        outcome: Any
        try:
            outcome = await self.gatherer.asker.ask(record, self.build(need.part), timeout_s=left_s)
        except NodeError as error:
            outcome = error
        need.took_s = self.loop.time() - begun_s
        if not isinstance(outcome, NodeError):
            self.gatherer.note_latency(node, need.took_s)
        return outcome

    def _hear(self, task: "asyncio.Task[Any]") -> None:
        """Take in what came of a question; whoever waits is woken only where there is something to decide."""
        need = self.tasks.pop(task, None)
        if need is None or (self.news.done() and self._is_settled()):
            # It came together with a better answer.
            return
        try:
            self._take(need, task.result())
        except BaseException as error:  # noqa: BLE001 - a mistake of our own is for whoever waits
            self.fault = error
        if need.answer is None or self._is_settled():
            self._wake()

    def _take(self, need: _Need, outcome: Any) -> None:
        node = need.part.node
        if not isinstance(outcome, NodeError):
            need.answer = outcome
            if not need.late:
                self.gatherer.health.note_good(node)
            self._drop(need.instead or ())
            return
        need.error = outcome
        self.errors.append(outcome)
        match outcome:
            case NodeTimeoutError() | NodeFullError():
                # Late it was counted already; and one that is full was not asked.
                pass
            case NodeGarbledError():
                self.gatherer.health.note_fault(node, outcome.detail)
            case NodeRejectedError() if outcome.status in _FAULTS or not outcome.code:
                self.gatherer.health.note_fault(node, outcome.detail)
            case NodeUnreachableError():
                self.gatherer.health.fail(node, outcome.detail)
            case NodeForgotError():
                self.gatherer.health.forget(self.nodes[node])
            case NodeBusyError():
                self.gatherer.health.note_fault(node, outcome.detail)
        if need.instead is None and not is_verdict(outcome):
            self._ask_instead(need)

    def _ask_instead(self, need: _Need) -> None:
        route = plan_again(self.readable, need.part.shards, need.tried)
        parts, need.missing = route.parts, route.missing
        if need.missing and self.spare:
            last = plan_again(self.spare, need.missing, need.tried)
            parts, need.missing = parts + last.parts, last.missing
        why = "late" if need.error is None else "failed"
        need.instead = [self._start(part, need.tried, why) for part in parts]

    def _hedge_late(self, now_s: float) -> None:
        """Ask others about what is late, where there are others, and where the budget or the node's state allow it."""
        for need in list(self.tasks.values()):
            if need.instead is not None or need.look_at_s > now_s:
                continue
            if need.late:
                self.gatherer.health.note_still_late(need.part.node)
            elif need.late_at_s <= now_s:
                need.late = True
                self.gatherer.health.note_late(need.part.node)
            # A shard that nobody else has must not keep the others of its part from being answered elsewhere.
            has_readable = has_some_others(self.readable, need.part.shards, need.tried)
            has_spare = bool(self.spare) and has_some_others(self.spare, need.part.shards, need.tried)
            if not has_readable and not has_spare:
                need.look_at_s = math.inf if need.late else need.late_at_s
            elif now_s >= need.first_try_until_s:
                # A question that others can answer whole has failed by now; this one goes on for what they cannot.
                self._ask_instead(need)
            elif not has_readable:
                # Who is away may be back.
                need.look_at_s = need.first_try_until_s
            elif self.gatherer.health.is_silent(need.part.node) or self.gatherer.budget.spend():
                self._ask_instead(need)
            else:
                need.look_at_s = min(now_s + LOOK_AGAIN_S, need.first_try_until_s)

    def _drop(self, needs: Iterable[_Need]) -> None:
        """Cancel questions whose answers are not needed any more."""
        for need in needs:
            for task in [task for task, asked in self.tasks.items() if asked is need]:
                task.cancel()
                self.dropped.append(task)
                del self.tasks[task]
            self._drop(need.instead or ())
