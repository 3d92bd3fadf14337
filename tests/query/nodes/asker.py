"""Nodes in memory, as the gathering of parts asks them: each answers, fails or waits as a test says."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from query.ports import NodeQuestion
from schemas.errors import NodeTimeoutError
from schemas.events import NodeRecord
from schemas.ids import NodeId

Behaviour = Callable[[NodeQuestion], Any]


@dataclass(slots=True)
class FakeAsker:
    """``NodeAsker`` whose nodes do what their behaviour returns: a value, an error to raise, or an event to wait for.

    Attributes:
        asked: every question, in order.
        cancelled: nodes whose question was cancelled while it waited.
    """

    behaviours: dict[str, Behaviour]
    asked: list[tuple[NodeId, NodeQuestion]] = field(default_factory=list)
    cancelled: list[NodeId] = field(default_factory=list)

    async def ask(self, node: NodeRecord, question: NodeQuestion, *, timeout_s: float) -> Any:
        """Answer as the node's behaviour says; see ``NodeAsker``."""
        self.asked.append((node.id, question))
        outcome = self.behaviours[node.id](question)
        if isinstance(outcome, asyncio.Event):
            try:
                async with asyncio.timeout(timeout_s):
                    await outcome.wait()
            except TimeoutError:
                raise NodeTimeoutError(node.id, "search", "late") from None
            except asyncio.CancelledError:
                self.cancelled.append(node.id)
                raise
            return node.id
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
