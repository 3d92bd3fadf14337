"""What a shard's log says of old documents, and what of it can be judged."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from agents.log_sample import BYTES_PER_S, LOG_DOCUMENTS_MAX, RECORDS_PER_S, LogSample, keep_untouched, rest_s
from agents.operations import Operation, OperationBatch
from agents.sampling import Expected, digest_written
from schemas.ids import Offset, Partition, Position, ShardId
from streams.log import LogBatch, LogRecord
from streams.marker import splice_marker
from tests.builders import make_index

SHARD = ShardId(0)
INDEX = make_index(shards=1, replication=1, primary_key="id")
BYTES_MAX = 1000
BAD = b"no document"

WRITES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([b"", BAD, b"1", b"2"])), max_size=40)


def record(at: int, key: str, text: bytes | None) -> LogRecord:
    """Return a record whose document holds the text; a delete for an empty one."""
    value = text if text == BAD else orjson.dumps({"id": key, "text": text.decode()}) if text else None
    return LogRecord(Offset(at), 0, key.encode(), value)


def batch(records: list[LogRecord]) -> LogBatch:
    """Return the records as a batch of their own."""
    start = records[0].offset if records else 0
    return LogBatch(INDEX.topic, Partition(0), Position(start), Position(start + len(records)), tuple(records))


def make_sample(*, draw: float = 0.5) -> LogSample:
    """Return a sample that has read nothing."""
    return LogSample(INDEX, SHARD, draw=draw, document_bytes_max=BYTES_MAX)


@given(WRITES)
def test_sample_expects_last_writes_but_not_those_set_aside(writes: list[tuple[int, bytes]]) -> None:
    """Deletes too, each with its place; whatever a record that was set aside came after."""
    records = [record(at, str(key), text) for at, (key, text) in enumerate(writes)]
    sample = make_sample()
    for each in records:
        sample.fold(batch([each]))

    last = {(each.key or b"").decode(): each for each in records}
    digests = {
        key: None if each.value is None else digest_written(splice_marker(each.value, SHARD))
        for key, each in last.items()
        if each.value != BAD
    }
    assert {each.id: (each.offset, each.digest) for each in sample.expected()} == {
        key: (last[key].offset, digest) for key, digest in digests.items()
    }


def test_sample_is_bounded_and_drawn() -> None:
    """A log of any length gives so many ids, others with another draw."""
    whole = batch([record(at, str(at), b"1") for at in range(5 * LOG_DOCUMENTS_MAX)])
    first, second = make_sample(draw=0.1), make_sample(draw=0.2)
    for each in (first, second):
        each.fold(whole)

    ids = [{found.id for found in each.expected()} for each in (first, second)]
    assert [len(each) for each in ids] == [LOG_DOCUMENTS_MAX, LOG_DOCUMENTS_MAX]
    assert len(ids[0] & ids[1]) < LOG_DOCUMENTS_MAX // 2


def test_keys_that_are_no_ids_and_documents_too_large_are_passed_over() -> None:
    """Nobody applied the former; the latter was set aside, or taken when more was allowed."""
    sample = make_sample()
    sample.fold(batch([LogRecord(Offset(0), 0, b"no id!", b"{}"), LogRecord(Offset(1), 0, None, b"{}")]))
    sample.fold(batch([record(2, "7", b"1"), record(3, "7", b"x" * BYTES_MAX), record(4, "8", b"1")]))
    assert [each.id for each in sample.expected()] == ["8"]


def test_what_is_written_from_the_end_on_or_was_set_aside_is_not_judged() -> None:
    """A batch of the window may begin before the end."""
    expected = [Expected(SHARD, Offset(at), str(at), None) for at in range(6)]
    written = tuple(Operation(Offset(at), 0, key, None) for at, key in ((8, "1"), (9, "2"), (10, "3"), (11, "4")))
    window = [OperationBatch(Position(8), Position(12), written, 1, 0, 4)]

    found = keep_untouched(expected, window, {Offset(5)}, end=Position(10))
    assert [each.id for each in found] == ["0", "1", "2"]


def test_reading_rests_for_many_records_and_for_large_ones() -> None:
    """Whichever limit is nearer."""
    many = batch([record(at, str(at), b"1") for at in range(1000)])
    large = batch([LogRecord(Offset(0), 0, b"1", b"x" * BYTES_PER_S)])
    assert rest_s(many) == 1000 / RECORDS_PER_S
    assert 1.0 <= rest_s(large) < 1.01
    assert rest_s(batch([])) == 0.0
