"""A new log for an index: one commit, and only where it can be right."""

from dataclasses import replace

import pytest

from agents.reconcile import topics_to_delete
from schemas.events import FormerRecord, IndexRecord, IndexState, RetiredRecord, SettingsRecord
from schemas.ids import Incarnation, IndexUid, Position, SettingsVersion, ShardId
from schemas.requests import DeleteIndex, PauseIndex, ReplaceLog, ResumeIndex, RetireFormer, UpdateSettings
from streams.serving import searched_topology
from tests.agents.clusters import MOVIES, World, topic, world_with_index

NEW = "miroir.gen.3.movies"
REQUEST = ReplaceLog(MOVIES, NEW, Incarnation(1), {ShardId(0): Position(7)}, {ShardId(0): Position(5)})


def paused() -> World:
    """Return a cluster whose index has settings of its own, is paused, and has a topic waiting for it."""
    made = world_with_index("id")
    made.answer(UpdateSettings(MOVIES, {"sortableAttributes": ["year"]}), 2)
    made.answer(PauseIndex(MOVIES, "its log was trimmed"), 3)
    made.topics[NEW] = topic(NEW, empty=False)
    return made


def test_replace_log_begins_the_index_anew_over_the_topic() -> None:
    """Another incarnation with the same settings, shards and copies, applied at once; the former is placed no more."""
    made = paused()
    before = made.topology.index(MOVIES)

    made.answer(REQUEST, 9)

    index = made.topology.index(MOVIES)
    assert (index.incarnation, index.topic, index.topic_owned) == (Incarnation(9), NEW, True)
    assert (index.state, index.settings_version) == (IndexState.ACTIVE, SettingsVersion(9))
    assert "`miroir log reseed movies`" in index.reason
    assert (index.shards, index.replication, index.primary_key) == (before.shards, before.replication, "id")
    settings = made.topology.settings(MOVIES)
    assert isinstance(settings, SettingsRecord)
    assert (settings.incarnation, settings.version) == (Incarnation(9), SettingsVersion(9))
    assert settings.settings["sortableAttributes"] == ["year"]
    assert {len(made.topology.replicas_of(MOVIES, ShardId(shard))) for shard in range(3)} == {2}


def test_former_copies_answer_searches_until_they_are_retired() -> None:
    """At first they are searched, then by nobody, then they go; the topic, to which somebody may write, is left."""
    made = paused()
    former = made.topology.index(MOVIES)
    silence = RetireFormer(MOVIES, Incarnation(1))
    remove = RetireFormer(MOVIES, Incarnation(1), remove=True)

    made.answer(REQUEST, 9)
    searched = searched_topology(made.topology)
    assert searched.index(MOVIES) == former
    assert {len(searched.replicas_of(MOVIES, ShardId(shard))) for shard in range(3)} == {2}
    kept = FormerRecord(former, carried=REQUEST.carried, seeded=REQUEST.seeded)
    assert made.topology.former(MOVIES) == kept

    assert made.decide(remove, 10).answer.code == "former_answers"
    made.answer(silence, 10)
    assert made.topology.former(MOVIES) == replace(kept, answers=False)
    assert searched_topology(made.topology) is made.topology
    assert made.topology.index(MOVIES).reason == ""
    assert list(made.topology.retired()) == []

    made.answer(remove, 11)
    assert made.topology.former(MOVIES) is None
    assert list(made.topology.retired()) == [RetiredRecord(MOVIES, Incarnation(1), former.topic, topic_owned=False)]
    assert topics_to_delete(made.topology) == ()
    assert not [key for key in made.topology.entities if key.startswith("replica/movies/1/")]

    assert made.answer(remove, 12).answer.accepted


def test_replace_log_waits_for_former_copies_to_go() -> None:
    """Two logs at once are enough; deleting the index takes its former copies with it."""
    made = paused()
    made.answer(REQUEST, 9)
    made.answer(PauseIndex(MOVIES, "again"), 10)
    made.topics["newer"] = topic("newer")

    assert made.decide(ReplaceLog(MOVIES, "newer", Incarnation(9)), 11).answer.code == "log_being_replaced"

    made.answer(DeleteIndex(MOVIES), 12)
    assert {each.incarnation for each in made.topology.retired()} == {Incarnation(1), Incarnation(9)}
    assert not [key for key in made.topology.entities if key.startswith(("replica/", "former/"))]


def test_replace_log_writes_the_index_after_all_that_it_needs() -> None:
    """Whoever sees the new incarnation sees its settings and copies."""
    puts = paused().decide(REQUEST, 9).puts

    assert isinstance(puts[-1], IndexRecord)
    assert isinstance(puts[0], FormerRecord)


@pytest.mark.parametrize("records", range(1, 12))
def test_replace_log_torn_and_repeated_is_done_once(records: int) -> None:
    """Wherever a commit was cut: the same index over the same topic, with the same former one."""
    whole, torn = paused(), paused()
    whole.answer(REQUEST, 9)

    torn.answer(REQUEST, 9, torn_after=records)
    torn.answer(REQUEST, 9)

    assert torn.topology.index(MOVIES) == whole.topology.index(MOVIES)
    assert torn.topology.former(MOVIES) == whole.topology.former(MOVIES)
    placed = [key for key in torn.topology.entities if key.startswith("replica/")]
    assert sorted(placed) == sorted(key for key in whole.topology.entities if key.startswith("replica/"))


def test_replace_log_of_another_incarnation_an_applied_index_or_none_is_refused() -> None:
    """What was copied belongs to an index that stood still, and to no other."""
    made = paused()
    assert made.decide(ReplaceLog(MOVIES, NEW, Incarnation(7)), 9).answer.code == "index_recreated"
    assert made.decide(ReplaceLog(IndexUid("other"), NEW, Incarnation(1)), 9).answer.code == "index_not_found"

    made.answer(ResumeIndex(MOVIES), 8)

    answer = made.decide(REQUEST, 9).answer
    assert answer.code == "index_not_paused"
    assert "pause it first" in answer.message


@pytest.mark.parametrize(
    ("name", "partitions", "code"),
    [
        pytest.param("none", 3, "topic_not_found", id="not there"),
        pytest.param(NEW, 4, "invalid_index_topic", id="another number of partitions"),
        pytest.param("miroir.docs.movies", 3, "invalid_index_topic", id="the one it has"),
        pytest.param("miroir.cluster", 3, "invalid_index_topic", id="one of miroir's own"),
    ],
)
def test_replace_log_with_a_topic_that_cannot_be_is_refused(name: str, partitions: int, code: str) -> None:
    """The topic must be whole, of as many partitions, and nobody's."""
    made = paused()
    if name == NEW:
        made.topics[NEW] = topic(NEW, partitions)

    decision = made.decide(ReplaceLog(MOVIES, name, Incarnation(1)), 9)

    assert (decision.answer.code, decision.puts) == (code, ())
