"""Records become operations: the same on every worker, bad ones as deletes with their reason."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.operations import parse_operations
from schemas.events import IndexRecord, PartitionerName
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, SettingsVersion
from streams.log import LogBatch, LogRecord
from streams.marker import marker_of
from streams.partitioning import partition_of

INDEX = IndexRecord(
    uid=IndexUid("films"),
    incarnation=Incarnation(3),
    topic="miroir.docs.films",
    shards=1,
    replication=1,
    settings_version=SettingsVersion(3),
    created_ms=0,
    updated_ms=0,
    primary_key="id",
)


def make_batch(*rows: tuple[bytes | None, bytes | None], partition: int = 0) -> LogBatch:
    """Return a batch of records at offsets from 10 on."""
    records = tuple(LogRecord(Offset(10 + i), 1000 + i, key, value) for i, (key, value) in enumerate(rows))
    return LogBatch(INDEX.topic, Partition(partition), Position(10), Position(10 + len(rows)), records)


def test_document_becomes_an_operation_with_its_marker() -> None:
    """A good record replaces the document of its key, and carries its shard."""
    batch, dead = parse_operations(make_batch((b"7", b'{"id": 7, "a": 1}')), INDEX, document_bytes_max=1000)

    (operation,) = batch.operations
    assert operation.document is not None
    assert orjson.loads(operation.document) == {"_miroir": marker_of(0), "id": 7, "a": 1}  # type: ignore[arg-type]
    assert (operation.offset, operation.id, dead) == (10, "7", ())
    assert (batch.start, batch.end) == (10, 11)


@pytest.mark.parametrize(
    ("key", "value", "reason", "deletes"),
    [
        pytest.param(b"7", b"{", "not_json", True, id="not JSON"),
        pytest.param(b"7", b"null", "not_an_object", True, id="the text null"),
        pytest.param(b"7", b"[1]", "not_an_object", True, id="an array"),
        pytest.param(b"7", b'{"id": 8}', "id_disagrees", True, id="another id"),
        pytest.param(b"7", b'{"id": 1.5}', "invalid_id", True, id="id of a wrong type"),
        pytest.param(b"7", b'{"_miroir": "x"}', "reserved_field", True, id="reserved"),
        pytest.param(b"7", b'{"_geo": 1}', "invalid_geo", True, id="geo"),
        pytest.param(b"7", b'{"a": "' + b"x" * 1000 + b'"}', "too_large", True, id="too large"),
        pytest.param(b"7", b'{"a": "\\ud800"}', "not_json", True, id="lone surrogate"),
        pytest.param(None, b"{}", "null_key", False, id="no key"),
        pytest.param(b"a b", b"{}", "invalid_id", False, id="bad characters"),
        pytest.param(b"\x00\x00\x00\x00\x00\x00\x00\x07", b"{}", "key_binary_integer", False, id="eight bytes"),
        pytest.param(b"\x00\x00\x00\x07", b"{}", "key_binary_integer", False, id="four bytes"),
        pytest.param(b'"7"', b"{}", "key_json_string", False, id="JSON string"),
        pytest.param(b'{"id":7}', b"{}", "key_struct", False, id="Debezium struct"),
    ],
)
def test_bad_record_is_set_aside_and_deletes_its_key(
    key: bytes | None,
    value: bytes,
    reason: str,
    deletes: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Each fault has its reason; where the key is good its document goes, on every replica alike."""
    batch, (letter,) = parse_operations(make_batch((key, value)), INDEX, document_bytes_max=900)

    assert letter.reason == reason
    assert [(o.id, o.document) for o in batch.operations] == ([("7", None)] if deletes else [])
    assert (batch.bad_last, batch.records) == (1, 1)


def test_tombstone_deletes_without_a_dead_letter() -> None:
    """A null value is a delete and nothing else."""
    batch, dead = parse_operations(make_batch((b"7", None)), INDEX, document_bytes_max=900)

    assert [(o.id, o.document) for o in batch.operations] == [("7", None)]
    assert (dead, batch.bad_last) == ((), 0)


def test_misrouted_record_does_nothing_here() -> None:
    """A record in another partition than its key's is set aside; no shard gets its document."""
    two = IndexRecord(**{field: getattr(INDEX, field) for field in INDEX.__slots__} | {"shards": 2})
    wrong = 1 - partition_of(b"7", 2, PartitionerName.MURMUR2)

    batch, (letter,) = parse_operations(make_batch((b"7", b'{"id":7}'), partition=wrong), two, document_bytes_max=900)

    assert (letter.reason, batch.operations) == ("misrouted", ())
    assert "murmur2" in letter.message


def test_condemned_record_deletes_and_has_its_letter_already() -> None:
    """What a node has refused acts as a delete in every later reading."""
    batch, dead = parse_operations(
        make_batch((b"7", b'{"id":7}')), INDEX, condemned={Offset(10)}, document_bytes_max=900
    )

    assert [(o.id, o.document) for o in batch.operations] == [("7", None)]
    assert dead == ()


def test_bad_records_in_a_row_are_counted_at_the_end() -> None:
    """Only an unbroken run up to the batch's end counts."""
    rows = [(b"1", b"{"), (b"2", b"{}"), (b"3", b"{"), (b"4", b"{")]

    batch, _ = parse_operations(make_batch(*rows), INDEX, document_bytes_max=900)

    assert (batch.bad_last, batch.records) == (2, 4)


@given(st.binary(max_size=40) | st.none(), st.binary(max_size=60) | st.none())
def test_any_record_is_read_without_an_error(key: bytes | None, value: bytes | None) -> None:
    """Whatever a producer sends is an operation, a dead letter, or both."""
    batch, dead = parse_operations(make_batch((key, value)), INDEX, document_bytes_max=900)

    assert len(batch.operations) + len(dead) >= 1
    assert len(batch.operations) <= 1
