"""A controller that Kafka has shut out: how long it stands back, and that it leads again unless it is cancelled."""

import asyncio
from collections.abc import Sequence

from agents.worker.fenced import FENCED_S, FENCED_S_MAX, count_fenced, fenced_pause_s
from schemas.config import parse_settings
from schemas.errors import FencedError
from schemas.events import IndexState
from schemas.ids import IndexUid
from schemas.requests import CreateIndex, PauseIndex
from streams.log import Append
from streams.topics import CLUSTER
from tests.agents.worker.controlled import NAME, Stage
from tests.fakes.log import FakeLog, FakeLogTransactions

MOVIES = IndexUid("movies")


async def test_earlier_controller_stands_back_when_a_later_one_leads() -> None:
    """The fenced one writes nothing until it is cancelled, as it is when its partition goes; the later one answers."""
    stage = Stage()
    async with asyncio.TaskGroup() as group:
        earlier = stage.controller()
        earlier_task = group.create_task(earlier.run())
        await stage.joined("a")
        later = stage.controller()
        later_task = group.create_task(later.run())
        await stage.until(lambda: _fenced_twice(stage.log))
        await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))
        await stage.until(lambda: earlier.fenced)
        earlier_task.cancel()
        await stage.answered(PauseIndex(MOVIES, "why"))
        assert _fenced_twice(stage.log)
        assert (later.fenced, later_task.done()) == (0, False)
        later_task.cancel()

    assert earlier_task.cancelled()
    assert stage.topology.index(MOVIES).state is IndexState.PAUSED


async def test_controller_whose_transaction_expired_leads_again() -> None:
    """Kafka says the same as to one that was shut out; but nobody else leads, and its worker keeps the partition."""
    stage = Stage(fenced_s=0.01)
    expired: list[bool] = []

    class Expiring(FakeLogTransactions):
        async def commit(self, appends: Sequence[Append]) -> None:
            if not expired and any(append.key == b"index/movies" for append in appends):
                expired.append(True)
                raise FencedError("commit: ProducerFenced: or transaction timeout occurred")
            await super().commit(appends)

    stage.transactions = lambda: Expiring(stage.log, NAME)
    async with stage.controlled() as controller:
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert answer.accepted
    assert (expired, controller.fenced) == ([True], 1)


async def test_two_controllers_that_both_stay_answer_each_request_once() -> None:
    """While a worker does not hear that its partition is another's they take turns, whoever leads last for longer."""
    stage = Stage(fenced_s=0.01)
    async with stage.controlled() as one, stage.controlled() as other:
        await stage.joined("a")
        answers = [await stage.answered(CreateIndex(IndexUid(f"index{n}"), shards=1, replication=1)) for n in range(20)]

    assert one.fenced + other.fenced > 2
    assert all(answer.accepted for answer in answers)
    assert sum((record.key or b"").startswith(b"answer/") for record in stage.log.records(CLUSTER)) == 21


def test_pause_grows_up_to_its_longest() -> None:
    """The first one outlasts a worker's session, the longest one a node's failure."""
    pauses = [fenced_pause_s(FENCED_S, times) for times in (1, 2, 3, 50)]

    settings = parse_settings({})
    assert pauses == [FENCED_S, 2 * FENCED_S, 4 * FENCED_S, FENCED_S_MAX]
    assert settings.kafka_session_timeout_s < FENCED_S
    assert settings.node_failed_after_s < FENCED_S_MAX


def test_long_lead_begins_the_row_anew() -> None:
    """A commit that takes too long once a month costs the first pause each time; taking turns does not."""
    assert [count_fenced(5, led_s) for led_s in (1.0, FENCED_S_MAX + 1.0, 3 * FENCED_S_MAX)] == [6, 6, 1]


def _fenced_twice(log: FakeLog) -> bool:
    try:
        log.require_last(NAME, 2)
    except FencedError:
        return False
    return True
