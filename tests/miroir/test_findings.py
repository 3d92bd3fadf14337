"""What the doctor finds, from what was looked at."""

from dataclasses import replace

import pytest

from agents.node_admin import NodeKey
from agents.reconcile import NodeSight
from miroir.findings import (
    Finding,
    Level,
    examine_cluster,
    examine_coordination,
    examine_node,
    examine_settings,
    examine_strays,
    examine_topic,
    wanted_topics,
)
from schemas.config import Settings, parse_settings
from schemas.events import NodeState
from schemas.ids import NodeId, NodeIndexUid, SettingsVersion
from schemas.requests import DeleteIndex, PauseIndex, SetPrimaryKey
from streams.log import TopicFound
from streams.topics import docs_topic, own_topics
from streams.topology import Topology
from tests.agents.clusters import MOVIES, cluster_of, node_record, world_with_index

GOOD = {
    "MIROIR_MASTER_KEY": "a-long-key-of-the-api",
    "MIROIR_NODE_MASTER_KEY": "another-long-key-of-nodes",
}
NODE = NodeId("n0")
UID = NodeIndexUid("movies__1")


def settings_of(**changes: str) -> Settings:
    """Return good settings with these changes; an empty text takes one away."""
    environment = {**GOOD, **{f"MIROIR_{name.upper()}": value for name, value in changes.items()}}
    return parse_settings({name: value for name, value in environment.items() if value})


def levels(findings: tuple[Finding, ...]) -> dict[str, Level]:
    """Return the level of each subject."""
    return {finding.subject: finding.level for finding in findings}


def test_good_settings_have_nothing_to_say() -> None:
    """One finding says that it was looked at."""
    (finding,) = examine_settings(settings_of())

    assert finding.level is Level.OK


@pytest.mark.parametrize(
    ("changes", "subject", "level"),
    [
        ({"master_key": ""}, "setting master_key", Level.WARNING),
        ({"master_key": "", "http_host": "0.0.0.0"}, "setting master_key", Level.FAULT),
        ({"master_key": "short"}, "setting master_key", Level.FAULT),
        ({"node_master_key": ""}, "setting node_master_key", Level.FAULT),
        ({"node_master_key": "short"}, "setting node_master_key", Level.FAULT),
        ({"node_master_key": GOOD["MIROIR_MASTER_KEY"]}, "setting node_master_key", Level.WARNING),
        ({"kafka_sasl_username": "u"}, "setting kafka_sasl_username", Level.WARNING),
        (
            {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_username": "u", "kafka_sasl_password": "p"},
            "setting kafka_security_protocol",
            Level.WARNING,
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ssl_check_hostname": "false"},
            "setting kafka_ssl_check_hostname",
            Level.WARNING,
        ),
        ({"kafka_idempotence": "false"}, "setting kafka_idempotence", Level.WARNING),
        ({"kafka_transactions": "false"}, "setting kafka_transactions", Level.WARNING),
        ({"kafka_replication_factor": "1"}, "setting kafka_replication_factor", Level.WARNING),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else None,
)
def test_doubtful_setting_is_named_with_a_cure(changes: dict[str, str], subject: str, level: Level) -> None:
    """Each has one finding, and no secret is in any."""
    findings = examine_settings(settings_of(**changes))

    assert levels(findings) == {subject: level}
    assert all(finding.cure for finding in findings)
    assert not any(GOOD["MIROIR_MASTER_KEY"] in str(finding) or "short" in str(finding) for finding in findings)


def found_topic(**configs: str) -> TopicFound:
    """Return the topic of the films as three brokers have it."""
    wanted = docs_topic("miroir.docs.movies", 3)
    names = {name.replace("_", "."): value for name, value in configs.items()}
    return TopicFound(wanted.name, 3, 3, {**wanted.configs, **names})


def test_topic_as_it_should_be_is_well() -> None:
    """One finding describes it."""
    spec = docs_topic("miroir.docs.movies", 3)

    (finding,) = examine_topic(spec, found_topic(min_insync_replicas="2"), settings_of())

    assert (finding.level, finding.subject) == (Level.OK, "topic miroir.docs.movies")


@pytest.mark.parametrize(
    ("found", "words", "level"),
    [
        (replace(found_topic(), partitions=4), "4 found", Level.FAULT),
        (found_topic(cleanup_policy="delete"), "delete found", Level.FAULT),
        (replace(found_topic(), replication=1), "1 copies, 3 asked for", Level.WARNING),
        (found_topic(min_insync_replicas="1"), "single broker", Level.WARNING),
        (found_topic(min_insync_replicas="3"), "one broker away stops all writes", Level.WARNING),
        (found_topic(unclean_leader_election_enable="true"), "may be lost", Level.FAULT),
    ],
    ids=["partitions", "policy", "copies", "one in sync", "all in sync", "unclean"],
)
def test_unfit_topic_is_described_with_a_cure(found: TopicFound, words: str, level: Level) -> None:
    """What was expected, what was found, and the command."""
    (finding,) = examine_topic(docs_topic("miroir.docs.movies", 3), found, settings_of())

    assert finding.level is level
    assert words in finding.found
    assert finding.cure


ALLOWED = frozenset({"read", "write", "create", "delete"})
"""What a user may do who may do everything that we need."""


@pytest.mark.parametrize(
    ("lacking", "created", "words", "level"),
    [
        ("", "true", "", None),
        ("read", "true", "may not read", Level.FAULT),
        ("write", "false", "may not write", Level.FAULT),
        ("create", "true", "may not make topics", Level.FAULT),
        ("create", "false", "", None),
        ("delete", "true", "may not delete it", Level.WARNING),
        ("delete", "false", "", None),
    ],
)
def test_permission_that_is_missing_is_named_where_it_is_needed(
    lacking: str, created: str, words: str, level: Level | None
) -> None:
    """Nobody needs to make or delete topics who is told not to."""
    found = replace(found_topic(), operations=ALLOWED - {lacking})

    (finding,) = examine_topic(docs_topic(found.name, 3), found, settings_of(kafka_create_topics=created))

    assert finding.level is (level or Level.OK)
    assert words in finding.found
    assert bool(finding.cure) == bool(level)


def test_permissions_beyond_topics_are_named() -> None:
    """Without them workers read nothing, and no request is answered; transactions count where they are on."""
    plain = settings_of(kafka_transactions="false")

    lacking = examine_coordination(settings_of(), may_join=False, may_transact=False)

    assert [each.subject for each in lacking] == ["group miroir", "transactional id miroir-controller"]
    assert {each.level for each in lacking} == {Level.FAULT}
    assert examine_coordination(settings_of(), may_join=True, may_transact=True) == ()
    assert examine_coordination(plain, may_join=True, may_transact=False) == ()


@pytest.mark.parametrize(
    ("name", "created", "level"),
    [("miroir.tasks", "true", Level.WARNING), ("miroir.tasks", "false", Level.FAULT)],
)
def test_missing_topic_is_a_fault_where_nobody_makes_it(name: str, created: str, level: Level) -> None:
    """Where we may make topics, a worker does it; a missing topic of documents is always a fault."""
    spec = next(spec for spec in own_topics() if spec.name == name)

    (finding,) = examine_topic(spec, None, settings_of(kafka_create_topics=created))
    (docs,) = examine_topic(docs_topic("miroir.docs.movies", 3), None, settings_of(kafka_create_topics=created))

    assert finding.level is level
    assert docs.level is Level.FAULT


def test_broker_that_tells_no_configuration_is_not_blamed() -> None:
    """The finding says that it could not be seen."""
    (finding,) = examine_topic(docs_topic("miroir.docs.movies", 3), replace(found_topic(), configs={}), settings_of())

    assert finding.level is Level.OK
    assert "does not tell" in finding.found


def test_wanted_topics_are_ours_and_one_an_index() -> None:
    """The doctor looks at what the cluster needs now."""
    names = [spec.name for spec in wanted_topics(world_with_index().topology)]

    assert names == [*(spec.name for spec in own_topics()), "miroir.docs.movies"]


def test_cluster_without_nodes_is_told_to_add_one() -> None:
    """The first thing a newcomer lacks."""
    (finding,) = examine_cluster(Topology())

    assert "miroir node add" in finding.cure


def test_index_that_is_not_applied_is_a_fault_with_its_reason() -> None:
    """A paused index says why; one without a primary key that it waits for one; a deleted one that it lingers."""
    made = world_with_index()
    (waiting,) = examine_cluster(made.topology)
    made.answer(SetPrimaryKey(MOVIES, "id"), 2)
    assert examine_cluster(made.topology) == ()
    made.answer(PauseIndex(MOVIES, "log trimmed"), 3)
    (paused,) = examine_cluster(made.topology)
    made.answer(DeleteIndex(MOVIES), 4)
    (lingering,) = examine_cluster(made.topology)

    assert "primary key" in waiting.found
    assert (paused.level, paused.found) == (Level.FAULT, "paused: log trimmed")
    assert "not yet gone" in lingering.found


def test_index_whose_settings_were_refused_is_a_fault() -> None:
    """What stands in the record is shown."""
    topology = world_with_index("id").topology
    refused = replace(topology.index(MOVIES), reason="settings version 4 cannot be applied: bad; send other settings")

    (finding,) = examine_cluster(cluster_of(*topology.entities.values(), refused))

    assert (finding.level, finding.cure) == (Level.FAULT, "send other settings")


def test_index_with_fewer_nodes_than_copies_is_a_warning() -> None:
    """It works, with fewer copies than were asked for."""
    topology = world_with_index("id").topology
    index = replace(topology.index(MOVIES), replication=5)

    (finding,) = examine_cluster(cluster_of(*topology.entities.values(), index))

    assert "5 copies asked for, 3 nodes active" in finding.found


def sight_of(topology: Topology) -> NodeSight:
    """Return node ``n0`` as it should be."""
    roles = (("n0-worker", "worker"), ("n0-search", "search"), ("n0-fence", "search"))
    keys = tuple(NodeKey(uid, f"miroir {role}", "here") for uid, role in roles)
    return NodeSight(topology.epoch, "1.50.0", keys, {UID: "id"}, {UID: SettingsVersion(1)})


def test_node_as_it_should_be_is_well() -> None:
    """One finding tells version, state and replicas."""
    topology = world_with_index("id").topology

    (finding,) = examine_node(topology, topology.nodes[NODE], sight_of(topology))

    assert finding.level is Level.OK
    assert "1.50.0" in finding.found


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"version": "1.20.0"}, Level.FAULT, "too old"),
        ({"keys": ()}, Level.WARNING, "lost disk"),
        ({"keys": (NodeKey("n0-worker", "", "here"),)}, Level.WARNING, "no search key"),
        ({"indexes": {}}, Level.WARNING, "no index movies__1"),
        ({"indexes": {UID: "other"}}, Level.WARNING, "primary key"),
        ({"versions": {UID: None}}, Level.WARNING, "settings of version 1"),
        ({"indexes": {UID: "id", "old__9": "id"}}, Level.WARNING, "old__9 that this cluster does not know"),
        ({"keys": (NodeKey("x", "", "elsewhere"),)}, Level.FAULT, "belongs to another miroir cluster (elsewhere)"),
    ],
    ids=["version", "disk", "key", "index", "primary key", "settings", "stranger", "other cluster"],
)
def test_node_that_is_not_as_it_should_is_described(changes: dict[str, object], level: Level, words: str) -> None:
    """The first finding names what is missing, and each has a cure."""
    topology = world_with_index("id").topology

    findings = examine_node(topology, topology.nodes[NODE], replace(sight_of(topology), **changes))  # type: ignore[arg-type]

    assert findings[0].level is level
    assert any(words in finding.found for finding in findings)
    assert all(finding.cure for finding in findings)


def test_node_that_joins_is_to_be_taken_in() -> None:
    """The controller does it; if it does not, none runs."""
    topology = cluster_of(node_record("n0", NodeState.JOINING))

    (finding,) = examine_node(topology, topology.nodes[NODE], NodeSight(topology.epoch, "1.50.0", ()))

    assert "joining" in finding.found
    assert "worker" in finding.cure


def test_topic_that_no_index_names_is_a_stray() -> None:
    """Those of indexes, and of deleted ones whose copies are still to be removed, are not."""
    world = world_with_index()
    names = [world.topology.indexes[MOVIES].topic, "miroir.gen.9.movies"]

    (finding,) = examine_strays(world.topology, names)
    world.answer(DeleteIndex(MOVIES), 4)

    assert (finding.level, finding.subject) == (Level.WARNING, "topic miroir.gen.9.movies")
    assert "--delete --topic miroir.gen.9.movies" in finding.cure
    assert levels(examine_strays(world.topology, names)).keys() == {"topic miroir.gen.9.movies"}
