"""Indexes that are stopped loudly: at once here, and by a request for everybody."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from agents.operations import OperationBatch, parse_operations
from agents.worker.loud_stops import BAD_IN_A_ROW_MAX, LoudStops
from schemas.dead_letters import DeadLetter
from schemas.events import IndexState
from schemas.ids import Offset, Partition, Position
from schemas.requests import PauseIndex, parse_request
from streams.log import Append, LogBatch, LogRecord
from tests.builders import make_index

INDEX = make_index(shards=1)


class Stopping:
    """Stops, the requests that they led to, and what happens between such a request and the word that it stands."""

    def __init__(self) -> None:
        self.appended: list[Append] = []
        self.meanwhile: list[Callable[[], None]] = []
        self.stops = LoudStops(self._append)

    async def _append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        self.appended += appends
        for meanwhile in self.meanwhile:
            meanwhile()
        return [Offset(len(self.appended) - len(appends) + at) for at in range(len(appends))]

    def pauses(self) -> list[PauseIndex]:
        """Return what was asked of the controller."""
        found = [parse_request(append.value) for append in self.appended if append.value is not None]
        return [each for each in found if isinstance(each, PauseIndex)]


def parsed(values: Sequence[bytes], start: int = 0) -> tuple[OperationBatch, Sequence[DeadLetter]]:
    """Return a batch of records with these values, each under its own key."""
    records = tuple(LogRecord(Offset(start + at), 0, b"%d" % (start + at), value) for at, value in enumerate(values))
    batch = LogBatch(INDEX.topic, Partition(0), Position(start), Position(start + len(records)), records)
    return parse_operations(batch, INDEX, document_bytes_max=1000)


async def test_stopped_index_is_held_until_its_own_state_says_so() -> None:
    """Once paused, it is its record that holds it: a resumption needs no word with this worker."""
    found = Stopping()

    await found.stops.stop(INDEX, "first")
    await found.stops.stop(INDEX, "second")
    assert [(each.uid, each.reason, each.incarnation) for each in found.pauses()] == [
        (INDEX.uid, "first", INDEX.incarnation)
    ]
    found.stops.take_states({INDEX.uid: INDEX}, Position(0))
    assert found.stops.is_stopped(INDEX.uid, INDEX.incarnation)
    found.stops.take_states({INDEX.uid: replace(INDEX, state=IndexState.PAUSED)}, Position(1))
    assert not found.stops.is_stopped(INDEX.uid, INDEX.incarnation)


async def test_index_resumed_before_its_pause_was_seen_is_let_go() -> None:
    """Pause and resumption come in one view where this worker was busy: past its request, the index's state counts."""
    found = Stopping()
    await found.stops.stop(make_index("books", incarnation=8), "other")
    await found.stops.stop(INDEX, "first")

    found.stops.take_states({INDEX.uid: INDEX}, Position(1))
    assert found.stops.is_stopped(INDEX.uid, INDEX.incarnation)
    found.stops.take_states({INDEX.uid: INDEX}, Position(3))
    assert not found.stops.is_stopped(INDEX.uid, INDEX.incarnation)


async def test_index_resumed_before_its_request_is_known_to_stand_is_let_go() -> None:
    """The answer to an append may come after everything that followed from it; no other view need come then."""
    found = Stopping()
    found.meanwhile.append(lambda: found.stops.take_states({INDEX.uid: INDEX}, Position(2)))

    await found.stops.stop(INDEX, "first")

    assert not found.stops.is_stopped(INDEX.uid, INDEX.incarnation)


async def test_paused_index_is_not_stopped_again() -> None:
    """Of several reasons the first stays."""
    found = Stopping()

    await found.stops.stop(replace(INDEX, state=IndexState.PAUSED), "again")

    assert found.appended == []


async def test_bad_records_in_a_row_stop_the_index() -> None:
    """Over batches, and only in a row: one good record begins the count anew."""
    found = Stopping()
    half = BAD_IN_A_ROW_MAX // 2

    await found.stops.count_bad(INDEX, *parsed([b"not json"] * half))
    await found.stops.count_bad(INDEX, *parsed([b'{"id": "%d"}' % half], half))
    await found.stops.count_bad(INDEX, *parsed([b"not json"] * half, half + 1))
    assert found.pauses() == []

    await found.stops.count_bad(INDEX, *parsed([b"not json"] * half, 2 * half + 1))
    (pause,) = found.pauses()
    assert "bad records in a row" in pause.reason
    assert f"miroir index resume {INDEX.uid}" in pause.reason


async def test_stopped_and_paused_indexes_are_not_looked_at() -> None:
    """What is held already is no news, whatever became of its topic."""
    found = Stopping()
    other = make_index("books", incarnation=8)
    topics = {INDEX.topic: "a", other.topic: "b"}
    assert found.stops.look([INDEX, other], topics, []) == []
    assert found.stops.log_of(INDEX.incarnation) == "a"

    renewed = {INDEX.topic: "c", other.topic: "d"}
    await found.stops.stop(INDEX, "stopped")

    assert found.stops.look([INDEX, replace(other, state=IndexState.PAUSED)], renewed, []) == []
