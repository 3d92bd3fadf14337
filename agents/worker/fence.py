"""The fence of one node: when copies that somebody may still read can be dropped.

A query service that lives in the past believes in them, with the node's former search key. Once the node knows the key
that replaced it, such a search is refused; one that was let in before has ended a search's deadline later. What always
holds: a fence that stood for an attempt stands for every earlier one. Who calls it: the feeder of a node. It must not
know: who reads.
"""

from collections.abc import Awaitable, Callable

from schemas.ids import Attempt

FENCE_S = 0.2
"""How often a node is asked whether it knows the search key that replaces the former one."""


class Fence:
    """One node's.

    Args:
        accepts: asks the node whether it takes a key.
        search_key: the key that works on the node once every former search key is dead.
        deadline_s: the longest that a search may take.
        now: monotonic seconds.
    """

    def __init__(
        self,
        accepts: Callable[[str], Awaitable[bool]],
        *,
        search_key: Callable[[], str],
        deadline_s: float,
        now: Callable[[], float],
    ) -> None:
        self._accepts = accepts
        self._search_key = search_key
        self._deadline_s = deadline_s
        self._now = now
        self._stands: tuple[Attempt, float] | None = None

    async def wait_s(self, attempt: Attempt) -> float:
        """Return how long to wait before copies are dropped for this attempt; 0 or less for not at all.

        Raises:
            NodeError: the node cannot be asked.
        """
        if self._stands is None or self._stands[0] < attempt:
            if not await self._accepts(self._search_key()):
                return FENCE_S
            self._stands = (attempt, self._now())
        return self._stands[1] + self._deadline_s - self._now()
