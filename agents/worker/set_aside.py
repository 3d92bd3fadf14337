"""Records set aside: what is known of the dead topic, and writing to it.

Everything is kept by incarnation: an index made anew under the same name, or over the same topic, has nothing to do
with what an earlier one refused. What always holds: a letter is in the log before anything after its record can be
posted; a letter that is known is not written again. Who calls it: the applier. It must not know: feeders.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from agents.operations import Operation, build_letter
from agents.worker.feed import Feed
from agents.worker.metrics import WorkerMetrics
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key
from schemas.errors import LogError, LogUnavailableError
from schemas.ids import Incarnation, Offset, Partition, Position
from streams.log import Append, LogReader, LogRecord, LogWriter, TopicPartition
from streams.topics import DEAD

NODE_REFUSED = "node_refused"
"""The reason of a record that passed our own checks, and that a node has refused."""

RETRY_S = 1.0
"""Between two tries to append while no broker answers."""

READ_S = 5.0
"""How long a refused record may take to be read again: it stands at a known place."""

_log = logging.getLogger(__name__)

_Place = tuple[Incarnation, TopicPartition]


class DeadLetters:
    """All records of the owned partitions that were set aside, by whichever worker.

    Args:
        log: appends the letters.
        make_reader: makes a reader for one refused record.
        metrics: counts them.
    """

    def __init__(self, log: LogWriter, make_reader: Callable[[], LogReader], metrics: WorkerMetrics) -> None:
        self._log = log
        self._make_reader = make_reader
        self._metrics = metrics
        self._known: dict[_Place, set[Offset]] = {}
        self._condemned: dict[_Place, set[Offset]] = {}

    def note(self, letters: Sequence[DeadLetter]) -> None:
        """Remember what stands in the dead topic."""
        for letter in letters:
            place = (letter.incarnation, TopicPartition(letter.topic, letter.partition))
            self._known.setdefault(place, set()).add(letter.offset)
            if letter.reason == NODE_REFUSED:
                self._condemned.setdefault(place, set()).add(letter.offset)

    def condemned(self, feed: Feed) -> AbstractSet[Offset]:
        """Return the records that a node has refused: they act as deletes."""
        return self._condemned.get(_place(feed), frozenset())

    def known(self, feed: Feed) -> AbstractSet[Offset]:
        """Return the records that were set aside, whatever the reason."""
        return self._known.get(_place(feed), frozenset())

    async def set_aside(self, feed: Feed, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        """Append those that are not known, however long it takes, and return them."""
        known = self._known.setdefault(_place(feed), set())
        fresh = [letter for letter in letters if letter.offset not in known]
        if not fresh:
            return ()
        await self.append(
            [Append(DEAD, Partition(0), build_dead_letter_key(each), build_dead_letter(each)) for each in fresh]
        )
        known.update(letter.offset for letter in fresh)
        for letter in fresh:
            self._metrics.dead.labels(index=letter.uid, reason=letter.reason).inc()
        return fresh

    async def condemn(self, feed: Feed, operation: Operation, message: str) -> None:
        """Set aside a record that a node has refused, as it stands in the log."""
        record = await self._read_again(feed, operation)
        letter = build_letter(
            feed.partition, record, uid=feed.uid, incarnation=feed.incarnation, reason=NODE_REFUSED, message=message
        )
        await self.set_aside(feed, [letter])
        self._condemned.setdefault(_place(feed), set()).add(operation.offset)

    async def _read_again(self, feed: Feed, operation: Operation) -> LogRecord:
        """Return the record as it came; with the marker in it where the log cannot be read."""
        reader = self._make_reader()
        try:
            await reader.assign({feed.partition: Position(operation.offset)})
            for batch in await reader.read(timeout_s=READ_S, records_max=1):
                for record in batch.records:
                    if record.offset == operation.offset:
                        return record
        except LogError:
            _log.warning("refused record cannot be read again", extra={"offset": operation.offset})
        finally:
            await reader.close()
        return LogRecord(operation.offset, operation.timestamp_ms, operation.id.encode(), operation.document)

    async def append(self, appends: Sequence[Append]) -> None:
        """Append, however long it takes: what comes after a dead record must wait for its letter.

        Raises:
            RecordTooLargeError: one is larger than the broker takes; letters are bounded far below Kafka's default.
        """
        await self.place(appends)

    async def place(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append, however long it takes, and return where each stands; see ``append``."""
        while True:
            try:
                return await self._log.append(appends)
            except LogUnavailableError as error:
                _log.warning("dead letters wait for the log", extra={"reason": str(error)})
                await asyncio.sleep(RETRY_S)


def _place(feed: Feed) -> _Place:
    return feed.incarnation, feed.partition
