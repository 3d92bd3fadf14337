"""The turns of several indexes at one node, of which it refuses some."""

import pytest

from agents.worker.index_turns import REFUSED_IN_A_ROW_MAX, IndexTurns
from schemas.errors import NodeRejectedError, NodeUnreachableError
from schemas.ids import Incarnation, NodeId

A = NodeId("a")


class Node:
    """A node that refuses some indexes, and what it was asked of."""

    def __init__(self, *refused: int) -> None:
        self.refused = set(refused)
        self.asked: list[int] = []
        self.now_s = 0.0
        self.wait_s: float | None = 0
        self.turns = IndexTurns(A, now=lambda: self.now_s)

    async def look(self, *indexes: int) -> float | None:
        """Let these indexes have their turns."""
        return await self.turns.take([(Incarnation(each), each) for each in indexes], self._step)

    async def _step(self, _: Incarnation, index: int) -> float | None:
        self.asked.append(index)
        if index in self.refused:
            raise NodeRejectedError(A, "post", status=413, code="payload_too_large", detail=str(index))
        return self.wait_s


async def test_refused_index_keeps_no_other_waiting() -> None:
    """The others have their turns, and it is asked again only after a rest that grows."""
    node = Node(1)
    for _ in range(3):
        assert await node.look(1, 2, 3) == 0
    assert node.asked == [1, 2, 3, 2, 3, 2, 3]

    node.asked.clear()
    node.now_s = 0.21
    await node.look(1, 2)
    node.now_s = 0.6
    await node.look(1, 2)
    node.now_s = 0.72
    await node.look(1, 2)
    assert node.asked == [1, 2, 2, 1, 2]


async def test_wait_ends_with_the_first_rest() -> None:
    """Where nothing else is to be done."""
    node = Node(1)
    node.wait_s = None
    assert await node.look(1, 2) == pytest.approx(0.2)
    node.now_s = 0.15
    assert await node.look(1, 2) == pytest.approx(0.05)


async def test_index_that_is_taken_again_has_no_rest() -> None:
    """The next refusal is its first."""
    node = Node(1)
    await node.look(1)
    node.refused.clear()
    node.now_s = 1.0
    assert await node.look(1) == 0
    node.refused.add(1)
    node.wait_s = None
    assert await node.look(1) == pytest.approx(0.2)


async def test_node_that_refuses_all_is_asked_of_few() -> None:
    """A thousand refused requests a look would be one more reason to refuse."""
    node = Node(*range(1000))
    with pytest.raises(NodeRejectedError):
        await node.look(*range(1000))
    assert node.asked == list(range(REFUSED_IN_A_ROW_MAX))


async def test_node_that_does_not_answer_is_asked_of_nothing_more() -> None:
    """Each index would wait for its answer."""

    async def step(_: Incarnation, index: int) -> float | None:
        asked.append(index)
        raise NodeUnreachableError(A, "post", "connection refused")

    asked: list[int] = []
    with pytest.raises(NodeUnreachableError):
        await IndexTurns(A, now=lambda: 0.0).take([(Incarnation(1), 1), (Incarnation(2), 2)], step)
    assert asked == [1]
