"""What has to be done to a node, from what was seen on it."""

from dataclasses import replace

import pytest

from agents.decision import build_puts
from agents.node_admin import KeyRole, NodeKey
from agents.reconcile import (
    Adopt,
    AdoptReason,
    ApplySettings,
    CreateKey,
    CreateNodeIndex,
    DeleteKey,
    DeleteNodeIndex,
    Forget,
    NodeSight,
    SetNodePrimaryKey,
    Step,
    finished_retired,
    indexes_on,
    plan_node,
    topics_to_delete,
)
from schemas.events import NodeRecord, NodeState, ReplicaState
from schemas.ids import Epoch, NodeId, NodeIndexUid, SettingsVersion, ShardId
from schemas.requests import CreateIndex, DeleteIndex, SetPrimaryKey, UpdateSettings
from streams.topology import Topology
from tests.agents.clusters import MOVIES, cluster_of, node_record, topic, world, world_with_index, write

CLUSTER = "miroir@here"
N0 = NodeId("n0")
UID = NodeIndexUid("movies__1")
V1, V2 = SettingsVersion(1), SettingsVersion(2)


def keys_of(node: NodeRecord) -> tuple[NodeKey, ...]:
    """Return the keys that the node's record names, as they stand on it, beside one of Meilisearch's own."""
    return (
        NodeKey("default", "Default Search API Key", ""),
        NodeKey(node.worker_key, "miroir worker", CLUSTER),
        NodeKey(node.search_key, "miroir search", CLUSTER),
        NodeKey(node.fence_key, "miroir search", CLUSTER),
    )


def sight_of(topology: Topology, **changes: object) -> NodeSight:
    """Return node ``n0`` seen with its keys and nothing else."""
    sight = NodeSight(topology.epoch, "1.50.0", keys_of(topology.nodes[N0]))
    return replace(sight, **changes)  # type: ignore[arg-type]


def plan(topology: Topology, **changes: object) -> tuple[Step, ...]:
    """Return the steps for node ``n0``."""
    planned = plan_node(topology, topology.nodes[N0], sight_of(topology, **changes), CLUSTER)
    assert not planned.fault
    return planned.steps


def test_node_that_is_as_it_should_needs_nothing() -> None:
    """Planning after the steps were done plans nothing."""
    topology = world_with_index("id").topology

    assert plan(topology, indexes={UID: "id"}, versions={UID: V1}) == ()


def test_joining_node_is_adopted_without_keys_of_an_earlier_try() -> None:
    """Keys that a crash left behind are deleted first; keys of the node's own stay."""
    topology = cluster_of(node_record("n0", NodeState.JOINING))
    keys = (NodeKey("default", "", ""), NodeKey("old", "miroir worker", CLUSTER))

    assert plan(topology, keys=keys) == (DeleteKey("old"), Adopt(AdoptReason.JOINING))


def test_node_without_its_worker_key_has_lost_its_disk() -> None:
    """The key lives as long as the disk; everything else waits until the node is taken in again."""
    topology = world_with_index().topology

    assert plan(topology, keys=()) == (Adopt(AdoptReason.LOST_DISK),)


def test_node_with_an_older_search_key_is_given_the_new_one_after_the_old_is_deleted() -> None:
    """Whoever finds the new key working knows that the old one is dead."""
    topology = world_with_index().topology
    node = topology.nodes[N0]
    keys = (NodeKey(node.worker_key, "", CLUSTER), NodeKey("before", "", CLUSTER))

    steps = plan(topology, keys=keys, indexes={UID: None}, versions={UID: V1})

    made = (CreateKey(node.search_key, KeyRole.SEARCH), CreateKey(node.fence_key, KeyRole.SEARCH))
    assert steps == (DeleteKey("before"), *made)


def test_removed_node_is_forgotten_once_no_key_of_ours_is_on_it() -> None:
    """Its own keys stay, and no index is made on it; it may join another cluster then."""
    topology = cluster_of(node_record("n0", NodeState.REMOVED))
    own = NodeKey("default", "", "")

    assert plan(topology) == (DeleteKey("n0-worker"), DeleteKey("n0-search"), DeleteKey("n0-fence"))
    assert plan(topology, keys=(own,)) == (Forget(),)


def test_leaving_copy_keeps_its_index_as_it_should_be() -> None:
    """It is still to be dropped, and nobody drops from an index that is not there."""
    made = world_with_index("id").topology
    gone = [replace(r, state=ReplicaState.LEAVING) for r in made.replicas_on(N0)]
    topology = write(made, build_puts(*gone))

    assert topology.replicas_on(N0) == ()
    assert plan(topology) == (CreateNodeIndex(UID, "id"), ApplySettings(UID, MOVIES, V1))


def test_missing_index_is_created_and_given_its_settings() -> None:
    """Both stand in the node's queue in this order: a new and an old index get settings the same way."""
    assert plan(world_with_index("id").topology) == (CreateNodeIndex(UID, "id"), ApplySettings(UID, MOVIES, V1))


def test_index_without_a_known_primary_key_is_created_all_the_same() -> None:
    """It can be searched already, by the user's own settings."""
    assert plan(world_with_index().topology) == (CreateNodeIndex(UID, None), ApplySettings(UID, MOVIES, V1))


def test_primary_key_comes_before_the_version_that_lets_documents_in() -> None:
    """A node that has the version but not the key would guess one from the first documents."""
    made = world_with_index()
    made.topics["miroir.docs.movies"] = topic("miroir.docs.movies")
    made.answer(SetPrimaryKey(MOVIES, "id"), 2)

    before = plan(made.topology, indexes={UID: None}, versions={UID: V1})
    after = plan(made.topology, indexes={UID: "id"}, versions={UID: V1})

    assert before == (SetNodePrimaryKey(UID, "id", V2),)
    assert after == (ApplySettings(UID, MOVIES, V2),)


@pytest.mark.parametrize("version", [None, 0, 7], ids=["not ours", "older", "of another log"])
def test_settings_of_another_version_are_replaced(version: int | None) -> None:
    """Whatever the node has, it gets what the cluster says."""
    versions = {UID: None if version is None else SettingsVersion(version)}

    assert plan(world_with_index().topology, indexes={UID: None}, versions=versions) == (
        ApplySettings(UID, MOVIES, V1),
    )


def test_settings_that_wait_are_not_sent_again_but_newer_ones_are() -> None:
    """A settings task may take minutes; a newer version need not wait for it."""
    made = world_with_index()
    state = {"indexes": {UID: None}, "versions": {UID: None}, "waiting": {UID: V1}}

    waits = plan(made.topology, **state)
    made.answer(UpdateSettings(MOVIES, {}), 2)

    assert waits == ()
    assert plan(made.topology, **state) == (ApplySettings(UID, MOVIES, V2),)


def test_index_without_a_replica_on_the_node_is_none_of_its_business() -> None:
    """Only placed indexes are made."""
    made = world(3)
    made.answer(CreateIndex(MOVIES, shards=1, replication=1), 1)
    (holder,) = made.topology.replicas_of(MOVIES, ShardId(0))

    names = {node: set(indexes_on(made.topology, node)) for node in made.topology.nodes}

    assert names == {node: ({UID} if node == holder.node else set()) for node in names}


def test_remains_of_a_deleted_index_are_deleted_once() -> None:
    """While the deletion waits in the node's queue it is not sent again."""
    made = world_with_index()
    made.answer(DeleteIndex(MOVIES), 2)

    assert plan(made.topology, indexes={UID: "id"}) == (DeleteNodeIndex(UID),)
    assert plan(made.topology, indexes={UID: "id"}, deleting=frozenset({UID})) == ()
    assert plan(made.topology) == ()


@pytest.mark.parametrize("version", ["1.25.3", "0.30.0", "unknown"])
def test_node_that_is_too_old_is_left_alone(version: str) -> None:
    """The fault names the version that is needed."""
    topology = cluster_of(node_record("n0", NodeState.JOINING))

    planned = plan_node(topology, topology.nodes[N0], sight_of(topology, version=version), CLUSTER)

    assert planned.steps == ()
    assert "1.26" in planned.fault


@pytest.mark.parametrize("version", ["1.26.0", "1.50.0", "2.0.0", "1.51.0-rc.1"])
def test_node_that_is_new_enough_is_taken_in(version: str) -> None:
    """A candidate of a release counts as the release."""
    topology = cluster_of(node_record("n0", NodeState.JOINING))

    assert plan(topology, version=version, keys=()) == (Adopt(AdoptReason.JOINING),)


def test_node_of_another_cluster_is_not_taken_in() -> None:
    """Its documents are another log's; the fault names the cluster and the cure."""
    topology = cluster_of(node_record("n0", NodeState.JOINING))
    keys = (NodeKey("x", "miroir worker", "miroir@there"),)

    planned = plan_node(topology, topology.nodes[N0], sight_of(topology, keys=keys), CLUSTER)

    assert planned.steps == ()
    assert "miroir@there" in planned.fault


def retired_topology() -> Topology:
    """Return a cluster of three nodes whose index was deleted."""
    made = world_with_index()
    made.answer(DeleteIndex(MOVIES), 2)
    return made.topology


def sights_of(topology: Topology, **changes: object) -> dict[NodeId, NodeSight]:
    """Return all nodes seen clean, but ``n0`` with these changes."""
    clean = NodeSight(topology.epoch, "1.50.0", ())
    return {node: replace(clean, **changes) if node == N0 else clean for node in topology.nodes}  # type: ignore[arg-type]


def test_deleted_index_is_forgotten_when_every_node_is_clean() -> None:
    """Its record has served."""
    topology = retired_topology()

    assert finished_retired(topology, sights_of(topology)) == tuple(topology.retired())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"indexes": {UID: "id"}}, id="still there"),
        pytest.param({"waiting": {UID: V1}}, id="creation on its way"),
        pytest.param({"epoch": Epoch(1)}, id="seen before the deletion was known"),
    ],
)
def test_deleted_index_is_kept_while_a_node_may_have_remains(changes: dict[str, object]) -> None:
    """One node is enough to keep the record."""
    topology = retired_topology()

    assert finished_retired(topology, sights_of(topology, **changes)) == ()


def test_deleted_index_is_kept_while_a_node_cannot_be_seen() -> None:
    """It may come back with the index on its disk."""
    topology = retired_topology()
    sights = sights_of(topology)
    del sights[N0]

    assert finished_retired(topology, sights) == ()


def test_topic_of_a_deleted_index_goes_unless_another_index_has_it() -> None:
    """A topic of the user's stays, and so does one that is in use."""
    made = world_with_index()
    retired_before = topics_to_delete(made.topology)
    made.answer(DeleteIndex(MOVIES), 2)

    assert retired_before == ()
    assert [retired.topic for retired in topics_to_delete(made.topology)] == ["miroir.docs.movies"]
    used = replace(world_with_index().topology.index(MOVIES), topic="miroir.docs.movies")
    assert topics_to_delete(cluster_of(*made.topology.entities.values(), used)) == ()
