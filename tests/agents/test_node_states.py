"""Requests that change a node's state: every state and every request."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from agents.controller import decide
from agents.decision import Decision, build_puts
from agents.newcomers import Newcomer
from agents.node_requests import NewKeys, adopt_node
from schemas.events import NodeRecord, NodeState, ReplicaRecord, ReplicaState, build_key
from schemas.ids import NodeId, Offset
from schemas.requests import (
    ActivateNode,
    AddNode,
    CreateIndex,
    DrainNode,
    MaintainNode,
    RebuildNode,
    RemoveNode,
    ReplaceNode,
    Request,
    UpdateIndex,
)
from streams.readable import ProgressView
from streams.topology import Topology
from tests.agents.clusters import MOVIES, World, cluster_of, node_record, sights, write
from tests.builders import make_progress

N0, NEW = NodeId("n0"), NodeId("new")
OFFSET = Offset(50)

SAME = "as it is"
"""Accepted, and nothing is written of the node's state."""

TABLE: dict[str, tuple[Callable[[], Request], dict[NodeState, str]]] = {
    "add": (
        lambda: AddNode(N0, "http://n0:7700"),
        dict.fromkeys(NodeState, SAME) | {NodeState.REMOVED: "joining"},
    ),
    "rebuild": (
        lambda: RebuildNode(N0),
        dict.fromkeys(NodeState, SAME) | {NodeState.REMOVED: "node_state"},
    ),
    "drain": (
        lambda: DrainNode(N0),
        {
            NodeState.JOINING: "node_state",
            NodeState.ACTIVE: "draining",
            NodeState.DRAINING: SAME,
            NodeState.MAINTENANCE: "draining",
            NodeState.FAILED: "node_state",
            NodeState.REMOVED: "node_state",
        },
    ),
    "maintain": (
        lambda: MaintainNode(N0),
        {
            NodeState.JOINING: "node_state",
            NodeState.ACTIVE: "maintenance",
            NodeState.DRAINING: "node_state",
            NodeState.MAINTENANCE: SAME,
            NodeState.FAILED: "maintenance",
            NodeState.REMOVED: "node_state",
        },
    ),
    "activate": (
        lambda: ActivateNode(N0),
        {
            NodeState.JOINING: SAME,
            NodeState.ACTIVE: SAME,
            NodeState.DRAINING: "active",
            NodeState.MAINTENANCE: "active",
            NodeState.FAILED: "active",
            NodeState.REMOVED: "node_state",
        },
    ),
    "remove": (
        lambda: RemoveNode(N0),
        dict.fromkeys(NodeState, "removed") | {NodeState.REMOVED: SAME},
    ),
    "remove with force": (
        lambda: RemoveNode(N0, force=True),
        dict.fromkeys(NodeState, "removed") | {NodeState.REMOVED: SAME},
    ),
    "forget": (
        lambda: RemoveNode(N0, forget=True),
        dict.fromkeys(NodeState, "node_state") | {NodeState.REMOVED: "gone"},
    ),
    "replace": (
        lambda: ReplaceNode(N0, NEW, "http://new:7700"),
        dict.fromkeys(NodeState, SAME) | {NodeState.JOINING: "node_state", NodeState.REMOVED: "node_state"},
    ),
    "replace by one that is there": (
        lambda: ReplaceNode(N0, NodeId("n1"), "http://n1:7700"),
        dict.fromkeys(NodeState, "node_already_exists")
        | {NodeState.JOINING: "node_state", NodeState.REMOVED: "node_state"},
    ),
}
"""For every request and state of a node that holds nothing: the new state, or the code of the refusal."""

CASES = [
    pytest.param(name, state, outcome, id=f"{name}-{state}")
    for name, (_, outcomes) in TABLE.items()
    for state, outcome in outcomes.items()
]


def outcome_of(topology: Topology, decision: Decision) -> str:
    """Return what a decision does to ``n0``, in the table's words."""
    if not decision.answer.accepted:
        assert decision.answer.message
        assert not decision.puts
        return decision.answer.code
    if f"node/{N0}" in decision.removes:
        return "gone"
    found = [value for value in decision.puts if isinstance(value, NodeRecord) and value.id == N0]
    before = topology.nodes[N0].state
    return str(found[-1].state) if found and found[-1].state is not before else SAME


def test_table_covers_every_state_of_every_request() -> None:
    """A new state or request has to say what becomes of it."""
    assert all(outcomes.keys() == set(NodeState) for _, outcomes in TABLE.values())


@pytest.mark.parametrize(("name", "state", "outcome"), CASES)
def test_request_in_a_state_does_what_the_table_says(name: str, state: NodeState, outcome: str) -> None:
    """Accepted with the new state, or refused with the reason; decided again, it changes nothing more."""
    topology = cluster_of(node_record("n0", state), node_record("n1"), node_record("n2"))
    request = TABLE[name][0]()

    decision = decide(topology, request, OFFSET, sights())

    assert outcome_of(topology, decision) == outcome


@pytest.mark.parametrize("name", [name for name in TABLE if name != "add"])
def test_request_about_an_unknown_node_is_refused(name: str) -> None:
    """The code says that the node is not there."""
    decision = decide(cluster_of(node_record("n1")), TABLE[name][0](), OFFSET, sights())

    assert (decision.answer.accepted, decision.answer.code) == (False, "node_not_found")


def holding(*nodes: str, replication: int = 2) -> World:
    """Return a cluster whose index ``movies`` has whole copies of three shards on these nodes."""
    made = World(cluster_of(*(node_record(name) for name in nodes)))
    made.answer(CreateIndex(MOVIES, "id", shards=3, replication=replication), 1)
    return made


def whole(topology: Topology, *but: str) -> ProgressView:
    """Return the progress in which every copy stands at the end, but those on some nodes."""
    replicas = [r for shards in topology.replicas[MOVIES].values() for r in shards if r.node not in but]
    return ProgressView(
        replicas={build_key(replica).removeprefix("replica/"): make_progress(replica, 10) for replica in replicas}
    )


def test_drain_is_refused_where_the_others_are_too_few() -> None:
    """Its copies would have nowhere to go."""
    decision = decide(holding("n0", "n1").topology, DrainNode(N0), OFFSET, sights())

    assert decision.answer.code == "not_enough_nodes"
    assert "2 copies need as many nodes, there are 1" in decision.answer.message


def test_drain_is_refused_where_a_zone_would_be_missing() -> None:
    """Two copies would have to share a zone from then on."""
    made = holding("n0", "n1", "n2").topology
    zones = [replace(made.nodes[NodeId(name)], zone=zone) for name, zone in (("n0", "a"), ("n1", "b"), ("n2", "b"))]
    topology = cluster_of(*zones, made.indexes[MOVIES])

    decision = decide(topology, DrainNode(N0), OFFSET, sights())

    assert decision.answer.code == "not_enough_nodes"
    assert "2 copies need as many zones, there are 1 ('b')" in decision.answer.message


def test_removal_of_a_node_with_copies_is_refused() -> None:
    """The full set of copies is kept: it is drained first."""
    topology = holding("n0", "n1", "n2").topology

    decision = decide(topology, RemoveNode(N0), OFFSET, replace(sights(), progress=whole(topology)))

    assert decision.answer.code == "node_not_empty"
    assert "miroir node drain n0" in decision.answer.message


@pytest.mark.parametrize("state", [NodeState.ACTIVE, NodeState.DRAINING, NodeState.FAILED, NodeState.MAINTENANCE])
def test_removal_of_the_last_whole_copy_is_refused(state: NodeState) -> None:
    """Not even with force: what the other nodes have is not whole."""
    made = holding("n0", "n1", "n2")
    topology = write_node(made.topology, state)
    seen = replace(sights(), progress=whole(topology, "n1", "n2"))

    decision = decide(topology, RemoveNode(N0, force=True), OFFSET, seen)

    assert decision.answer.code == "last_copy"


def test_forced_removal_takes_the_placements_along() -> None:
    """Every shard has another whole copy: nothing is lost, and others are made."""
    topology = holding("n0", "n1", "n2").topology
    seen = replace(sights(), progress=whole(topology))

    decision = decide(topology, RemoveNode(N0, force=True), OFFSET, seen)

    assert set(decision.removes) == {build_key(replica) for replica in topology.replicas_on(N0)}
    assert outcome_of(topology, decision) == "removed"


def test_failed_node_is_removed_without_force() -> None:
    """Its copies do not count any more."""
    topology = write_node(holding("n0", "n1", "n2").topology, NodeState.FAILED)
    seen = replace(sights(), progress=whole(topology, "n0"))

    assert decide(topology, RemoveNode(N0), OFFSET, seen).answer.accepted


def test_replacement_takes_the_share_and_the_seat_and_the_old_node_drains_once_it_is_active() -> None:
    """Until then the old node keeps everything; then the very same shards are wanted on the new one."""
    before = holding("n0", "n1", "n2")
    before.answer(ReplaceNode(N0, NEW, "http://new:7700"), 50)
    assert before.topology.nodes[N0].state is NodeState.ACTIVE
    drained, joined, *rest = adopt_node(before.topology, NEW, NewKeys("w", "s", "f"))

    assert isinstance(drained, NodeRecord)
    assert isinstance(joined, NodeRecord)
    assert (drained.id, drained.state) == (N0, NodeState.DRAINING)
    assert (joined.id, joined.state, joined.seat) == (NEW, NodeState.ACTIVE, "n0")
    assert not rest


def test_old_node_that_is_activated_again_is_given_a_seat_of_its_own() -> None:
    """Two nodes on one seat would want the same shards."""
    replaced = replace(node_record("new"), seat="n0")
    topology = cluster_of(node_record("n0", NodeState.DRAINING), replaced)

    (record,) = decide(topology, ActivateNode(N0), OFFSET, sights()).puts

    assert isinstance(record, NodeRecord)
    assert record.seat == "n0@50"


REPLACED = ReplaceNode(N0, NEW, "http://new:7700")


def replaced(*, joined: bool) -> World:
    """Return a cluster in which one node replaces another; it joins yet, or has joined."""
    made = holding("n0", "n1", "n2")
    made.answer(REPLACED, 50)
    if joined:
        adopted = adopt_node(made.topology, NEW, NewKeys("w", "s", "f"))
        made.topology = write(made.topology, build_puts(*adopted))
    return made


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("url", ["http://new:7700", "http://new:7700/"])
def test_replacement_asked_for_again_changes_nothing(joined: bool, url: str) -> None:  # noqa: FBT001
    """A command that was cut off is given again; a share that the new node has been given since stays."""
    made = replaced(joined=joined)
    made.answer(AddNode(NEW, "http://new:7700", weight=3.0), 51)

    decision = decide(made.topology, replace(REPLACED, url=url), Offset(52), sights())

    assert (decision.answer.accepted, decision.puts, decision.removes) == (True, (), ())


def test_replacement_by_a_node_that_is_there_is_refused_and_leaves_it_as_it_is() -> None:
    """It has copies and a share of its own: given those of the other, both would be lost."""
    topology = holding("n0", "n1", "n2").topology

    decision = decide(topology, ReplaceNode(N0, NodeId("n1"), "http://n1:7700"), OFFSET, sights())

    assert (decision.answer.code, decision.puts) == ("node_already_exists", ())
    assert decision.answer.message == "node 'n1' is in the cluster already; name a new one"


@pytest.mark.parametrize(
    ("since", "words"),
    [
        pytest.param(ActivateNode(N0), "name a new one", id="the old node is active again"),
        pytest.param(DrainNode(NEW), "name a new one", id="the new node drains itself"),
        pytest.param(None, "exists with the url http://new:7700", id="another url"),
    ],
)
def test_replacement_that_is_not_underway_any_more_is_refused(since: Request | None, words: str) -> None:
    """To say that it is done would leave the old node with its copies, without a word."""
    made = replaced(joined=True)
    if since is not None:
        assert made.answer(since, 51).answer.accepted
    asked = REPLACED if since is not None else replace(REPLACED, url="http://elsewhere:7700")

    decision = decide(made.topology, asked, Offset(52), sights())

    assert (decision.answer.code, decision.puts) == ("node_already_exists", ())
    assert words in decision.answer.message


def test_name_of_a_node_that_is_being_removed_may_be_taken() -> None:
    """It holds nothing, and joins anew."""
    topology = cluster_of(node_record("n0"), node_record("new", NodeState.REMOVED))

    (record,) = decide(topology, REPLACED, OFFSET, sights()).puts

    assert isinstance(record, NodeRecord)
    assert (record.state, record.seat) == (NodeState.JOINING, "n0")


def test_node_cannot_replace_itself() -> None:
    """It would drain what it is given."""
    decision = decide(cluster_of(node_record("n0")), ReplaceNode(N0, N0, "http://other:7700"), OFFSET, sights())

    assert decision.answer.code == "invalid_node_id"


@pytest.mark.parametrize("code", ["node_unreachable", "node_too_old", "node_of_another_cluster", "not_a_meilisearch"])
@pytest.mark.parametrize(
    "request_", [AddNode(NEW, "http://new:7700"), ReplaceNode(N0, NEW, "http://new:7700")], ids=lambda r: r.kind
)
def test_newcomer_that_cannot_join_is_refused_with_the_reason(request_: Request, code: str) -> None:
    """The answer itself says what is wrong with the node, and what to do."""
    seen = replace(sights(), newcomer=Newcomer(code, "start it"))

    decision = decide(cluster_of(node_record("n0")), request_, OFFSET, seen)

    assert (decision.answer.accepted, decision.answer.code) == (False, code)
    assert "http://new:7700: start it" in decision.answer.message


def test_node_under_another_address_is_refused() -> None:
    """Its keys say that it is in the cluster already."""
    seen = replace(sights(), newcomer=Newcomer(keys=frozenset({"n0-worker"})))

    decision = decide(cluster_of(node_record("n0")), AddNode(NEW, "http://localhost:7700"), OFFSET, seen)

    assert decision.answer.code == "node_already_exists"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(UpdateIndex(MOVIES, replication=3), "", id="more copies"),
        pytest.param(UpdateIndex(MOVIES, replication=1), "", id="fewer copies"),
        pytest.param(UpdateIndex(MOVIES), "", id="nothing"),
        pytest.param(UpdateIndex(MOVIES, replication=4), "invalid_index_replication", id="above the nodes"),
        pytest.param(UpdateIndex(MOVIES, replication=0), "invalid_index_replication", id="no copies"),
        pytest.param(UpdateIndex(MOVIES, groups=(0, 1)), "invalid_index_replication", id="a group without nodes"),
        pytest.param(UpdateIndex(MOVIES, groups=()), "invalid_index_groups", id="no group"),
        pytest.param(UpdateIndex(MOVIES, groups=(1, 0)), "invalid_index_groups", id="not rising"),
    ],
)
def test_index_changes_its_copies_while_there_is_room(change: UpdateIndex, code: str) -> None:
    """What the nodes cannot hold is refused with the numbers."""
    topology = holding("n0", "n1", "n2").topology

    decision = decide(topology, change, OFFSET, sights())

    assert decision.answer.code == code


def test_leaving_copies_go_with_a_removed_node() -> None:
    """A failed node cannot drop them; nobody waits for it."""
    topology = write_node(holding("n0", "n1", "n2").topology, NodeState.FAILED)
    gone = [replace(replica, state=ReplicaState.LEAVING) for replica in topology.replicas_on(N0)]
    topology = put(topology, *gone)

    decision = decide(topology, RemoveNode(N0), OFFSET, replace(sights(), progress=whole(topology)))

    assert set(decision.removes) == {build_key(replica) for replica in gone}


def put(topology: Topology, *values: NodeRecord | ReplicaRecord) -> Topology:
    """Return the topology after these values were written."""
    return write(topology, build_puts(*values))


def write_node(topology: Topology, state: NodeState) -> Topology:
    """Return the topology in which ``n0`` has this state."""
    return put(topology, replace(topology.nodes[N0], state=state))
