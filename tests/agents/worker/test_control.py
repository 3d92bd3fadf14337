"""The controller at work: requests answered, nodes kept, and what it does when the log fails or another takes over."""

import asyncio
from collections.abc import Sequence

import pytest

from schemas.errors import LogUnavailableError
from schemas.events import NodeRecord, NodeState
from schemas.ids import IndexUid, NodeId, Partition, ShardId
from schemas.meilisearch_settings import DEFAULT_SETTINGS
from schemas.requests import (
    AddNode,
    CreateIndex,
    DeleteIndex,
    DrainNode,
    RebuildNode,
    RemoveNode,
    SetPrimaryKey,
    UpdateSettings,
)
from streams.log import Append, TopicPartition
from streams.topics import CLUSTER, PROGRESS, REQUESTS
from tests.agents.stub_meilisearch import StubMeilisearch
from tests.agents.worker.controlled import NAME, FailingTransactions, Stage
from tests.fakes.log import FakeLogTransactions

MOVIES = IndexUid("movies")


async def test_first_life_of_an_index() -> None:
    """Nodes join, an index is made with its topic, nodes get it with its settings; then it is deleted everywhere."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a", "b")
        assert (await stage.answered(CreateIndex(MOVIES, shards=3, replication=2))).accepted
        assert stage.log.topics()["miroir.docs.movies"].partitions == 3
        uid = f"movies__{stage.topology.index(MOVIES).incarnation}"
        await stage.until(lambda: all(uid in node.indexes for node in stage.nodes.values()))

        offset = (await stage.answered(SetPrimaryKey(MOVIES, "id", inferred=True))).offset
        await stage.until(lambda: _has(stage, uid, "id", offset))
        offset = (await stage.answered(UpdateSettings(MOVIES, {"sortableAttributes": ["year"]}))).offset
        await stage.until(lambda: _has(stage, uid, "id", offset))
        assert stage.nodes["a"].settings(uid)["sortableAttributes"] == ["year"]

        assert (await stage.answered(DeleteIndex(MOVIES))).accepted
        await stage.until(lambda: not any(stage.topology.retired()))
        assert not any(node.indexes for node in stage.nodes.values())
        assert "miroir.docs.movies" not in stage.log.topics()


async def _made(stage: Stage) -> str:
    """Let a node join and hold an index of one shard; return the index's name there."""
    await stage.joined("a")
    await stage.answered(CreateIndex(MOVIES, "id", shards=1, replication=1))
    uid = f"movies__{stage.topology.index(MOVIES).incarnation}"
    await stage.until(lambda: uid in stage.nodes["a"].indexes)
    return uid


def _has(stage: Stage, uid: str, primary_key: str, version: int) -> bool:
    return all(
        uid in node.indexes
        and node.indexes[uid]["primaryKey"] == primary_key
        and f"_miroir_v{version}" in node.settings(uid)["synonyms"]
        for node in stage.nodes.values()
    )


async def test_topic_is_there_before_the_index_is() -> None:
    """Whoever sees the index finds its topic."""
    stage = Stage()
    made: list[bool] = []

    class Watching(FakeLogTransactions):
        async def commit(self, appends: Sequence[Append]) -> None:
            if any(append.key == b"index/movies" for append in appends):
                made.append("miroir.docs.movies" in stage.log.topics())
            await super().commit(appends)

    stage.transactions = lambda: Watching(stage.log, NAME)
    async with stage.controlled():
        await stage.joined("a")
        await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert made == [True]


@pytest.mark.parametrize("value", [b"{nope", b"[]", b'{"kind":"unknown"}', None], ids=["text", "list", "kind", "null"])
async def test_malformed_request_is_answered_and_the_next_one_too(value: bytes | None) -> None:
    """Nothing that somebody appends stands in the way."""
    stage = Stage()
    async with stage.controlled():
        first = await stage.answered(value)
        second = await stage.answered(AddNode(NodeId("a"), "http://a:7700"))

    assert (first.accepted, first.code) == (False, "malformed_request")
    assert second.accepted


async def test_missing_topic_refuses_the_index_where_topics_may_not_be_made() -> None:
    """The operator is told what to create; nothing is written."""
    stage = Stage()
    async with stage.controlled(topics_created=False):
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert (answer.accepted, answer.code) == (False, "topic_not_found")
    assert not stage.topology.indexes


async def test_node_that_cannot_be_reached_is_refused_and_holds_up_nobody() -> None:
    """The answer says what to do; when it is there it is taken in, and others meanwhile."""
    stage = Stage(nodes={"dead": StubMeilisearch()})
    stage.nodes["dead"].down = True
    async with stage.controlled():
        refused = await stage.answered(AddNode(NodeId("dead"), "http://dead:7700"))
        await stage.joined("a")
        assert stage.states(["dead"]) == [None]

        stage.nodes["dead"].down = False
        await stage.joined("dead")

    assert (refused.accepted, refused.code) == (False, "node_unreachable")
    assert "start it" in refused.message


async def test_node_that_goes_away_while_it_joins_is_taken_in_when_it_returns() -> None:
    """It was accepted: from then on its keeper waits for it, and nobody else does."""
    stage = Stage(nodes={"a": StubMeilisearch()})
    stage.put(NodeRecord(NodeId("a"), "http://a:7700"))
    stage.nodes["a"].down = True
    async with stage.controlled() as controller:
        await stage.joined("b")
        await stage.until(lambda: NodeId("a") in controller.faults)
        assert stage.states(["a"]) == [NodeState.JOINING]

        stage.nodes["a"].down = False
        await stage.until(lambda: stage.states(["a"]) == [NodeState.ACTIVE])
        await stage.until(lambda: not controller.faults)


async def test_name_of_a_removed_node_is_taken_by_another_machine() -> None:
    """The first one never comes back, so its record still stands; the one at the new address is taken in."""
    stage = Stage()
    a = NodeId("a")
    async with stage.controlled():
        await stage.joined("a", "b")
        dead, stage.nodes["a"] = stage.nodes["a"], StubMeilisearch()
        dead.down = True
        assert (await stage.answered(RemoveNode(a))).accepted
        assert stage.states(["a"]) == [NodeState.REMOVED]

        assert (await stage.answered(AddNode(a, "http://elsewhere:7700"))).accepted
        await stage.until(lambda: stage.states(["a"]) == [NodeState.ACTIVE])

    assert stage.topology.node(a).worker_key in stage.nodes["a"].keys


async def test_drained_node_is_empty_and_then_gone() -> None:
    """Copies that nothing was posted to are placed elsewhere at once; what we made on the node is taken back."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a", "b", "c")
        await stage.answered(CreateIndex(MOVIES, shards=4, replication=2))
        assert stage.topology.replicas_on(NodeId("a"))

        assert (await stage.answered(DrainNode(NodeId("a")))).accepted
        await stage.until(lambda: not (stage.topology.replicas_on(NodeId("a")) or stage.topology.leaving))
        assert (await stage.answered(RemoveNode(NodeId("a")))).accepted
        await stage.until(lambda: stage.states(["a"]) == [None])

    shards = [stage.topology.replicas_of(MOVIES, ShardId(shard)) for shard in range(4)]
    assert [[replica.node for replica in shard] for shard in shards] == [["b", "c"]] * 4
    assert stage.nodes["a"].keys == {}


async def test_wiped_node_gets_new_keys_and_new_attempts_at_once() -> None:
    """A lost disk is found by the missing key: everything placed on it begins anew, and only there."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a", "b")
        await stage.answered(CreateIndex(MOVIES, shards=2, replication=2))
        before = stage.topology

        stage.nodes["a"].wipe()
        await stage.until(lambda: stage.topology.node(NodeId("a")).worker_key != before.node(NodeId("a")).worker_key)

        after = stage.topology
        await stage.until(lambda: stage.nodes["a"].indexes)

    assert {r.attempt for r in after.replicas_on(NodeId("a"))} != {r.attempt for r in before.replicas_on(NodeId("a"))}
    assert after.replicas_on(NodeId("b")) == before.replicas_on(NodeId("b"))
    node = after.node(NodeId("a"))
    assert set(stage.nodes["a"].keys) == {node.worker_key, node.search_key, node.fence_key}


async def test_rebuilt_node_answers_only_to_the_next_search_key() -> None:
    """The next key works already; the old one is deleted before the one after it is made; the worker key stays."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a")
        await stage.answered(CreateIndex(MOVIES, shards=2, replication=1))
        before = stage.topology.node(NodeId("a"))

        await stage.answered(RebuildNode(NodeId("a")))
        after = stage.topology.node(NodeId("a"))
        await stage.until(lambda: set(stage.nodes["a"].keys) == {before.worker_key, before.fence_key, after.fence_key})

    calls = [call for call in stage.nodes["a"].asked if call.split()[0] in {"DELETE", "POST"} and "/keys" in call]
    assert calls[-2:] == [f"DELETE /keys/{before.search_key}", "POST /keys"]
    assert after.search_key != before.search_key


async def test_older_disk_gets_the_settings_it_lacks() -> None:
    """A node that returns with a copy of its disk is brought to the present keys and settings, without new attempts."""
    stage = Stage()
    async with stage.controlled():
        uid = await _made(stage)
        disk = stage.nodes["a"].copy_disk()
        offset = (await stage.answered(UpdateSettings(MOVIES, {"stopWords": ["the"]}))).offset
        await stage.until(lambda: _has(stage, uid, "id", offset))
        before = stage.topology.replicas_on(NodeId("a"))

        stage.nodes["a"].restore_disk(disk)
        assert not _has(stage, uid, "id", offset)
        await stage.until(lambda: _has(stage, uid, "id", offset))

    assert stage.topology.replicas_on(NodeId("a")) == before


@pytest.mark.parametrize("code", ["invalid_document_geo_field", "vector_embedding_error"])
async def test_settings_that_documents_do_not_allow_refuse_the_request_later(code: str) -> None:
    """The answer becomes the task's error, the former settings are in force; others are taken afterwards."""
    stage = Stage()
    async with stage.controlled() as controller:
        uid = await _made(stage)
        stage.nodes["a"].settings_error = (code, "document 777")

        offset = stage.ask(UpdateSettings(MOVIES, {"filterableAttributes": ["_geo"]}))
        await stage.until(lambda: (answer := stage.topology.answer(offset)) is not None and not answer.accepted)
        refused = stage.topology.answer(offset)
        assert refused is not None
        assert (refused.code, refused.message) == (code, "document 777")
        # The node has what it had, and that is what is wanted of it again.
        settings = stage.topology.settings(MOVIES)
        assert settings is not None
        assert settings.settings == DEFAULT_SETTINGS
        assert _has(stage, uid, "id", settings.version)

        stage.nodes["a"].settings_error = None
        offset = (await stage.answered(UpdateSettings(MOVIES, {"filterableAttributes": None}))).offset
        await stage.until(lambda: _has(stage, uid, "id", offset))
        await stage.until(lambda: not controller.faults)


async def test_settings_that_a_node_refuses_at_once_hold_up_no_other_index() -> None:
    """An older node does not know all that a newer one does: the change is refused, as by a task that fails."""
    stage = Stage()
    async with stage.controlled() as controller:
        await _made(stage)
        stage.nodes["a"].strange = "year:desc"

        offset = stage.ask(UpdateSettings(MOVIES, {"rankingRules": ["words", "year:desc"]}))
        await stage.until(lambda: (answer := stage.topology.answer(offset)) is not None and not answer.accepted)
        settings = stage.topology.settings(MOVIES)
        assert settings is not None
        assert settings.settings == DEFAULT_SETTINGS
        await stage.until(lambda: not controller.faults)


async def test_index_whose_settings_a_node_does_not_know_holds_up_no_other() -> None:
    """The node is there and takes everything else; what it refuses is shown, and sent again later."""
    stage = Stage(nodes={"a": StubMeilisearch()})
    stage.nodes["a"].strange, stage.nodes["a"].strange_code = "year:desc", "bad_request"
    async with stage.controlled() as controller:
        await stage.joined("a")
        await stage.answered(CreateIndex(MOVIES, "id", shards=1, replication=1))
        await stage.answered(UpdateSettings(MOVIES, {"rankingRules": ["words", "year:desc"]}))
        await stage.until(lambda: "year:desc" in controller.faults.get(NodeId("a"), ""))

        answer = await stage.answered(CreateIndex(IndexUid("songs"), "id", shards=1, replication=1))
        await stage.until(lambda: _has(stage, f"songs__{answer.offset}", "id", answer.offset))


async def test_held_settings_are_sent_once() -> None:
    """A task that waits for minutes is looked at, not sent again."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a")
        stage.nodes["a"].held = True
        await stage.answered(CreateIndex(MOVIES, "id", shards=1, replication=1))
        await stage.until(lambda: sum("/tasks/" in call for call in stage.nodes["a"].asked) > 3)
        sent = [task["type"] for task in stage.nodes["a"].tasks]
        stage.nodes["a"].release()
        uid = f"movies__{stage.topology.index(MOVIES).incarnation}"
        await stage.until(lambda: _has(stage, uid, "id", stage.topology.index(MOVIES).settings_version))

    assert sent == ["indexCreation", "settingsUpdate"]


@pytest.mark.parametrize("records", range(9))
async def test_commit_that_breaks_off_is_decided_again(records: int) -> None:
    """Wherever a commit is cut, the log is read again and the request answered once."""
    stage = Stage()
    failed: list[int] = []
    stage.transactions = lambda: FailingTransactions(stage.log, fail_at=2, records=records, failed=failed)
    async with stage.controlled():
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, shards=3, replication=1))
        await stage.until(lambda: stage.topology.requests_cursor == 2)

    assert answer.accepted
    assert [len(stage.topology.replicas_of(MOVIES, shard)) for shard in stage.topology.replicas[MOVIES]] == [1, 1, 1]


async def test_controller_outlives_an_absent_log(caplog: pytest.LogCaptureFixture) -> None:
    """With Kafka away it waits; afterwards it answers what was asked."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a")
        stage.log.away = True
        await stage.until(lambda: any("begins anew" in record.message for record in caplog.records))
        stage.log.away = False

        answer = await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert answer.accepted


async def test_controller_whose_client_gives_up_from_within_leads_again() -> None:
    """A broker goes away in the middle of a commit, and the client's own cancelling shows in whoever closes it."""
    stage = Stage()
    closed: list[bool] = []

    class GivingUp(FakeLogTransactions):
        async def commit(self, appends: Sequence[Append]) -> None:
            if not closed and any(append.key == b"index/movies" for append in appends):
                raise LogUnavailableError("commit: no broker answers")
            await super().commit(appends)

        async def close(self) -> None:
            if not closed:
                closed.append(True)
                raise asyncio.CancelledError

    stage.transactions = lambda: GivingUp(stage.log, NAME)
    async with stage.controlled():
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert closed
    assert answer.accepted


async def test_new_controller_goes_on_where_the_last_one_stopped() -> None:
    """Requests are answered once, by whoever leads, from what the log says alone."""
    stage = Stage()
    async with stage.controlled():
        await stage.joined("a")
    stage.log.compact(TopicPartition(CLUSTER, Partition(0)))
    offset = stage.ask(CreateIndex(MOVIES, shards=1, replication=1))

    async with stage.controlled():
        await stage.until(lambda: stage.topology.answer(offset) is not None)

    assert stage.topology.requests_cursor == offset + 1
    assert sum(record.key == b"answer/0" for record in stage.log.records(CLUSTER)) == 1


async def test_requests_that_were_trimmed_unanswered_stop_it_loudly(caplog: pytest.LogCaptureFixture) -> None:
    """A request that nobody can read any more is never skipped in silence."""
    stage = Stage()
    for _ in range(3):
        stage.ask(AddNode(NodeId("a"), "http://a:7700"))
    stage.log.trim(TopicPartition(REQUESTS, Partition(0)), 2)

    async with stage.controlled():
        await stage.until(lambda: any("outside the log" in str(r.__dict__.get("error")) for r in caplog.records))

    assert stage.topology.requests_cursor == 0


async def test_progress_that_cannot_be_read_is_passed_over() -> None:
    """One foreign record would end every lead, and whoever led next would meet it again."""
    stage = Stage()
    stage.log.append(Append(PROGRESS, Partition(0), b"foreign", b"no progress"))
    async with stage.controlled():
        await stage.joined("a")
        answer = await stage.answered(CreateIndex(MOVIES, shards=1, replication=1))

    assert answer.accepted
