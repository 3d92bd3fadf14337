"""Following a node's task list, page by page.

What always holds: one page is under way at a time; where the list is of another disk, or the node forgot our key,
everything is forgotten and read anew. Who calls it: the feeder of a node. It must not know: what is written to it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from agents.ports import NodeWriter
from agents.tail import (
    EMPTY_TAIL,
    FailedTask,
    NodeTail,
    failed_tasks,
    fold_page,
    lacks_known,
    note_posted,
    start_tail,
)
from schemas.errors import NodeError
from schemas.ids import NodeId

TAIL_IDLE_S = 0.5
"""How often the task list of a node with nothing to do is read: what another worker posts is seen this late."""

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""After so many failures in a row a node is written to again so much later; the last one repeats."""

READ_AGAIN_MAX_S = 1.0
"""A node that does not tell its list is asked for it at least so often: until its worker knows with which disk it has
come back, searches may read old documents there."""

_log = logging.getLogger(__name__)


class TailWatcher(Protocol):
    """Who is told what the list shows."""

    def tail_moved(self, *, has_failed: bool) -> None:
        """Cursors have moved, or a task has failed, or the list was read to its end for the first time."""

    def tail_forgotten(self) -> None:
        """Nothing that was known of the node holds any more."""

    def tail_unread(self, error: NodeError) -> None:
        """The node does not tell its list."""


class TailFollower:
    """The tail of one node.

    Args:
        node: its id.
        writer: how to ask it.
        interval_s: how often the task list of a busy node is read.
        judge: called for each task of ours that has failed, in order.
        watcher: told what the list shows.

    Attributes:
        tail: what is known.
        is_away: whether the node does not tell.
    """

    def __init__(
        self,
        node: NodeId,
        writer: NodeWriter,
        *,
        interval_s: float,
        judge: Callable[[FailedTask], Awaitable[None]],
        watcher: TailWatcher,
    ) -> None:
        self.tail = EMPTY_TAIL
        self.is_away = False
        self._node = node
        self._writer = writer
        self._interval_s = interval_s
        self._judge = judge
        self._watcher = watcher
        self._read_now = asyncio.Event()
        self._reads = 0
        self._was_read = asyncio.Event()

    def note_posted(self, uid: int, metadata: str) -> None:
        """Take in the answer to a post of ours, and read soon what became of it."""
        self.tail = note_posted(self.tail, uid, metadata)
        self._read_now.set()

    async def read_again(self) -> None:
        """Return once the list was read by a question that was asked after this call, however long that takes."""
        # One may be under way, asked before.
        enough = self._reads + 2
        while self._reads < enough:
            self._read_now.set()
            await self._was_read.wait()

    def forget(self) -> None:
        """Know nothing, and read the whole list anew."""
        self.tail = EMPTY_TAIL
        self._watcher.tail_forgotten()
        self._read_now.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            try:
                await self._read()
            except NodeError as error:
                self.is_away = True
                self._watcher.tail_unread(error)
                failures += 1
                await asyncio.sleep(min(READ_AGAIN_MAX_S, backoff_s(failures)))
                continue
            was_away = self.is_away
            # Only now, with its list read again: it may have returned with another disk.
            self.is_away = not self.tail.is_whole
            if was_away and not self.is_away:
                self._watcher.tail_moved(has_failed=False)
            failures = 0
            self._reads += 1
            was_read, self._was_read = self._was_read, asyncio.Event()
            was_read.set()
            await self._pause()

    async def _pause(self) -> None:
        is_busy = any(index.is_waiting() for index in self.tail.indexes.values())
        self._read_now.clear()
        try:
            async with asyncio.timeout(self._interval_s if is_busy else TAIL_IDLE_S):
                await self._read_now.wait()
            await asyncio.sleep(self._interval_s)
        except TimeoutError:
            pass

    async def _read(self) -> None:
        known = self.tail
        if not known.is_whole:
            self._begin(start_tail(await self._writer.tasks_from(0)))
            return
        page = await self._writer.tasks_from(known.read_from)
        if not self.tail.is_whole:
            # Forgotten meanwhile: a page from the middle is no whole list.
            return
        # What was posted while the page was on its way is in ``self.tail`` by now, not in ``known``.
        folded = None if lacks_known(known, page) else fold_page(self.tail, page)
        if folded is None:
            _log.warning("node has another disk: its task list is read anew", extra={"node": self._node})
            self.forget()
            return
        failed = failed_tasks(self.tail, page)
        has_moved = folded.indexes != self.tail.indexes
        self.tail = folded
        for task in failed:
            await self._judge(task)
        if has_moved or failed:
            self._watcher.tail_moved(has_failed=bool(failed))

    def _begin(self, tail: NodeTail) -> None:
        self.tail = tail
        self._watcher.tail_moved(has_failed=False)


def backoff_s(failures: int) -> float:
    """Return how long to leave a node alone after so many failures in a row, at least one."""
    return BACKOFF_S[min(failures, len(BACKOFF_S)) - 1]
