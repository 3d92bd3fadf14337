"""Records of one partition, read as operations on one shard: the first step of applying the log.

What always holds: a record gives the same operation, or the same dead letter, on every worker and in every rebuild; a
dead record with a good key acts as a delete of it; one in the wrong partition acts as nothing here. Who calls it: the
live stream and the replay alike. It must not know: replicas, posts, or which records were seen before.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from schemas.dead_letters import DeadLetter, encode_bytes
from schemas.document_ids import parse_key
from schemas.documents import parse_document
from schemas.errors import InvalidDocumentError
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, ShardId
from streams.log import LogBatch, LogRecord, TopicPartition
from streams.marker import splice_marker
from streams.partitioning import partition_of

DEAD_VALUE_BYTES_MAX = 256 * 1024
"""A larger value is not copied into its dead letter, which would not fit a broker's default record size in base64."""

DEAD_KEY_BYTES_MAX = 16 * 1024
"""The same for a key: an id has at most 511 bytes, so such a key is no id in another form but something else."""

DEAD_MESSAGE_CHARS_MAX = 10_000
"""A longer text is cut: it may quote a field's name, or a value in a node's words, that is as long as the document."""

OPERATION_BYTES = 160
"""What an operation costs in memory beside its document: the tuple, the id, the numbers."""


class Operation(NamedTuple):
    """What one record does: ``document``, marker and all, replaces the id's document; None deletes it."""

    offset: Offset
    timestamp_ms: int
    id: str
    document: bytes | None


@dataclass(frozen=True, slots=True)
class OperationBatch:
    """Positions ``[start, end)`` of one shard as operations, by offset; ``bytes_held`` is about what it keeps alive."""

    start: Position
    end: Position
    operations: tuple[Operation, ...]
    bytes_held: int
    bad_last: int
    """How many of the last records, in a row, were dead; all of them where it equals ``records``."""
    records: int


def parse_operations(
    batch: LogBatch, index: IndexRecord, *, condemned: Collection[Offset] = (), document_bytes_max: int
) -> tuple[OperationBatch, tuple[DeadLetter, ...]]:
    """Return what a batch of the index's topic does to its shard, and the records that are to be set aside.

    Args:
        batch: of one partition of the index's topic.
        index: with its primary key known.
        condemned: offsets of records that a node has refused: they act as deletes, and have their dead letters already.
        document_bytes_max: a larger document fits in no post.
    """
    assert index.primary_key is not None, "nothing is applied before the primary key is known"
    shard = ShardId(batch.partition)
    operations: list[Operation] = []
    dead: list[DeadLetter] = []
    held = bad_last = 0
    for record in batch.records:
        offset, timestamp_ms, key, value = record
        bad_last += 1
        try:
            document_id = parse_key(key)
            if (right := partition_of(key or b"", index.shards, index.partitioner)) != batch.partition:
                raise _misrouted(shard, right, index)
        except InvalidDocumentError as fault:
            dead.append(_dead_letter(batch, record, index, fault))
            continue
        document: bytes | None = None
        if value is None or offset in condemned:
            bad_last = 0
        else:
            try:
                if len(value) > document_bytes_max:
                    raise _too_large(len(value), document_bytes_max)
                document = splice_marker(parse_document(document_id, value, index.primary_key), shard)
                bad_last = 0
            except InvalidDocumentError as fault:
                dead.append(_dead_letter(batch, record, index, fault))
        held += OPERATION_BYTES + len(document or b"")
        operations.append(Operation(offset, timestamp_ms, document_id, document))
    parsed = OperationBatch(batch.start, batch.end, tuple(operations), held, bad_last, len(batch.records))
    return parsed, tuple(dead)


def _too_large(found: int, document_bytes_max: int) -> InvalidDocumentError:
    return InvalidDocumentError("too_large", f"{found} bytes; a document has at most {document_bytes_max}")


def _misrouted(shard: ShardId, right: Partition, index: IndexRecord) -> InvalidDocumentError:
    return InvalidDocumentError(
        "misrouted",
        f"partition {shard} found, {right} expected by the index's partitioner {index.partitioner};"
        " set the producer's partitioner to it, then produce the record again, as `miroir dead replay` does",
    )


def _dead_letter(batch: LogBatch, record: LogRecord, index: IndexRecord, fault: InvalidDocumentError) -> DeadLetter:
    return build_letter(
        TopicPartition(batch.topic, batch.partition),
        record,
        uid=index.uid,
        incarnation=index.incarnation,
        reason=fault.reason,
        message=str(fault),
    )


def build_letter(
    partition: TopicPartition,
    record: LogRecord,
    *,
    uid: IndexUid,
    incarnation: Incarnation,
    reason: str,
    message: str,
) -> DeadLetter:
    """Return the dead letter of a record, always of a size that Kafka takes where nobody has changed its default.

    A key or a value that is too large is left out, and the text says so.

    Args:
        partition: where the record stands.
        record: as it came.
        uid: of the index.
        incarnation: of the index.
        reason: the stable code.
        message: what was expected and found.
    """
    key, value, message = record.key, record.value, message[:DEAD_MESSAGE_CHARS_MAX]
    if key is not None and len(key) > DEAD_KEY_BYTES_MAX:
        message += f"; the key has {len(key)} bytes and is not kept here"
        key = None
    if value is not None and len(value) > DEAD_VALUE_BYTES_MAX:
        message += f"; the value has {len(value)} bytes and is not kept here"
        value = None
    return DeadLetter(
        topic=partition.topic,
        partition=partition.partition,
        offset=record.offset,
        uid=uid,
        incarnation=incarnation,
        reason=reason,
        message=message,
        key=encode_bytes(key),
        value=encode_bytes(value),
        timestamp_ms=record.timestamp_ms,
    )
