"""Requests about nodes, and taking nodes in."""

from dataclasses import replace

import pytest

from agents.decision import Sights, build_puts
from agents.log_identity import CURE
from agents.node_requests import (
    WEIGHT_MAX,
    NewKeys,
    add_node,
    adopt_node,
    joining_node,
    new_attempts,
    rebuild_node,
)
from miroir.reseed import PAUSE_REASON
from schemas.events import NodeRecord, NodeState, ReplicaRecord, build_key
from schemas.ids import Attempt, Epoch, IndexUid, NodeId, Offset, ShardId
from schemas.requests import AddNode, CreateIndex, PauseIndex, RebuildNode
from streams.readable import ProgressView, readable_shards
from streams.topology import Topology
from tests.agents.clusters import (
    KEY_UID,
    MOVIES,
    cluster_of,
    node_record,
    sights,
    world,
    world_with_index,
    write,
)
from tests.builders import make_progress

A = NodeId("a")
KEYS = NewKeys("w", "s", "f")


def test_add_node_joins_without_keys() -> None:
    """A node is accepted before it was ever asked."""
    decision = add_node(Topology(), AddNode(A, "http://a:7700/", weight=2.0, zone="z"), Offset(0), sights())

    assert decision.answer.accepted
    assert decision.puts == (NodeRecord(A, "http://a:7700", 2.0, "z", state=NodeState.JOINING),)


def test_add_node_twice_keeps_state_and_keys() -> None:
    """Asking again changes only what future placements look at."""
    topology = cluster_of(node_record("a"))

    decision = add_node(topology, AddNode(A, "http://a:7700", weight=3.0), Offset(5), sights())

    (node,) = decision.puts
    assert isinstance(node, NodeRecord)
    assert (node.state, node.worker_key, node.weight) == (NodeState.ACTIVE, "a-worker", 3.0)


SHARED = replace(node_record("a"), weight=2.0, zone="z", group=1)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(AddNode(A, "http://a:7700"), SHARED, id="nothing"),
        pytest.param(AddNode(A, "http://a:7700/", 2.0, "z", 1), SHARED, id="what it has"),
        pytest.param(AddNode(A, "http://a:7700", weight=3.0), replace(SHARED, weight=3.0), id="weight"),
        pytest.param(AddNode(A, "http://a:7700", zone=""), replace(SHARED, zone=""), id="no zone"),
        pytest.param(AddNode(A, "http://a:7700", group=0), replace(SHARED, group=0), id="first group"),
    ],
)
def test_add_node_again_changes_what_is_given_alone(request_: AddNode, expected: NodeRecord) -> None:
    """What is not given stays, and where nothing else is asked for, nothing is written."""
    decision = add_node(cluster_of(SHARED), request_, Offset(5), sights())

    assert decision.answer.accepted
    assert decision.puts == (() if expected == SHARED else (expected,))


def test_add_node_that_is_being_removed_begins_with_the_defaults() -> None:
    """What it had before is gone with it."""
    decision = add_node(
        cluster_of(replace(SHARED, state=NodeState.REMOVED)), AddNode(A, "http://a:7700"), Offset(5), sights()
    )

    assert decision.puts == (NodeRecord(A, "http://a:7700", 1.0, "", 0, NodeState.JOINING, seat="a@5"),)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param(AddNode(A, "http://other:7700"), "node_already_exists", id="same id, another url"),
        pytest.param(AddNode(NodeId("b"), "http://a:7700"), "node_already_exists", id="another id, same url"),
        pytest.param(AddNode(NodeId("a b"), "http://b:1"), "invalid_node_id", id="bad id"),
        pytest.param(AddNode(NodeId("b"), "b:7700"), "invalid_node", id="no scheme"),
        pytest.param(AddNode(NodeId("b"), "http://"), "invalid_node", id="no host"),
        pytest.param(AddNode(NodeId("b"), "http://u:p@b"), "invalid_node", id="password in the url"),
        pytest.param(AddNode(NodeId("b"), "http://b:77OO"), "invalid_node", id="port not a number"),
        pytest.param(AddNode(NodeId("b"), "http://b:65536"), "invalid_node", id="port too large"),
        pytest.param(AddNode(NodeId("b"), "http://b b"), "invalid_node", id="blank in the url"),
        pytest.param(AddNode(NodeId("b"), "http://b\x00"), "invalid_node", id="control character in the url"),
        pytest.param(AddNode(NodeId("b"), "http://b/?q=1"), "invalid_node", id="query in the url"),
        pytest.param(AddNode(NodeId("b"), "http://" + "b" * 70_000), "invalid_node", id="long url"),
        pytest.param(AddNode(NodeId("b"), "http://b", weight=0), "invalid_node", id="no weight"),
        pytest.param(AddNode(NodeId("b"), "http://b", weight=WEIGHT_MAX * 2), "invalid_node", id="too much weight"),
        pytest.param(AddNode(NodeId("b"), "http://b", weight=float("nan")), "invalid_node", id="weight not a number"),
        pytest.param(AddNode(NodeId("b"), "http://b", group=-1), "invalid_node", id="negative group"),
    ],
)
def test_add_node_that_cannot_be_is_refused(request_: AddNode, code: str) -> None:
    """A refusal names what was expected and changes nothing."""
    decision = add_node(cluster_of(node_record("a")), request_, Offset(5), sights())

    assert (decision.answer.accepted, decision.answer.code, decision.puts) == (False, code, ())
    assert decision.answer.message


@pytest.mark.parametrize(
    ("url", "looked_at"),
    [
        ("http://b:7700/", "http://b:7700"),
        ("https://b.example/meilisearch", "https://b.example/meilisearch"),
        ("http://[::1]:7700", "http://[::1]:7700"),
        ("http://b:77OO", None),
    ],
)
def test_node_is_looked_at_where_its_url_is_one(url: str, looked_at: str | None) -> None:
    """No client of nodes is ever given an address that it does not understand."""
    found = joining_node(Topology(), AddNode(A, url))

    assert found == (None if looked_at is None else (A, looked_at))


def test_rebuild_begins_every_placement_anew_and_replaces_the_search_key() -> None:
    """A query service of the past cannot read the copies that are about to be dropped."""
    topology = world_with_index().topology
    node = topology.nodes[NodeId("n0")]

    decision = rebuild_node(topology, RebuildNode(node.id), Offset(7), sights())

    record, *replicas = decision.puts
    assert len(replicas) == len(topology.replicas_on(node.id)) > 0
    assert all(isinstance(r, ReplicaRecord) and Epoch(r.attempt) == topology.epoch for r in replicas)
    assert isinstance(record, NodeRecord)
    assert (record.search_key, record.fence_key, record.worker_key) == (node.fence_key, KEY_UID, node.worker_key)


def test_rebuild_of_some_shards_leaves_the_others_and_what_has_begun_since() -> None:
    """A worker asks for the copies that it saw; asked for once more, nothing is left to do and no key is replaced."""
    topology = world_with_index().topology
    node = NodeId("n0")
    seen, *others = topology.replicas_on(node)
    request = RebuildNode(node, seen.uid, (seen.shard,), seen.attempt)

    decision = rebuild_node(topology, request, Offset(7), sights())
    again = rebuild_node(
        topology, RebuildNode(node, seen.uid, (seen.shard,), Attempt(seen.attempt - 1)), Offset(8), sights()
    )

    record, *replicas = decision.puts
    assert isinstance(record, NodeRecord)
    assert replicas == [replace(seen, attempt=Attempt(topology.epoch))]
    assert others
    assert again.answer.accepted
    assert again.puts == ()


FOR_ITS_LOG = f"topic gone; {CURE.format(uid=MOVIES)}"
FOR_ELSE = "paused by an operator"
N0 = NodeId("n0")


def seen(topology: Topology, *but: str, cursor: int = 10, away: str = "") -> Sights:
    """Return what every copy stands at, but those on some nodes, of which nothing is known; one node may be away."""
    copies = [each for shards in topology.replicas[MOVIES].values() for each in shards if each.node not in but]
    progress = {
        build_key(each).removeprefix("replica/"): replace(make_progress(each, cursor), away=each.node == away)
        for each in copies
    }
    return replace(sights(), progress=ProgressView(replicas=progress))


def paused_world(reason: str, *, replication: int = 3) -> Topology:
    """Return a cluster of three nodes whose index is paused; each node holds every shard unless told."""
    made = world()
    made.answer(CreateIndex(MOVIES, "id", shards=3, replication=replication), 1)
    if reason:
        made.answer(PauseIndex(MOVIES, reason), 2)
    return made.topology


@pytest.mark.parametrize(
    ("reason", "unknown", "away", "words"),
    [
        pytest.param("", (), "", None, id="applied"),
        pytest.param("", ("n1", "n2"), "", None, id="applied, no other whole copy"),
        pytest.param(FOR_ITS_LOG, (), "", "`miroir log reseed movies`", id="log gone"),
        pytest.param(FOR_ITS_LOG, (), "n0", "`miroir log reseed movies`", id="log gone, the node away"),
        pytest.param(FOR_ITS_LOG, ("n0",), "", None, id="log gone, nothing on the node"),
        pytest.param(PAUSE_REASON, (), "", "`miroir log reseed movies`", id="log being made anew"),
        pytest.param(FOR_ELSE, (), "", None, id="log whole"),
        pytest.param(FOR_ELSE, ("n1", "n2"), "", "`miroir index resume movies`", id="log whole, no other whole copy"),
        pytest.param(FOR_ELSE, ("n1",), "n2", "`miroir index resume movies`", id="log whole, the other away"),
        pytest.param(FOR_ELSE, ("n0", "n1", "n2"), "", None, id="log whole, nothing anywhere"),
    ],
)
def test_rebuild_is_refused_where_nothing_is_replayed_and_a_copy_is_needed(
    reason: str, unknown: tuple[str, ...], away: str, words: str | None
) -> None:
    """Without a log every copy is needed, in a pause the last whole one; what holds nothing is not missed."""
    topology = paused_world(reason)

    decision = rebuild_node(topology, RebuildNode(N0), Offset(7), seen(topology, *unknown, away=away))

    if words is None:
        assert decision.answer.accepted
        assert len(decision.puts) == 1 + len(topology.replicas_on(N0))
    else:
        assert (decision.answer.accepted, decision.answer.code, decision.puts) == (False, "index_paused", ())
        assert "node 'n0' cannot be rebuilt: index 'movies' is paused" in decision.answer.message
        assert words in decision.answer.message


def test_rebuild_of_every_node_leaves_copies_of_an_index_without_its_log() -> None:
    """One node after the other was taken offline: of each shard a copy has to stay readable."""
    topology = paused_world(FOR_ITS_LOG, replication=2)
    begun = seen(topology)

    for node in sorted(topology.nodes):
        topology = write(topology, build_puts(*rebuild_node(topology, RebuildNode(node), Offset(7), begun).puts))

    assert all(readable_shards(topology, begun.progress, topology.indexes[MOVIES]))


def test_rebuild_is_granted_where_copies_lack_something_but_hold_nothing() -> None:
    """A copy that has begun and taken nothing yet is not whole, and nobody can make a log of it."""
    topology = paused_world(FOR_ITS_LOG)
    begun = seen(topology, cursor=0)
    known = {key: replace(each, at_end_ms=0) for key, each in begun.progress.replicas.items()}

    decision = rebuild_node(topology, RebuildNode(N0), Offset(7), replace(begun, progress=ProgressView(replicas=known)))

    assert decision.answer.accepted


def test_rebuild_of_another_index_is_granted_beside_one_without_its_log() -> None:
    """A worker that asks for some copies is not held up by others on the node."""
    made = world()
    made.answer(CreateIndex(MOVIES, "id", shards=1, replication=3), 1)
    made.answer(CreateIndex(IndexUid("films"), "id", shards=1, replication=3), 2)
    made.answer(PauseIndex(MOVIES, FOR_ITS_LOG), 3)
    request = RebuildNode(N0, IndexUid("films"), (ShardId(0),), Attempt(made.topology.epoch))

    decision = rebuild_node(made.topology, request, Offset(7), seen(made.topology))

    assert decision.answer.accepted
    assert [each.uid for each in decision.puts if isinstance(each, ReplicaRecord)] == ["films"]


def test_adopt_of_an_emptied_node_begins_copies_anew_also_without_their_log() -> None:
    """What was on its disk is gone: the former attempt may not be believed, whatever the index is paused for."""
    topology = paused_world(FOR_ITS_LOG)

    _, *replicas = adopt_node(topology, N0, KEYS)

    assert tuple(replicas) == new_attempts(topology, N0)


def test_rebuild_of_a_node_that_joins_changes_nothing() -> None:
    """There is nothing on it."""
    topology = cluster_of(node_record("a", NodeState.JOINING))

    decision = rebuild_node(topology, RebuildNode(A), Offset(7), sights())

    assert (decision.answer.accepted, decision.puts) == (True, ())


def test_rebuild_of_an_unknown_node_is_refused() -> None:
    """The code says that the node is not there."""
    decision = rebuild_node(Topology(), RebuildNode(A), Offset(7), sights())

    assert (decision.answer.accepted, decision.answer.code) == (False, "node_not_found")


def test_adopt_of_a_joining_node_makes_it_active() -> None:
    """From then on it is given replicas, and everybody derives its keys."""
    topology = cluster_of(node_record("a", NodeState.JOINING))

    assert adopt_node(topology, A, KEYS) == (
        NodeRecord(A, "http://a:7700", state=NodeState.ACTIVE, worker_key="w", search_key="s", fence_key="f"),
    )


def test_adopt_of_an_emptied_node_begins_its_placements_anew() -> None:
    """Its state stays; new keys make it another incarnation."""
    topology = world_with_index().topology
    node = NodeId("n1")

    record, *replicas = adopt_node(topology, node, KEYS)

    assert tuple(replicas) == new_attempts(topology, node)
    assert replicas
    assert isinstance(record, NodeRecord)
    assert (record.state, record.worker_key) == (NodeState.ACTIVE, "w")


def test_adopt_of_a_node_that_has_gone_writes_nothing() -> None:
    """Nobody is brought back by a keeper that came late."""
    assert adopt_node(Topology(), A, KEYS) == ()
