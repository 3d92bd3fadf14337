"""The tasks topic: one record for each task that a client of the HTTP API was given.

What always holds: the record's offset is the ``taskUid``; it is written after what it names has been acknowledged by
Kafka, and never changed: status follows from progress, answers and dead letters. Who calls it: the query service. It
must not know: how a status is derived.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import ConfigDict

from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position
from schemas.wire import STRICT, build, parse


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What a client asked for.

    Attributes:
        type: Meilisearch's word: ``documentAdditionOrUpdate``, ``indexCreation`` …
        index: None for a task of no index.
        incarnation: None where the index was not there yet.
        enqueued_ms: milliseconds since 1970.
        request: offset in the requests topic that must have been accepted, or None.
        ranges: positions ``[start, end)`` of each partition that must have become visible.
        pieces: of those partitions where records of others lie between the task's own: the positions ``[start, end)``
            of its own, in order.
        details: Meilisearch's ``details``, as far as known when it was written.
        custom_metadata: the user's own.
        error_code: why the whole post was refused before anything of it was produced, as Meilisearch's error code;
            empty otherwise. Such a task has failed.
        error_message: the text to it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    type: str
    index: IndexUid | None
    incarnation: Incarnation | None
    enqueued_ms: int
    request: Offset | None = None
    ranges: Mapping[Partition, tuple[Position, Position]] = field(default_factory=dict)
    pieces: Mapping[Partition, tuple[tuple[Position, Position], ...]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)  # Meilisearch owns the shape
    custom_metadata: str | None = None
    error_code: str = ""
    error_message: str = ""


def build_task(task: TaskRecord) -> bytes:
    """Return the record's value."""
    return build(task)


def parse_task(data: bytes) -> TaskRecord:
    """Return what a record's value holds.

    Raises:
        InvalidInputError: it is not of this form.
    """
    return parse(TaskRecord, data)
