"""What a query service appends: in order, to the right partition, waiting for what must be decided first."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.http.views import Views
from query.http.writes import Keyed, Writes, produced_at, task_now
from schemas.errors import InvalidRequestError, LogUnavailableError
from schemas.events import AnswerRecord, ClusterValue, ControllerRecord, IndexRecord, build_key, build_value
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, SettingsVersion
from schemas.requests import DeleteIndex, parse_request
from schemas.tasks import parse_task
from streams.log import Append, LogBatch, LogRecord
from streams.partitioning import partition_of
from streams.topics import CLUSTER, REQUESTS, TASKS, docs_topic, own_topics
from tests.fakes.log import FakeLog, FakeLogWriter

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(3), "miroir.docs.films", 3, 1, SettingsVersion(3), 0, 0, primary_key="id"
)


class Desk:
    """Writes over a log in memory, with views that a test folds by hand."""

    def __init__(self) -> None:
        self.log = FakeLog()
        for spec in (*own_topics(), docs_topic(INDEX.topic, INDEX.shards)):
            self.log.create(spec)
        self.views = Views(lag_records_max=0, away=frozenset)
        self.writes = Writes(FakeLogWriter(self.log), self.views)
        self._folded = 0

    def decide(self, request: int, *, accepted: bool = True) -> None:
        """Let the controller answer a request."""
        values: tuple[ClusterValue, ...] = (
            AnswerRecord(Offset(request), accepted),
            ControllerRecord(Position(request + 1)),
        )
        records = tuple(
            LogRecord(Offset(self._folded + n), 0, build_key(value).encode(), build_value(value))
            for n, value in enumerate(values)
        )
        start, self._folded = self._folded, self._folded + len(records)
        self.views.fold([LogBatch(CLUSTER, Partition(0), Position(start), Position(self._folded), records)])


keyed = st.lists(st.builds(Keyed, st.sampled_from([b"1", b"2", b"3", b"a-b"]), st.none() | st.binary(max_size=3)))


@given(keyed)
async def test_documents_stand_in_their_keys_partition_in_the_order_given(records: list[Keyed]) -> None:
    """The ranges hold exactly them, where nobody else writes, and the last offsets are the ranges' last."""
    desk = Desk()
    produced = await desk.writes.append_documents(INDEX, records)

    for shard in map(Partition, range(INDEX.shards)):
        mine = [each for each in records if partition_of(each.key, INDEX.shards, INDEX.partitioner) == shard]
        assert [(r.key, r.value) for r in desk.log.records(INDEX.topic, shard)] == [(e.key, e.value) for e in mine]
        assert produced.ranges.get(shard) == ((0, len(mine)) if mine else None)
        assert produced.last.get(shard) == (len(mine) - 1 if mine else None)


@given(st.lists(st.integers(0, 40), unique=True, min_size=1).map(sorted))
def test_pieces_hold_exactly_a_posts_own_offsets(offsets: list[int]) -> None:
    """Named only where records of others lie between them; the range reaches from the first to the last."""
    partition = Partition(1)
    produced = produced_at([(partition, Offset(offset)) for offset in offsets])

    start, end = produced.ranges[partition]
    assert (start, end, produced.last[partition]) == (offsets[0], offsets[-1] + 1, offsets[-1])
    assert (partition in produced.pieces) == (len(offsets) < end - start)
    pieces = produced.pieces.get(partition, ((start, end),))
    assert [offset for first, last in pieces for offset in range(first, last)] == offsets
    assert all(one[1] < other[0] for one, other in pairwise(pieces))


async def test_task_is_read_back_under_its_uid() -> None:
    """The uid a client is given is the offset of the task's record."""
    desk = Desk()
    await desk.writes.append_task(task_now("indexCreation", None))
    task = task_now("documentDeletion", INDEX.uid, details={"providedIds": 1}, custom_metadata="mine")

    uid = await desk.writes.append_task(task)

    assert uid == 1
    assert parse_task(desk.log.records(TASKS)[uid].value or b"") == task


async def test_settled_index_waits_for_this_processs_own_requests() -> None:
    """A post behind a deletion goes to what the deletion has left."""
    desk = Desk()
    offset = await desk.writes.append_request(DeleteIndex(INDEX.uid))
    waiting = asyncio.ensure_future(desk.writes.settled_index(INDEX.uid))
    await asyncio.sleep(0)
    assert not waiting.done()

    desk.decide(offset)

    assert await waiting is None
    assert parse_request(desk.log.records(REQUESTS)[offset].value or b"") == DeleteIndex(INDEX.uid)
    assert await desk.writes.settled_index(IndexUid("another")) is None


async def test_request_that_nobody_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a worker a post does not wait for ever, and a caller that asks for the answer gets none."""
    monkeypatch.setattr("query.http.writes.ANSWER_WAIT_S", 0.01)
    desk = Desk()

    with pytest.raises(InvalidRequestError, match="is a worker running"):
        await desk.writes.change_index(INDEX.uid, DeleteIndex(INDEX.uid))
    assert await desk.writes.answer_to(Offset(0), timeout_s=0.01) is None


async def test_answer_is_returned_once_it_is_there() -> None:
    """With what the controller said."""
    desk = Desk()
    offset = await desk.writes.append_request(DeleteIndex(INDEX.uid))
    desk.decide(offset, accepted=False)

    answer = await desk.writes.answer_to(offset)

    assert answer is not None
    assert not answer.accepted


async def test_append_with_kafka_away_is_told() -> None:
    """Nothing is kept for later: the client knows, and tries again."""
    desk = Desk()
    desk.log.append(Append(TASKS, Partition(0), None, b"{}"))
    desk.log.away = True

    with pytest.raises(LogUnavailableError):
        await desk.writes.append_documents(INDEX, [Keyed(b"1", b"{}")])
