"""Waiting until nobody can read a copy that is about to be dropped."""

from agents.worker.fence import FENCE_S, Fence
from schemas.ids import Attempt


class Node:
    """A node that takes some keys, and a clock."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.asked = 0
        self.now_s = 100.0
        self.fence = Fence(self._accepts, search_key=lambda: "new", deadline_s=5.0, now=lambda: self.now_s)

    async def _accepts(self, key: str) -> bool:
        self.asked += 1
        return key in self.keys


async def test_drop_waits_for_the_new_key_and_then_a_whole_search() -> None:
    """A search that was let in with the former key may take its deadline; no longer."""
    node = Node()

    assert await node.fence.wait_s(Attempt(7)) == FENCE_S
    node.keys.add("new")
    assert await node.fence.wait_s(Attempt(7)) == 5.0
    node.now_s += 3.0
    assert await node.fence.wait_s(Attempt(7)) == 2.0
    node.now_s += 2.0
    assert await node.fence.wait_s(Attempt(7)) == 0.0


async def test_fence_that_stands_is_not_asked_about_again() -> None:
    """Not for an earlier attempt either; for a later one the key has been replaced once more."""
    node = Node()
    node.keys.add("new")
    await node.fence.wait_s(Attempt(7))
    node.now_s += 10.0

    assert await node.fence.wait_s(Attempt(6)) < 0.0
    assert node.asked == 1
    assert await node.fence.wait_s(Attempt(8)) == 5.0
    assert node.asked == 2
