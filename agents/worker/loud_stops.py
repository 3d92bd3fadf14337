"""Stopping an index loudly: nothing of it is applied from here on, and the controller is asked to pause it.

What always holds: an index is stopped here before the request is sent, and until the request is answered: from then on
its own state holds it, or somebody has resumed it already; of several reasons the first stays. Who calls it: the
applier. It must not know: feeders and streams.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from agents.log_identity import KnownLogs, LogFault, look_at_logs, note_published
from agents.operations import OperationBatch
from schemas.dead_letters import DeadLetter
from schemas.events import IndexRecord, IndexState
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position
from schemas.progress import Progress
from schemas.requests import PauseIndex, build_request
from streams.log import Append
from streams.topics import REQUESTS

BAD_IN_A_ROW_MAX = 1000
"""So many bad records one after another are a broken producer: the index is paused instead of filling the dead
topic.
"""

_log = logging.getLogger(__name__)


class LoudStops:
    """The indexes that this worker has stopped, and what it watches to know when.

    Args:
        append: appends requests, however long it takes, and returns where they stand.
    """

    def __init__(self, append: Callable[[Sequence[Append]], Awaitable[Sequence[Offset]]]) -> None:
        self._append = append
        self._stopped: dict[tuple[IndexUid, Incarnation], Offset | None] = {}
        """Where the request for its pause stands; None until it is known."""
        self._answered = Position(0)
        self._bad_in_a_row: dict[Incarnation, int] = {}
        self._logs = KnownLogs()

    def is_stopped(self, uid: IndexUid, incarnation: Incarnation) -> bool:
        """Return whether the index was stopped here, and is not paused or resumed yet."""
        return (uid, incarnation) in self._stopped

    def log_of(self, incarnation: Incarnation) -> str:
        """Return the id of the topic that the index was begun on; empty where it is not known."""
        return self._logs.ids.get(incarnation, "")

    def take_states(self, indexes: Mapping[IndexUid, IndexRecord], answered: Position) -> None:
        """From here on an index's own state holds it, until somebody resumes it.

        Args:
            indexes: as they are now.
            answered: every request before it is answered, and what became of it is in ``indexes``. A view may hold a
                pause and the resumption after it at once: then the index was never seen paused here.
        """
        self._answered = answered
        self._stopped = {
            (uid, incarnation): asked
            for (uid, incarnation), asked in self._stopped.items()
            if (index := indexes.get(uid)) is not None
            and index.incarnation == incarnation
            and index.state is IndexState.ACTIVE
            and (asked is None or asked >= answered)
        }

    async def stop(self, index: IndexRecord, reason: str) -> None:
        """Apply nothing of the index from here on, and ask for its pause."""
        if index.state is not IndexState.ACTIVE or self.is_stopped(index.uid, index.incarnation):
            return
        stopped = (index.uid, index.incarnation)
        self._stopped[stopped] = None
        _log.error("index is paused", extra={"index": index.uid, "reason": reason})
        request = build_request(PauseIndex(index.uid, reason, index.incarnation))
        (offset,) = await self._append([Append(REQUESTS, Partition(0), None, request)])
        # What became of it may have been taken in before the log said where it stands.
        if offset < self._answered:
            self._stopped.pop(stopped, None)
        else:
            self._stopped[stopped] = offset

    async def count_bad(self, index: IndexRecord, parsed: OperationBatch, fresh: Sequence[DeadLetter]) -> None:
        """Stop an index whose records are bad one after the other, over all its partitions here.

        Args:
            index: whose records they are.
            parsed: a batch of them.
            fresh: those of them that were set aside only now. Others were counted when they were; somebody who has
                resumed the index since has seen them.
        """
        before = self._bad_in_a_row.get(index.incarnation, 0) if parsed.bad_last == parsed.records else 0
        row = before + min(parsed.bad_last, len(fresh))
        if row >= BAD_IN_A_ROW_MAX:
            row = 0
            await self.stop(
                index,
                f"{BAD_IN_A_ROW_MAX} bad records in a row, the last: {fresh[-1].message}; mend the producer, look at"
                f" `miroir dead list`, then `miroir index resume {index.uid}`",
            )
        self._bad_in_a_row[index.incarnation] = row

    def look(
        self, indexes: Iterable[IndexRecord], topics: Mapping[str, str], published: Iterable[Progress]
    ) -> Sequence[LogFault]:
        """Return the indexes to stop because their topic is not there, or not the one that they were begun on.

        Args:
            indexes: all that may be applied; those stopped already are passed over.
            topics: the id of each topic that exists; empty where the broker does not tell.
            published: the progress of all replicas, by whichever worker.
        """
        looked_at = [
            index
            for index in indexes
            if index.state is IndexState.ACTIVE and not self.is_stopped(index.uid, index.incarnation)
        ]
        self._logs, faults = look_at_logs(note_published(self._logs, published), looked_at, topics)
        return faults
