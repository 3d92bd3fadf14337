"""A node of the simulation: it works through its tasks by itself, and whoever talks to it waits for the answer."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from schemas.errors import NodeError, NodeTimeoutError
from schemas.ids import NodeIndexUid, ShardId
from schemas.keys import derive_key
from streams.marker import MARKER_FIELD, marker_of
from tests.fakes.node import Disk, FakeNode, Work
from tests.simulation.truth import Value

MASTER_KEY = "simulated-master-key"
"""Of every node."""

ANSWER_S = 0.02
"""Most that a question, and an answer, is under way."""

TIMEOUT_S = 2.0
"""What a client waits for an answer."""

BATCH_S = 0.2
"""Most that a batch takes."""

WRITES = frozenset(("post", "drop", "clear"))
"""What a writer asks that changes documents."""

DELAYED = 0.01
"""Part of the writes whose sender has gone before they arrive, and has sent the same and more by then."""

DELAYED_S = 8.0
"""Most that such a write is under way."""

SICK = 0.01
"""Part of the batches that fail for no fault of a document."""


class SimulatedNode(FakeNode):
    """A node with a life of its own.

    Args:
        name: its id.
        rng: of the run.

    Attributes:
        well_since_s: when it last came back from a fault, or a post of the past arrived.
        there_since_s: when it last answered again, having been killed or frozen, however short that was.
        delayed: how many posts have arrived late.
        down_since_s: when it was last killed.
    """

    def __init__(self, name: str, rng: random.Random) -> None:
        super().__init__(name)
        self.wipe()
        self.well_since_s = 0.0
        self.there_since_s = 0.0
        self.down_since_s = 0.0
        self.delayed = 0
        self._rng = rng
        self._registered = asyncio.Event()
        self._late: list[asyncio.Task[None]] = []
        self._under_way: list[asyncio.TimerHandle] = []

    def go_down(self) -> None:
        """Be killed."""
        self.is_down = True
        self.down_since_s = asyncio.get_running_loop().time()

    async def work(self) -> None:
        """Run batch after batch, while it lives."""
        while True:
            if not self.disk.work:
                self._registered.clear()
                await self._registered.wait()
            await asyncio.sleep(self._rng.uniform(0.01, BATCH_S))
            if not self.is_down and not self.is_frozen:
                fails = "no_space_left_on_device" if self._rng.random() < SICK else ""
                self.run(tasks_max=self._rng.choice((None, 1, 3)), fails_with=fails)

    def register(self, work: Work, metadata: str) -> int:
        """Take a task, and begin to work; see ``FakeNode``."""
        self._registered.set()
        return super().register(work, metadata)

    def restore_disk(self, disk: Disk) -> None:
        """Go on with what waits on another disk; see ``FakeNode``."""
        super().restore_disk(disk)
        self._registered.set()

    def await_late(self, arrive: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Let something arrive once its sender has given up."""
        after_s = self._rng.uniform(TIMEOUT_S, DELAYED_S)
        loop = asyncio.get_running_loop()
        arrival = loop.call_later(after_s, lambda: self._late.append(loop.create_task(self._arrive(arrive))))
        self._under_way.append(arrival)

    def forget_under_way(self) -> None:
        """Let nothing of what was sent and has not arrived ever arrive."""
        for arrival in self._under_way:
            arrival.cancel()
        self._under_way.clear()
        self.lose_held()

    async def _arrive(self, arrive: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        with suppress(NodeError):
            try:
                await arrive()
            except NodeTimeoutError:
                # There is nobody any more to whom its answer could be lost.
                if self.is_down or self.is_frozen:
                    raise
            self.delayed += 1
            self.well_since_s = asyncio.get_running_loop().time()

    def knows(self, key_uid: str) -> bool:
        """Return whether the key of this uid would be taken."""
        return derive_key(MASTER_KEY, key_uid) in self.disk.keys

    def held(self, uid: NodeIndexUid, shard: ShardId) -> dict[str, Value]:
        """Return what a search of this shard would find, by id, without marker."""
        marker = marker_of(shard)
        return {
            key: {name: value for name, value in document.items() if name != MARKER_FIELD}
            for key, document in self.documents(uid).items()
            if document.get(MARKER_FIELD) == marker
        }


class Remote:
    """A way to a node, with the time that questions and answers take. Stands for a ``NodeWriter`` or a ``NodeAdmin``.

    Args:
        target: what is asked.
        node: where it is.
        rng: of the run.
    """

    def __init__(self, target: object, node: SimulatedNode, rng: random.Random) -> None:
        self._target = target
        self._node = node
        self._rng = rng

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Return the method, with delays."""
        method = getattr(self._target, name)

        async def ask(*args: object, **kwargs: object) -> object:
            await asyncio.sleep(self._rng.uniform(0, ANSWER_S))
            if name in WRITES and self._rng.random() < DELAYED:
                self._node.await_late(lambda: method(*args, **kwargs))
                await asyncio.sleep(TIMEOUT_S)
                raise NodeTimeoutError(self._node.id, name, "no answer")
            try:
                answer: object = await method(*args, **kwargs)
            except NodeTimeoutError:
                await asyncio.sleep(TIMEOUT_S)
                raise
            await asyncio.sleep(self._rng.uniform(0, ANSWER_S))
            return answer

        return ask
