"""Publishing what is seen of the replicas that this worker feeds.

What always holds: only news is published, and everything again after a while, so that its age says whether the owner
lives. Who calls it: the applier, at an interval. It must not know: feeders, and how cursors are folded.
"""

from collections.abc import Sequence
from typing import NamedTuple

from agents.progress import Sight, build_next_progress, find_forgotten, is_due
from agents.window import Window
from agents.worker.metrics import WorkerMetrics
from schemas.events import ReplicaRecord, ReplicaState
from schemas.ids import Partition, Position
from schemas.progress import Progress, build_progress, build_progress_key
from streams.log import Append, LogWriter
from streams.readable import ProgressView
from streams.topics import PROGRESS
from streams.topology import Topology

FORGOTTEN_AT_ONCE_MAX = 1000
"""Records removed at once; a large index has some thousand, and the rest is removed a second later."""


class Watched(NamedTuple):
    """A replica as it is seen, and the live window on its partition."""

    sight: Sight
    window: Window


class ProgressPublisher:
    """What this worker has published since its last assignment.

    Args:
        log: appends progress.
        metrics: what is measured by it.
    """

    def __init__(self, log: LogWriter, metrics: WorkerMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self._published: dict[ReplicaRecord, Progress] = {}
        self._first_ends: dict[ReplicaRecord, Position] = {}

    def begin(self) -> None:
        """Publish everything anew: partitions were assigned."""
        self._published.clear()

    async def publish(self, watched: Sequence[Watched], view: ProgressView, *, now_ms: int) -> None:
        """Publish what is news of these replicas, which are all that this worker feeds.

        Args:
            watched: as they are seen now.
            view: what anybody has published; read to its end once.
            now_ms: milliseconds since 1970.

        Raises:
            LogUnavailableError: no broker answers; it is tried again at the next interval.
        """
        due = {}
        for sight, window in watched:
            published = self._published.get(sight.replica)
            before = published or view.of(sight.replica) or view.unbegun(sight.replica)
            first_end = self._first_ends.setdefault(sight.replica, sight.end)
            held = window.batches_from(window.start)
            progress = build_next_progress(sight, before, held, now_ms=now_ms, first_end=first_end)
            if progress is None:
                continue
            self._note_visible(before, progress, window, now_ms)
            if is_due(progress, published):
                due[sight.replica] = progress
        if due:
            await self._log.append(
                [Append(PROGRESS, Partition(0), build_progress_key(p), build_progress(p)) for p in due.values()]
            )
            self._published.update(due)
        present = {sight.replica for sight, _ in watched}
        self._published = {replica: seen for replica, seen in self._published.items() if replica in present}
        self._first_ends = {replica: end for replica, end in self._first_ends.items() if replica in present}
        placed = (seen for replica, seen in self._published.items() if replica.state is ReplicaState.PLACED)
        self._metrics.observe(placed)

    async def forget(self, view: ProgressView, topology: Topology, *, now_ms: int) -> None:
        """Remove the progress of replicas that are placed no more, once nobody publishes of them.

        Raises:
            LogUnavailableError: no broker answers; it is tried again later.
        """
        keys = find_forgotten(view, topology, now_ms=now_ms)[:FORGOTTEN_AT_ONCE_MAX]
        if keys:
            await self._log.append([Append(PROGRESS, Partition(0), key.encode(), None) for key in keys])

    def _note_visible(self, before: Progress | None, progress: Progress, window: Window, now_ms: int) -> None:
        """Measure the freshness of what has become visible since; a placement's first look tells nothing."""
        if before is not None and before.attempt == progress.attempt and progress.cursor > before.cursor:
            batches = window.batches_from(before.cursor)
            self._metrics.note_visible(progress.uid, batches, progress.cursor, now_ms)
