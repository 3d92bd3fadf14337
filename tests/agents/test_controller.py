"""The controller's decisions as a whole: every request over every state, torn commits, repeats and fresh folds."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.controller import decide, decide_malformed, topics_needed
from agents.decision import build_commit
from agents.log_identity import CURE
from schemas.events import AnswerRecord, ControllerRecord, NodeRecord, ReplicaRecord, build_key, build_value
from schemas.ids import Incarnation, IndexUid, NodeId, Offset, Partition
from schemas.requests import (
    ActivateNode,
    AddNode,
    CreateIndex,
    DeleteIndex,
    DrainNode,
    MaintainNode,
    PauseIndex,
    RebuildNode,
    RemoveNode,
    ReplaceLog,
    ReplaceNode,
    Request,
    ResumeIndex,
    RetireFormer,
    SetPrimaryKey,
    UpdateIndex,
    UpdateSettings,
)
from streams.log import Append
from streams.topics import CLUSTER
from streams.topology import Topology
from tests.agents.clusters import MOVIES, World, node_record, sights, topic, world, world_with_index, write

REQUESTS: list[Request] = [
    AddNode(NodeId("n0"), "http://n0:7700"),
    AddNode(NodeId("n0"), "http://n0:7700", weight=2.0),
    AddNode(NodeId("n0"), "http://elsewhere:7700"),
    AddNode(NodeId("new"), "http://new:7700"),
    RebuildNode(NodeId("n0")),
    RebuildNode(NodeId("unknown")),
    DrainNode(NodeId("n0")),
    MaintainNode(NodeId("n0")),
    ActivateNode(NodeId("n0")),
    RemoveNode(NodeId("n0")),
    RemoveNode(NodeId("n0"), force=True),
    RemoveNode(NodeId("n0"), forget=True),
    ReplaceNode(NodeId("n0"), NodeId("new"), "http://new:7700"),
    ReplaceNode(NodeId("n0"), NodeId("n1"), "http://n1:7700"),
    UpdateIndex(MOVIES, replication=3),
    UpdateIndex(MOVIES, groups=(0, 1)),
    CreateIndex(MOVIES, shards=3, replication=2),
    CreateIndex(IndexUid("films"), "id", shards=2, replication=3),
    DeleteIndex(MOVIES),
    SetPrimaryKey(MOVIES, "id"),
    SetPrimaryKey(MOVIES, "other", inferred=True),
    UpdateSettings(MOVIES, {"sortableAttributes": ["year"]}),
    UpdateSettings(MOVIES, {"faceting": {"maxValuesPerFacet": 5}, "stopWords": None}),
    UpdateSettings(MOVIES, {"nope": 1}),
    PauseIndex(MOVIES, "why"),
    PauseIndex(MOVIES, "why", Incarnation(99)),
    ResumeIndex(MOVIES),
    ReplaceLog(MOVIES, "new", Incarnation(1)),
    RetireFormer(MOVIES, Incarnation(1)),
    RetireFormer(MOVIES, Incarnation(1), remove=True),
]


def paused() -> World:
    """Return a cluster whose index is paused."""
    made = world_with_index("id")
    made.answer(PauseIndex(MOVIES, "first"), 2)
    made.topics["new"] = topic("new")
    return made


def without_log() -> World:
    """Return a cluster whose index is paused because its log is gone."""
    made = world_with_index("id")
    made.answer(PauseIndex(MOVIES, CURE.format(uid=MOVIES)), 2)
    return made


def deleted() -> World:
    """Return a cluster whose index is deleted, its remains not yet gone."""
    made = world_with_index()
    made.answer(DeleteIndex(MOVIES), 2)
    return made


def drained() -> World:
    """Return a cluster of four nodes, one of them draining."""
    made = world(4)
    made.answer(CreateIndex(MOVIES, shards=3, replication=2), 1)
    made.answer(DrainNode(NodeId("n0")), 2)
    return made


def relogged(*, silent: bool = False) -> World:
    """Return a cluster whose index has got another log; its former copies may answer searches still."""
    made = paused()
    made.answer(ReplaceLog(MOVIES, "new", Incarnation(1)), 9)
    if silent:
        made.answer(RetireFormer(MOVIES, Incarnation(1)), 10)
    return made


STATES: dict[str, Callable[[], World]] = {
    "nothing": lambda: world(0),
    "nodes": world,
    "index": world_with_index,
    "index with key": lambda: world_with_index("id"),
    "paused": paused,
    "without its log": without_log,
    "deleted": deleted,
    "another log": relogged,
    "another log, former silent": lambda: relogged(silent=True),
    "draining": drained,
}
OFFSET = 20


def plain(topology: Topology) -> dict[str, object]:
    """Return the entities, without the numbers of attempts: a repeat may begin a placement once more."""
    return {
        key: (value.uid, value.shard, value.node) if isinstance(value, ReplicaRecord) else value
        for key, value in topology.entities.items()
    }


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.kind)
@pytest.mark.parametrize("state", STATES)
def test_every_request_in_every_state_is_answered_once_and_behind(state: str, request_: Request) -> None:
    """Whatever is asked of whatever cluster: one answer, the cursor behind it, reasons for a refusal."""
    made = STATES[state]()

    decision = made.answer(request_, OFFSET)

    answer = made.topology.answer(Offset(OFFSET))
    assert answer == decision.answer
    assert made.topology.entities["controller"] == ControllerRecord(made.topology.requests_cursor)
    assert made.topology.requests_cursor == OFFSET + 1
    assert answer is not None
    assert answer.accepted == (answer.code == "") == (answer.message == "")
    assert answer.accepted or not decision.puts


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.kind)
@pytest.mark.parametrize("state", STATES)
def test_torn_commit_then_repeat_equals_one_commit(state: str, request_: Request) -> None:
    """On a broker without transactions a commit may be cut anywhere: deciding again leads to the same cluster."""
    whole = STATES[state]()
    records = len(build_commit(whole.topology, whole.decide(request_, OFFSET)))
    whole.answer(request_, OFFSET)

    for cut in range(records + 1):
        torn = STATES[state]()
        torn.answer(request_, OFFSET, torn_after=cut)
        torn.answer(request_, OFFSET)

        # A torn creation has made the plain topic: the repeat finds it taken and makes one with its incarnation in.
        assert without_topics(torn.topology) == without_topics(whole.topology), f"cut after {cut} records"


def without_topics(topology: Topology) -> dict[str, object]:
    """Return the entities without attempts and topic names."""
    return {key: str(value).replace("miroir.gen.20.", "miroir.docs.") for key, value in plain(topology).items()}


@pytest.mark.parametrize("state", STATES)
def test_attempts_of_a_repeat_only_grow(state: str) -> None:
    """A copy of the first try is never taken for one of the second."""
    made = STATES[state]()
    made.answer(RebuildNode(NodeId("n0")), OFFSET, torn_after=2)
    first = {build_key(r): r.attempt for r in made.topology.replicas_on(NodeId("n0"))}

    made.answer(RebuildNode(NodeId("n0")), OFFSET)

    second = {build_key(r): r.attempt for r in made.topology.replicas_on(NodeId("n0"))}
    assert second.keys() == first.keys()
    assert all(second[key] > first[key] for key in first)


def test_torn_creation_with_other_nodes_leaves_no_stray_placement() -> None:
    """Between two tries a node may have joined: placements of the first try that the second does not want go."""
    made = world(2)
    request = CreateIndex(MOVIES, shards=8, replication=1)
    made.answer(request, OFFSET, torn_after=9)
    made.topology = write(made.topology, [_append(node_record("n7")), _append(node_record("n8"))])

    decision = made.answer(request, OFFSET)

    wanted = {build_key(put) for put in decision.puts if isinstance(put, ReplicaRecord)}
    assert {key for key in made.topology.entities if key.startswith("replica/")} == wanted
    assert sum(len(r) for r in made.topology.replicas[MOVIES].values()) == 8


def _append(value: NodeRecord) -> Append:
    return Append(CLUSTER, Partition(0), build_key(value).encode(), build_value(value))


def test_malformed_request_is_refused_with_the_reason() -> None:
    """It is answered like any other and does not stand in the way."""
    decision = decide_malformed(Topology(), Offset(3), "not JSON")

    assert decision.answer == AnswerRecord(Offset(3), accepted=False, code="malformed_request", message="not JSON")


def test_settings_that_no_record_holds_are_refused() -> None:
    """Each change fits a request, together they fit no record: the last is refused, what stood before stands."""
    made = world_with_index()
    for offset, name in ((50, "stopWords"), (51, "separatorTokens")):
        decision = made.answer(UpdateSettings(MOVIES, {name: ["x" * 600_000]}), offset)

    assert (decision.answer.accepted, decision.answer.code) == (False, "payload_too_large")
    assert made.topology.index(MOVIES).settings_version == 50


def test_topics_are_looked_at_only_where_a_decision_needs_them() -> None:
    """Creating and naming a primary key ask Kafka; nothing else waits for it."""
    topology = world_with_index().topology

    assert topics_needed(topology, SetPrimaryKey(MOVIES, "id"), Offset(1)) == ("miroir.docs.movies",)
    assert topics_needed(topology, SetPrimaryKey(IndexUid("no"), "id"), Offset(1)) == ()
    assert topics_needed(topology, DeleteIndex(MOVIES), Offset(1)) == ()


def test_deciding_twice_from_the_same_gives_the_same() -> None:
    """A decision has no memory, no clock and no chance in it."""
    topology = world_with_index().topology
    request = CreateIndex(IndexUid("films"), shards=5)
    seen = sights([topic("miroir.docs.films")])

    assert decide(topology, request, Offset(9), seen) == decide(topology, request, Offset(9), seen)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(REQUESTS), max_size=12), st.data())
def test_fresh_fold_of_the_compacted_topic_is_the_same_topology(asked: list[Request], data: st.DataObject) -> None:
    """After any requests, torn anywhere and repeated: folding only the last record of each key gives the same."""
    made = world()
    log: list[Append] = [_append(node) for node in made.topology.nodes.values()]
    for offset, request in enumerate(asked):
        torn_after = data.draw(st.integers(0, 5))
        for cut in (torn_after, None):
            records = build_commit(made.topology, made.decide(request, offset))[:cut]
            log.extend(records)
            made.topology = write(made.topology, records) if records else made.topology
    last = {append.key: append for append in log}

    fresh = write(Topology(), list(last.values()))

    assert fresh.entities == made.topology.entities
    assert fresh.replicas == made.topology.replicas
    assert fresh.indexes == made.topology.indexes
