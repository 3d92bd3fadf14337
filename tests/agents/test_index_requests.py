"""Requests about indexes: what each needs, and what is written."""

from dataclasses import replace

import pytest

from agents.index_requests import (
    create_index,
    create_topic_names,
    set_primary_key,
)
from schemas.events import (
    IndexRecord,
    IndexState,
    NodeState,
    RetiredRecord,
    SettingsRecord,
)
from schemas.ids import Incarnation, IndexUid, Offset, SettingsVersion
from schemas.meilisearch_settings import DEFAULT_SETTINGS
from schemas.requests import CreateIndex, DeleteIndex, PauseIndex, ResumeIndex, SetPrimaryKey, UpdateSettings
from tests.agents.clusters import (
    MOVIES,
    NOW_MS,
    cluster_of,
    node_record,
    sights,
    topic,
    world,
    world_with_index,
)

PLAIN = "miroir.docs.movies"


def test_create_writes_settings_replicas_and_the_index_last() -> None:
    """Whoever sees the index sees all of it."""
    decision = world().decide(CreateIndex(MOVIES, "id", shards=3, replication=2), 8)

    settings, *replicas, index = decision.puts
    assert settings == SettingsRecord(MOVIES, Incarnation(8), SettingsVersion(8), DEFAULT_SETTINGS)
    assert len(replicas) == 6
    assert index == IndexRecord(
        uid=MOVIES,
        incarnation=Incarnation(8),
        topic=PLAIN,
        shards=3,
        replication=2,
        settings_version=SettingsVersion(8),
        created_ms=NOW_MS,
        updated_ms=NOW_MS,
        primary_key="id",
    )


def test_create_makes_its_topic_first() -> None:
    """Producers and workers that see the index find its topic, compacted and with a partition a shard."""
    (spec,) = world().decide(CreateIndex(MOVIES, shards=3), 8).topics

    assert (spec.name, spec.partitions, spec.configs["cleanup.policy"]) == (PLAIN, 3, "compact")


def test_create_where_the_name_is_taken_puts_the_incarnation_in() -> None:
    """A topic that is there, of whoever, is not taken for ours."""
    made = world()
    made.topics[PLAIN] = topic(PLAIN)

    (spec,) = made.decide(CreateIndex(MOVIES), 8).topics

    assert spec.name == "miroir.gen.8.movies"


def test_create_after_a_deletion_avoids_the_topic_that_still_has_to_go() -> None:
    """Kafka deletes late: the new index must not be given what is about to vanish."""
    made = world_with_index()
    made.answer(DeleteIndex(MOVIES), 2)
    made.topics.clear()

    (spec,) = made.decide(CreateIndex(MOVIES), 8).topics

    assert spec.name == "miroir.gen.8.movies"


def test_create_only_places_on_active_nodes() -> None:
    """A node that joins holds nothing yet."""
    topology = cluster_of(node_record("a"), node_record("b", NodeState.JOINING), node_record("c"))

    decision = create_index(topology, CreateIndex(MOVIES, shards=4, replication=2), Offset(3), sights())

    assert {r.node for r in decision.puts if hasattr(r, "node")} == {"a", "c"}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param(CreateIndex(IndexUid("bad uid!")), "invalid_index_uid", id="bad characters"),
        pytest.param(CreateIndex(IndexUid("x" * 201)), "invalid_index_uid", id="too long"),
        pytest.param(CreateIndex(MOVIES, ""), "invalid_index_primary_key", id="empty primary key"),
        pytest.param(CreateIndex(MOVIES, "_miroir"), "invalid_index_primary_key", id="reserved primary key"),
        pytest.param(CreateIndex(MOVIES, shards=0), "invalid_index_shards", id="no shards"),
        pytest.param(CreateIndex(MOVIES, shards=5000), "invalid_index_shards", id="too many shards"),
        pytest.param(CreateIndex(MOVIES, replication=0), "invalid_index_replication", id="no copies"),
        pytest.param(CreateIndex(MOVIES, replication=4), "invalid_index_replication", id="more copies than nodes"),
        pytest.param(CreateIndex(MOVIES, topic="mine"), "topic_not_found", id="given topic is missing"),
        pytest.param(CreateIndex(MOVIES, topic="miroir.tasks"), "invalid_index_topic", id="a topic of miroir's own"),
    ],
)
def test_create_that_cannot_be_is_refused(request_: CreateIndex, code: str) -> None:
    """A refusal has a stable code, a message, and writes nothing."""
    decision = world().decide(request_, 8)

    assert (decision.answer.accepted, decision.answer.code, decision.puts) == (False, code, ())
    assert decision.answer.message


def test_create_with_more_copies_than_zones_is_refused() -> None:
    """Two of them would share one from the beginning."""
    zoned = [replace(node_record(name), zone=zone) for name, zone in (("a", "x"), ("b", "x"), ("c", "y"))]

    decision = create_index(cluster_of(*zoned), CreateIndex(MOVIES, shards=4, replication=3), Offset(3), sights())

    assert (decision.answer.code, decision.puts) == ("invalid_index_replication", ())
    assert "3 copies need as many zones, there are 2 ('x', 'y')" in decision.answer.message


def test_create_without_an_active_node_is_refused() -> None:
    """It would be an index without copies."""
    decision = world(0).decide(CreateIndex(MOVIES), 8)

    assert decision.answer.code == "no_active_node"


def test_create_of_an_existing_index_says_it_in_meilisearchs_words() -> None:
    """The message is the one a single node gives."""
    answer = world_with_index().decide(CreateIndex(MOVIES), 8).answer

    assert (answer.code, answer.message) == ("index_already_exists", "Index `movies` already exists.")


def test_create_on_a_given_topic_uses_and_does_not_own_it() -> None:
    """A topic of the user's is neither made nor deleted by us."""
    decision = create_index(
        world().topology, CreateIndex(MOVIES, shards=3, topic="mine"), Offset(8), sights([topic("mine")])
    )

    index = decision.puts[-1]
    assert isinstance(index, IndexRecord)
    assert (index.topic, index.topic_owned, decision.topics) == ("mine", False, ())


@pytest.mark.parametrize(
    ("sight", "word"),
    [
        pytest.param(topic("mine", 4), "partitions", id="partitions differ"),
        pytest.param(topic("mine", configs={"cleanup.policy": "delete"}), "cleanup.policy", id="not compacted"),
    ],
)
def test_create_on_an_unfit_topic_names_the_fault(sight: object, word: str) -> None:
    """The sentence comes from the same check as the doctor's."""
    seen = sights([sight])  # type: ignore[list-item]

    answer = create_index(world().topology, CreateIndex(MOVIES, shards=3, topic="mine"), Offset(8), seen).answer

    assert answer.code == "invalid_index_topic"
    assert word in answer.message


def test_create_on_another_indexs_topic_is_refused() -> None:
    """Two indexes over one topic would fold one another's misrouted records."""
    made = world_with_index()

    answer = made.decide(CreateIndex(IndexUid("films"), shards=3, topic=PLAIN), 8).answer

    assert answer.code == "invalid_index_topic"


def test_create_on_a_topic_that_is_missing_names_the_command_that_prints_how_to_make_it() -> None:
    """The topic's own name and number of partitions, not those of an index."""
    answer = world().decide(CreateIndex(MOVIES, shards=3, topic="mine"), 8).answer

    assert "`miroir topics plan --topic mine --shards 3` prints the command" in answer.message


@pytest.mark.parametrize("there", [True, False], ids=["there", "missing"])
def test_create_where_topics_may_not_be_made_needs_the_plain_one(*, there: bool) -> None:
    """Where an administrator makes topics, the plain name is used and never deleted by us."""
    seen = sights([topic(PLAIN)] if there else [], topics_created=False)

    decision = create_index(world().topology, CreateIndex(MOVIES, shards=3), Offset(8), seen)

    assert decision.answer.accepted is there
    assert decision.answer.code == ("" if there else "topic_not_found")
    assert decision.topics == ()


def test_topics_looked_at_are_the_plain_and_the_incarnations_name() -> None:
    """Both may be there: one of somebody else, the other of a creation that was cut short."""
    assert create_topic_names(CreateIndex(MOVIES), Offset(8)) == (PLAIN, "miroir.gen.8.movies")
    assert create_topic_names(CreateIndex(MOVIES, topic="mine"), Offset(8)) == ("mine",)


def test_delete_retires_the_index_and_removes_it_last() -> None:
    """As long as the index stands a torn deletion is decided again in full."""
    made = world_with_index()

    decision = made.answer(DeleteIndex(MOVIES), 2)

    assert decision.puts == (RetiredRecord(MOVIES, Incarnation(1), PLAIN, topic_owned=True),)
    assert decision.removes[-2:] == ("settings/movies", "index/movies")
    assert not made.topology.indexes
    assert {key.partition("/")[0] for key in made.topology.entities} == {"node", "answer", "controller", "retired"}


@pytest.mark.parametrize(
    "request_",
    [
        DeleteIndex(MOVIES),
        SetPrimaryKey(MOVIES, "id"),
        UpdateSettings(MOVIES, {}),
        PauseIndex(MOVIES, "why"),
        ResumeIndex(MOVIES),
    ],
    ids=lambda request_: request_.kind,
)
def test_request_about_an_unknown_index_is_refused(
    request_: DeleteIndex | SetPrimaryKey | UpdateSettings | PauseIndex | ResumeIndex,
) -> None:
    """The words are Meilisearch's."""
    answer = world().decide(request_, 2).answer

    assert (answer.code, answer.message) == ("index_not_found", "Index `movies` not found.")


def test_primary_key_of_an_index_without_one_is_set_with_a_new_version() -> None:
    """A node is told before it is sent documents: nobody posts below the version."""
    made = world_with_index()

    made.answer(SetPrimaryKey(MOVIES, "id", inferred=True), 2)

    index, settings = made.topology.index(MOVIES), made.topology.settings(MOVIES)
    assert (index.primary_key, index.settings_version) == ("id", 2)
    assert settings is not None
    assert settings.version == 2


@pytest.mark.parametrize(
    ("request_", "empty", "code", "primary_key"),
    [
        pytest.param(SetPrimaryKey(MOVIES, "id"), False, "", "id", id="the same"),
        pytest.param(SetPrimaryKey(MOVIES, "x", inferred=True), False, "", "id", id="inferred yields"),
        pytest.param(SetPrimaryKey(MOVIES, "x"), True, "", "x", id="another, no documents"),
        pytest.param(
            SetPrimaryKey(MOVIES, "x"), False, "index_primary_key_already_exists", "id", id="another, documents"
        ),
        pytest.param(SetPrimaryKey(MOVIES, "_miroir_x"), True, "invalid_index_primary_key", "id", id="reserved"),
    ],
)
def test_primary_key_that_is_there_stays_once_there_are_documents(
    request_: SetPrimaryKey, *, empty: bool, code: str, primary_key: str
) -> None:
    """As in Meilisearch: it may be changed while the index is empty."""
    made = world_with_index("id")
    made.topics[PLAIN] = topic(PLAIN, empty=empty)

    answer = made.answer(request_, 2).answer

    assert answer.code == code
    assert made.topology.index(MOVIES).primary_key == primary_key


def test_primary_key_refusal_uses_meilisearchs_message() -> None:
    """A client sees the text a single node gives."""
    topology = world_with_index("id").topology

    answer = set_primary_key(topology, SetPrimaryKey(MOVIES, "x"), Offset(2), sights()).answer

    assert answer.message == "Index `movies`: Index already has a primary key: `id`."


def test_pause_keeps_the_first_reason_until_resumed() -> None:
    """The first is the cause, later ones follow from it."""
    made = world_with_index()

    made.answer(PauseIndex(MOVIES, "first", Incarnation(1)), 2)
    made.answer(PauseIndex(MOVIES, "second"), 3)
    paused = made.topology.index(MOVIES)
    made.answer(ResumeIndex(MOVIES), 4)

    assert (paused.state, paused.reason) == (IndexState.PAUSED, "first")
    assert (made.topology.index(MOVIES).state, made.topology.index(MOVIES).reason) == (IndexState.ACTIVE, "")


def test_pause_of_an_earlier_incarnation_is_refused() -> None:
    """A worker that speaks of the deleted index must not stop its successor."""
    answer = world_with_index().decide(PauseIndex(MOVIES, "late", Incarnation(0)), 5).answer

    assert answer.code == "index_recreated"


def test_resume_of_an_active_index_changes_nothing() -> None:
    """Asking twice is no fault."""
    assert world_with_index().decide(ResumeIndex(MOVIES), 5).puts == ()
