"""The controller where a request's topics cannot be made or looked at: the reason is the answer."""

from collections.abc import Mapping, Sequence

from schemas.errors import LogError
from schemas.ids import IndexUid, Partition
from schemas.requests import CreateIndex, PauseIndex
from streams.log import TopicFound, TopicPartition, TopicSpec
from tests.agents.worker.controlled import Stage
from tests.fakes.log import FakeLogAdmin

MOVIES = IndexUid("movies")


async def test_topic_creation_that_is_refused_is_the_answer() -> None:
    """Permissions are the operator's matter: the reason is said, and the next request is answered."""
    stage = Stage()
    stage.admin = _RefusingAdmin(stage.log)
    async with stage.controlled():
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert (answer.accepted, answer.code, answer.message) == (False, "topic_not_created", "not authorized")
    assert not stage.topology.indexes


async def test_topic_that_cannot_be_looked_at_is_the_answer() -> None:
    """A name that is none, or no permission: the reason is said, and the next request is answered."""
    stage = Stage()
    stage.admin = _RefusingAdmin(stage.log)
    async with stage.controlled():
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, topic="secret"))
        after = await stage.answered(PauseIndex(MOVIES, "why"))

    assert (answer.accepted, answer.code, answer.message) == (False, "topic_not_seen", "may not be seen")
    assert after.code == "index_not_found"


async def test_topic_that_no_broker_leads_is_the_answer() -> None:
    """Its brokers may be away for long, and requests that have nothing to do with it wait behind."""
    stage = Stage()
    stage.log.create(TopicSpec("films", 2, {}))
    stage.log.leaderless.add(TopicPartition("films", Partition(1)))
    async with stage.controlled():
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, topic="films"))
        after = await stage.answered(PauseIndex(MOVIES, "why"))

    assert (answer.accepted, answer.code) == (False, "topic_not_seen")
    assert answer.message == "no broker leads films/1: ask again when one does"
    assert after.code == "index_not_found"


class _RefusingAdmin(FakeLogAdmin):
    async def describe(self, names: Sequence[str]) -> Mapping[str, TopicFound]:
        if "secret" in names:
            raise LogError("may not be seen")
        return await super().describe(names)

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        if specs:
            raise LogError("not authorized")
