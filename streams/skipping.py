"""Records of the tasks, progress and dead topics that cannot be read: told apart from the others, and passed over.

Each of those stands for one thing: one client's task, what was last seen of one copy, one record set aside. A reader
that stopped there would stop for all the others, and again after every start, for as long as the record is kept. The
cluster topic is another matter: what one of its records says holds for everything, so that half a cluster would be read
from and written to in the wrong places. There a reader stops, and no record is passed over here.

What always holds: what is left has the positions that it had; what is passed over is named by its place. Who calls it:
query services, workers and the controller, where they fold. It must not know: how anybody is told.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from schemas.dead_letters import build_dead_letter_key, parse_dead_letter
from schemas.errors import InvalidInputError
from schemas.ids import Offset, Partition
from schemas.progress import parse_progress
from schemas.tasks import parse_task
from streams.log import LogBatch, LogRecord
from streams.topics import DEAD, PROGRESS, TASKS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is passed over: where it stands, and what was expected and found."""

    topic: str
    partition: Partition
    offset: Offset
    reason: str


def fold_readable(batches: Sequence[LogBatch], fold: Callable[[Sequence[LogBatch]], T]) -> tuple[T, Sequence[Skipped]]:
    """Return what ``fold`` makes of the records that can be read, and the others.

    Args:
        batches: in order.
        fold: may be called a second time, without the others: what it has changed the first time must not matter.

    Raises:
        InvalidInputError: ``fold`` does not take a record that may not be passed over.
    """
    try:
        # Looking at each record before it is folded would parse all of them twice, for one that hardly ever comes.
        return fold(batches), ()
    except InvalidInputError:
        readable, skipped = split_readable(batches)
        return fold(readable), skipped


def split_readable(batches: Iterable[LogBatch]) -> tuple[Sequence[LogBatch], Sequence[Skipped]]:
    """Return the batches with what can be read of them, and the records that cannot; of other topics all can."""
    readable: list[LogBatch] = []
    skipped: list[Skipped] = []
    for batch in batches:
        faults = {
            record.offset: fault for record in batch.records if (fault := _fault(batch.topic, record)) is not None
        }
        kept = tuple(record for record in batch.records if record.offset not in faults)
        readable.append(replace(batch, records=kept))
        skipped += [Skipped(batch.topic, batch.partition, offset, fault) for offset, fault in faults.items()]
    return readable, skipped


def count_topics(skipped: Iterable[Skipped]) -> Mapping[str, int]:
    """Return how many of the records stand in each topic."""
    return Counter(each.topic for each in skipped)


def _fault(topic: str, record: LogRecord) -> str | None:
    check = _CHECKS.get(topic)
    try:
        if check is not None:
            check(record)
    except InvalidInputError as error:
        return str(error)
    return None


def _check_task(record: LogRecord) -> None:
    if record.value is not None:
        parse_task(record.value)


def _check_progress(record: LogRecord) -> None:
    if record.value is not None:
        parse_progress(record.value)


def _check_dead(record: LogRecord) -> None:
    """A letter is looked up by its key, which must be its own, also where it is taken away."""
    key = record.key or b""
    if record.value is None:
        try:
            key.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"DeadLetter: key: {error}") from error
    elif (wanted := build_dead_letter_key(parse_dead_letter(record.value))) != key:
        raise InvalidInputError(f"DeadLetter: key: expected {wanted!r}, found {key!r:.60}")


_CHECKS: Mapping[str, Callable[[LogRecord], None]] = {
    DEAD: _check_dead,
    PROGRESS: _check_progress,
    TASKS: _check_task,
}
