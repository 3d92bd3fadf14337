"""Decisions: the order they are written in, and which answers are kept."""

from agents.decision import (
    ACCEPTED_KEPT,
    MESSAGE_CHARS_MAX,
    RECORD_BYTES_MAX,
    REFUSED_KEPT,
    Decision,
    accept,
    build_commit,
    build_removes,
    keep_answer,
    keep_small,
    prune_answers,
    refuse,
)
from schemas.events import AnswerRecord, NodeState, SettingsRecord, build_key
from schemas.ids import Incarnation, IndexUid, Offset, SettingsVersion
from streams.topics import CLUSTER
from streams.topology import Topology, build_topology
from tests.agents.clusters import cluster_of, node_record, write


def answers(first: int, count: int, *, accepted: bool) -> list[AnswerRecord]:
    """Return answers to requests in a row."""
    return [AnswerRecord(Offset(first + at), accepted=accepted) for at in range(count)]


def test_commit_writes_puts_then_answer_then_removes_then_cursor() -> None:
    """A torn commit leaves a prefix from which the same request can be decided again."""
    decision = accept(Offset(4), node_record("a"), removes=("node/b", "index/x"))

    keys = [append.key for append in build_commit(Topology(), decision)]

    assert keys == [b"node/a", b"answer/4", b"node/b", b"index/x", b"controller"]


def test_commit_moves_the_cursor_behind_the_request() -> None:
    """The position after the request is written with its answer."""
    topology = write(Topology(), build_commit(Topology(), refuse(Offset(9), "code", "why")))

    assert topology.requests_cursor == 10
    assert topology.answer(Offset(9)) == AnswerRecord(Offset(9), accepted=False, code="code", message="why")


def test_removes_are_tombstones_of_the_cluster_topic() -> None:
    """A key is removed by a record without a value, in the one partition."""
    (append,) = build_removes("node/a")

    assert (append.topic, append.partition, append.key, append.value) == (CLUSTER, 0, b"node/a", None)


def test_keep_answer_of_a_torn_acceptance_wins_over_a_refusal() -> None:
    """What a client may have read stays true: nothing of the late refusal is written."""
    topology = cluster_of(AnswerRecord(Offset(3), accepted=True))

    assert keep_answer(topology, refuse(Offset(3), "x", "y")) == Decision(AnswerRecord(Offset(3), accepted=True))


def test_keep_answer_of_a_torn_refusal_wins_over_an_acceptance() -> None:
    """A request that was refused changes nothing, even where it could be granted by now."""
    refused = AnswerRecord(Offset(3), accepted=False, code="x", message="y")

    assert keep_answer(cluster_of(refused), accept(Offset(3), node_record("a"))) == Decision(refused)


def test_keep_answer_of_a_torn_acceptance_finishes_its_removals() -> None:
    """An accepted request is written again in full."""
    topology = cluster_of(AnswerRecord(Offset(3), accepted=True))
    decision = accept(Offset(3), removes=("index/x",))

    assert keep_answer(topology, decision) is decision


def test_record_that_no_broker_takes_becomes_a_refusal() -> None:
    """Its commit would fail each time that the request is decided again."""
    settings = SettingsRecord(IndexUid("x"), Incarnation(1), SettingsVersion(3), {"a": "x" * RECORD_BYTES_MAX})

    decision = keep_small(accept(Offset(3), node_record("a"), settings))

    assert (decision.answer.accepted, decision.answer.code, decision.puts) == (False, "payload_too_large", ())
    assert keep_small(accept(Offset(3), node_record("a"))) == accept(Offset(3), node_record("a"))


def test_refusal_quotes_no_more_than_anybody_reads() -> None:
    """A message as long as the request that it quotes would not fit a record beside it."""
    assert len(refuse(Offset(3), "code", "x" * RECORD_BYTES_MAX).answer.message) == MESSAGE_CHARS_MAX


def test_prune_removes_the_oldest_answers_beyond_each_bound() -> None:
    """Accepted and refused answers have bounds of their own."""
    kept = [*answers(0, ACCEPTED_KEPT + 2, accepted=True), *answers(5000, REFUSED_KEPT + 1, accepted=False)]
    topology = build_topology({build_key(answer): answer for answer in kept})

    assert prune_answers(topology) == ("answer/0", "answer/1", "answer/5000")


def test_prune_keeps_everything_within_the_bounds() -> None:
    """Nothing is removed before there is too much."""
    assert prune_answers(cluster_of(node_record("a", NodeState.JOINING), *answers(0, 5, accepted=True))) == ()
