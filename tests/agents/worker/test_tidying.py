"""What deleted indexes left behind goes, and nothing else does."""

from collections.abc import Sequence

import pytest

from agents.nodes.admin import HttpNodeAdmin
from schemas.errors import LogError
from schemas.events import IndexRecord, NodeRecord, RetiredRecord
from schemas.ids import Incarnation, IndexUid, NodeId, SettingsVersion
from schemas.requests import CreateIndex, DeleteIndex
from streams.topics import docs_topic
from tests.agents.worker.controlled import Stage
from tests.fakes.log import FakeLogAdmin

MOVIES = IndexUid("movies")
TOPIC = "miroir.docs.movies"


@pytest.mark.parametrize(("owned", "topics_created"), [(True, True), (True, False), (False, True)])
async def test_topic_goes_only_where_it_was_made_and_topics_are_made_here(owned: bool, topics_created: bool) -> None:  # noqa: FBT001
    """Somebody else's topic is somebody else's to delete; the index is forgotten all the same."""
    stage = Stage()
    stage.log.create(docs_topic(TOPIC, 1))
    stage.put(RetiredRecord(MOVIES, Incarnation(1), TOPIC, topic_owned=owned))
    async with stage.controlled(topics_created=topics_created):
        await stage.until(lambda: not any(stage.topology.retired()))
    assert (TOPIC in stage.log.topics()) == (not owned or not topics_created)


async def test_topic_that_may_not_be_deleted_stays_and_the_index_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """Permissions are the operator's matter: it is said once, and not tried for ever."""
    stage = Stage()
    stage.admin = _KeepingAdmin(stage.log)
    async with stage.controlled():
        await stage.joined("a")
        assert (await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))).accepted
        assert (await stage.answered(DeleteIndex(MOVIES))).accepted
        await stage.until(lambda: not any(stage.topology.retired()))
    assert TOPIC in stage.log.topics()
    assert [record.message for record in caplog.records].count("a deleted index's topic stays") == 1


async def test_topic_of_an_index_that_another_controller_made_again_stays() -> None:
    """Whoever slept, here since it had folded the log, knows only that one was deleted whose topic had this name."""

    class Overtaken(Stage):
        def _admin(self, node: NodeRecord) -> HttpNodeAdmin:
            if not self.topology.indexes:
                self.put(IndexRecord(MOVIES, Incarnation(9), "miroir.docs.movies", 1, 1, SettingsVersion(9), 0, 0))
            return super()._admin(node)

    stage = Overtaken(fenced_s=0.01)
    stage.log.create(docs_topic("miroir.docs.movies", 1))
    stage.put(RetiredRecord(MOVIES, Incarnation(1), "miroir.docs.movies", topic_owned=True))
    stage.put(NodeRecord(NodeId("a"), "http://a:7700"))
    async with stage.controlled() as controller:
        await stage.until(lambda: not any(stage.topology.retired()))
    assert (controller.fenced, "miroir.docs.movies" in stage.log.topics()) == (1, True)


class _KeepingAdmin(FakeLogAdmin):
    async def delete(self, names: Sequence[str]) -> None:
        raise LogError(f"not authorized to delete {names}")
