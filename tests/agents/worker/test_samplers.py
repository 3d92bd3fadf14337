"""Both samplers of a worker run as often as its settings say."""

import asyncio
from collections.abc import Sequence

from agents.operations import build_letter
from agents.worker.samplers import Samplers
from agents.worker.set_aside import NODE_REFUSED, DeadLetters
from schemas.config import parse_settings
from schemas.dead_letters import DeadLetter
from streams.log import TopicSpec
from streams.topics import REQUESTS
from tests.agents.worker.sampled import INDEX, PLACE, Shard
from tests.background import background
from tests.fakes.log import FakeLogReader, FakeLogWriter


def make_samplers(
    shard: Shard, *, interval_s: float, old_interval_s: float, letters: Sequence[DeadLetter] = ()
) -> Samplers:
    """Return what looks at the shard's copies."""
    dead = DeadLetters(FakeLogWriter(shard.log), lambda: FakeLogReader(shard.log), shard.metrics)
    dead.note(letters)
    shard.log.create(TopicSpec(REQUESTS, 1, {}))
    settings = parse_settings(
        {"MIROIR_SAMPLE_INTERVAL_S": str(interval_s), "MIROIR_SAMPLE_OLD_INTERVAL_S": str(old_interval_s)}
    )
    return Samplers(
        settings,
        shard.places,
        has_other=lambda _: True,
        dead=dead,
        make_reader=lambda: FakeLogReader(shard.log),
        metrics=shard.metrics,
        draw=lambda: 0.0,
        now_ms=lambda: 0,
    )


async def test_samplers_that_are_off_look_at_nothing() -> None:
    """And their task is over."""
    await make_samplers(Shard(), interval_s=0, old_interval_s=0).run()


async def test_old_documents_are_looked_at_beside_last_writes() -> None:
    """A difference shows, and a copy is asked to be made anew."""
    shard = Shard()
    await shard.begin()
    first = shard.copies[0]
    first.spoil(3, "wrong")
    samplers = make_samplers(shard, interval_s=0, old_interval_s=0.01)
    async with background(samplers.run()), asyncio.timeout(60):
        while not shard.log.records(REQUESTS):  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.01)

    assert samplers.differing(first.replica) == 1


async def test_old_record_with_a_dead_letter_is_not_judged() -> None:
    """A node that lacks it is as it should be."""
    shard = Shard()
    await shard.begin()
    first = shard.copies[0]
    first.spoil(3, None)
    record = shard.log.records(INDEX.topic)[3]
    letter = build_letter(
        PLACE, record, uid=INDEX.uid, incarnation=INDEX.incarnation, reason=NODE_REFUSED, message="refused"
    )
    samplers = make_samplers(shard, interval_s=0, old_interval_s=0.01, letters=[letter])
    async with background(samplers.run()), asyncio.timeout(60):
        while not shard.counted():  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)

    assert samplers.differing(first.replica) == 0


async def test_last_writes_are_looked_at_where_old_documents_are_not() -> None:
    """The other one alone."""
    shard = Shard()
    await shard.begin()
    shard.write(3, "newer")
    await shard.feed_all()
    first = shard.copies[0]
    first.spoil(3, "wrong")
    samplers = make_samplers(shard, interval_s=0.01, old_interval_s=0)
    async with background(samplers.run()), asyncio.timeout(60):
        while not samplers.differing(first.replica):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)

    assert len(shard.log.records(REQUESTS)) == 1
