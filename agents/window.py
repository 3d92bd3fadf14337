"""A window on one partition: the last batches read, bounded in bytes, from which replicas are fed.

A replica whose cursor lies in the window takes its operations from it; one whose cursor lies before it reads the log
itself, until it has caught up with the window. So a slow or sick replica never blocks the others: the window moves on
as soon as one replica has taken its oldest batch. What always holds: batches are contiguous. Who calls it: the worker,
once for each partition (live) and once for each replica that replays. It must not know: nodes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from agents.operations import OperationBatch
from schemas.ids import Offset, Position

WINDOWS_BYTES_MAX = 96 * 1024 * 1024
"""All windows of a worker together; each gets an equal part of it."""

WINDOW_BYTES_MIN = 256 * 1024
"""Even with very many partitions a window holds a few hundred documents."""


class Window:
    """The last batches of one partition, oldest first.

    Args:
        start: where it begins; nothing before it was read.
        bytes_max: above it the window is full, though one batch always fits.
    """

    def __init__(self, start: Position, *, bytes_max: int) -> None:
        self._batches: deque[OperationBatch] = deque()
        self._bytes = 0
        self._bytes_max = bytes_max
        self._start = start
        self._end = start

    @property
    def start(self) -> Position:
        """The first position held."""
        return self._start

    @property
    def end(self) -> Position:
        """The position after the last batch; exclusive."""
        return self._end

    @property
    def bytes_held(self) -> int:
        """About how much memory the batches keep alive."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """Whether the next batch must wait."""
        return self._bytes >= self._bytes_max

    def covers(self, cursor: Position) -> bool:
        """Return whether a replica at ``cursor`` is fed from here: everything from there on is, or will be, held."""
        return self._start <= cursor <= self._end

    def append(self, batch: OperationBatch) -> None:
        """Take the next batch. One that overlaps the end is taken whole; a gap means that the window begins anew."""
        if batch.end <= self._end:
            return
        if batch.start > self._end:
            self._batches.clear()
            self._bytes = 0
            self._start = batch.start
        self._batches.append(batch)
        self._bytes += batch.bytes_held
        self._end = batch.end

    def release(self, taken: Position) -> bool:
        """Forget the oldest batches while full, as far as a replica has taken them; return whether it is still full.

        Args:
            taken: the cursor of the replica that is furthest.
        """
        while self._batches and self.is_full and self._batches[0].end <= taken:
            self._drop_first()
        return self.is_full

    def forget(self, cursor: Position) -> None:
        """Forget every batch that lies wholly before ``cursor``."""
        while self._batches and self._batches[0].end <= cursor:
            self._drop_first()

    def batches_from(self, cursor: Position) -> Iterator[OperationBatch]:
        """Yield the batches that hold anything from ``cursor`` on; the first may begin before it."""
        return (batch for batch in self._batches if batch.end > cursor)

    def replace_by_delete(self, offset: Offset) -> None:
        """Let the record at ``offset`` act as a delete of its key; does nothing where it is not held."""
        for at, batch in enumerate(self._batches):
            if batch.start <= offset < batch.end:
                self._batches[at] = replace(
                    batch,
                    operations=tuple(
                        operation._replace(document=None) if operation.offset == offset else operation
                        for operation in batch.operations
                    ),
                )

    def _drop_first(self) -> None:
        first = self._batches.popleft()
        self._bytes -= first.bytes_held
        self._start = first.end


def share_bytes(windows: int, bytes_max: int) -> int:
    """Return how much each of so many windows may hold, at most ``bytes_max``."""
    return min(max(WINDOW_BYTES_MIN, WINDOWS_BYTES_MAX // max(1, windows)), bytes_max)
