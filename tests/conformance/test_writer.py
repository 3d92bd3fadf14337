"""One suite for every ``NodeWriter``: the fake one, HTTP to the embedded node, and to a real Meilisearch where present.

What is proved here is what the cursor fold rests on: metadata comes back with its task, tasks keep their order, failing
is told apart, and a post that nobody answered for shows in the list.
"""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest

from agents.batching import RANGES_MAX
from agents.node_admin import KeyRole
from agents.nodes.admin import HttpNodeAdmin
from agents.nodes.writer import PAGE_TASKS, HttpNodeWriter
from agents.operations import Operation
from agents.ports import NodeWriter
from agents.posts import PostPart, ShardSlice, build_parts
from agents.tail import TaskView
from schemas.documents import NESTING_MAX, parse_document
from schemas.errors import NodeForgotError, NodeRejectedError, NodeTimeoutError, NodeUnreachableError
from schemas.ids import (
    Attempt,
    Incarnation,
    NodeId,
    NodeIndexUid,
    Offset,
    Position,
    SettingsVersion,
    ShardId,
    node_index_uid,
)
from schemas.keys import derive_key
from schemas.meilisearch_settings import DEFAULT_SETTINGS
from schemas.posts import Drop, PositionRange, build_metadata, parse_metadata
from streams.marker import marker_of, shards_filter, splice_marker
from streams.node_settings import build_node_settings
from tests.builders import UID
from tests.fakes.node import FakeNode, FakeNodeWriter
from tests.integration.node import NODE_MASTER_KEY, Node
from tests.integration.waiting import until

INCARNATION = Incarnation(7)
INDEX = node_index_uid(UID, INCARNATION)
VERSION = SettingsVersion(12)
TIMEOUT_S = 100.0
SHORT_TIMEOUT_S = 0.5
FINISHED = {"succeeded", "failed", "canceled"}


class Stand(Protocol):
    """A node under test: what the suite does to it besides writing."""

    writer: NodeWriter

    async def create_index(self, uid: NodeIndexUid) -> None:
        """Make an index with our settings, whose ``_geo`` (or its like) can be wrong."""

    async def documents(self, uid: NodeIndexUid) -> Mapping[str, Mapping[str, Any]]:
        """Return what can be searched, by id."""

    async def has_index(self, uid: NodeIndexUid) -> bool:
        """Return whether there is such an index."""

    async def settle(self) -> None:
        """Return when no task waits."""

    async def restart(self, *, empty: bool) -> None:
        """Kill it and start it again, with its disk or with an empty one."""

    def freeze(self) -> NodeWriter:
        """Stop it; return a writer that waits for an answer for a short time only."""

    def thaw(self) -> None:
        """Let it go on."""

    def poison(self) -> Mapping[str, object]:
        """Return the field that fails a whole batch."""

    async def close(self) -> None:
        """End it."""


class FakeStand:
    """The in-memory node; its tasks run when somebody waits for them."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.writer: NodeWriter = FakeNodeWriter(self.node)

    async def create_index(self, uid: NodeIndexUid) -> None:
        """Make an index; see ``Stand``."""
        self.node.create_index(uid, "id", VERSION)

    async def documents(self, uid: NodeIndexUid) -> Mapping[str, Mapping[str, Any]]:
        """Return the documents; see ``Stand``."""
        return self.node.documents(uid)

    async def has_index(self, uid: NodeIndexUid) -> bool:
        """Return whether there is such an index."""
        return self.node.has_index(uid)

    async def settle(self) -> None:
        """Run everything."""
        self.node.run_all()

    async def restart(self, *, empty: bool) -> None:
        """Empty the disk, or do nothing: there is no process to lose."""
        if empty:
            self.node.wipe()

    def freeze(self) -> NodeWriter:
        """Stop it; see ``Stand``."""
        self.node.is_frozen = True
        return self.writer

    def thaw(self) -> None:
        """Let it go on."""
        self.node.thaw()

    def poison(self) -> Mapping[str, object]:
        """Return the field that fails a whole batch."""
        return {self.node.poison: True}

    async def close(self) -> None:
        """Nothing runs."""


class ProcessStand:
    """A process that speaks Meilisearch's protocol."""

    def __init__(self, directory: Path, binary: str | None) -> None:
        self._node = Node("n1", directory, binary)
        self._key_uid = str(uuid.uuid4())
        self._admin = HttpNodeAdmin(NodeId("n1"), self._node.url, NODE_MASTER_KEY, timeout_s=TIMEOUT_S)
        self._writers: list[NodeWriter] = []
        self.writer = self._make_writer(TIMEOUT_S)

    async def start(self) -> None:
        """Start it and make the worker's key."""
        await self._node.start()
        await self._admin.create_key(self._key_uid, KeyRole.WORKER, "conformance")

    def _make_writer(self, timeout_s: float) -> NodeWriter:
        key = derive_key(NODE_MASTER_KEY, self._key_uid)
        self._writers.append(HttpNodeWriter(NodeId("n1"), self._node.url, key, timeout_s=timeout_s))
        return self._writers[-1]

    async def create_index(self, uid: NodeIndexUid) -> None:
        """Make an index; see ``Stand``."""
        settings = {**DEFAULT_SETTINGS, "filterableAttributes": ["_geo"]}
        await self._admin.create_index(uid, "id")
        task = await self._admin.update_settings(uid, build_node_settings(settings, VERSION))
        await self.settle()
        assert (await self._admin.fetch_task(task)).code == ""

    async def documents(self, uid: NodeIndexUid) -> Mapping[str, Mapping[str, Any]]:
        """Return the documents; see ``Stand``."""
        found = (await self._node.ask(f"/indexes/{uid}/documents", limit="100000"))["results"]
        return {str(document["id"]): document for document in found}

    async def has_index(self, uid: NodeIndexUid) -> bool:
        """Return whether there is such an index."""
        return uid in await self._admin.fetch_indexes()

    async def settle(self) -> None:
        """Wait; see ``Stand``."""

        async def idle() -> bool:
            waiting = await self._node.ask("/tasks", statuses="enqueued,processing", limit="1")
            return not waiting["results"]

        await until(idle, "all tasks to finish")

    async def restart(self, *, empty: bool) -> None:
        """Kill it and start it again; see ``Stand``."""
        await self._node.kill()
        if empty:
            self._node.wipe()
        await self._node.start()

    def freeze(self) -> NodeWriter:
        """Stop it; see ``Stand``."""
        self._node.freeze()
        return self._make_writer(SHORT_TIMEOUT_S)

    def thaw(self) -> None:
        """Let it go on."""
        self._node.thaw()

    def poison(self) -> Mapping[str, object]:
        """Return a ``_geo`` that is none."""
        return {"_geo": {"lat": "north"}}

    async def close(self) -> None:
        """End it."""
        for writer in self._writers:
            await writer.close()
        await self._admin.close()
        await self._node.close()


@pytest.fixture(params=["fake", "embedded", pytest.param("real", marks=[pytest.mark.meilisearch, pytest.mark.slow])])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """Each node in turn, with the index in it."""
    binary = os.environ.get("MEILISEARCH_BIN")
    if request.param == "real" and not binary:
        pytest.skip("MEILISEARCH_BIN names no binary")
    made: Stand
    if request.param == "fake":
        made = FakeStand()
    else:
        made = process = ProcessStand(tmp_path, binary if request.param == "real" else None)
        await process.start()
    try:
        await made.create_index(INDEX)
        yield made
    finally:
        await made.close()


def make_parts(
    documents: Sequence[Mapping[str, object]] = (),
    deletes: Sequence[str] = (),
    *,
    shard: int = 0,
    shards: int = 1,
    start: int = 0,
    post: str = "w-1",
) -> Sequence[PostPart]:
    """Return the parts of a post of these documents and deletes, in as many shards as said, all alike."""
    slices = {}
    for number in map(ShardId, range(shard, shard + shards)):
        bodies = [(str(d.get("id")), splice_marker(orjson.dumps(d), number)) for d in documents]
        rows: list[tuple[str, bytes | None]] = [*bodies, *((key, None) for key in deletes)]
        operations = [Operation(Offset(start + at), 0, key, body) for at, (key, body) in enumerate(rows)]
        slices[number] = ShardSlice(PositionRange(Position(start), Position(start + max(1, len(rows)))), operations)
    return build_parts(post, INCARNATION, slices)


async def send(stand: Stand, *parts: PostPart, index: NodeIndexUid = INDEX) -> list[int]:
    """Send the parts in order and return the uids of their tasks."""
    return [await stand.writer.post(index, part) for part in parts]


async def finished(stand: Stand, uids: Sequence[int]) -> list[TaskView]:
    """Return these tasks once nothing waits any more."""
    await stand.settle()
    found = [task for task in await stand.writer.tasks_from(min(uids)) if task.uid in uids]
    assert all(task.status in FINISHED for task in found)
    return found


async def test_metadata_comes_back_with_its_task(stand: Stand) -> None:
    """What a post says of itself is in the node's own list, with everything the fold asks for."""
    parts = make_parts([{"id": 1, "title": "a"}], ["2"])

    uids = await send(stand, *parts)
    tasks = await finished(stand, uids)

    assert [task.metadata for task in tasks] == [part.metadata for part in parts]
    assert [parse_metadata(task.metadata) for task in tasks] == [part.post for part in parts]
    assert {(task.status, task.index_uid, task.error_code, task.error_message) for task in tasks} == {
        ("succeeded", INDEX, "", "")
    }
    assert all(task.enqueued_at for task in tasks)
    assert set(await stand.documents(INDEX)) == {"1"}


async def test_tasks_keep_the_order_in_which_they_were_sent(stand: Stand) -> None:
    """Uids rise, the list is by uid, and the last write of an id wins."""
    posts = [make_parts([{"id": 1, "n": n}, {"id": n + 10}], start=n, post=f"w-{n}")[0] for n in range(20)]

    uids = await send(stand, *posts)
    tasks = await finished(stand, uids)

    assert uids == sorted(set(uids))
    assert [task.uid for task in tasks] == uids
    assert (await stand.documents(INDEX))["1"]["n"] == 19
    assert len(await stand.documents(INDEX)) == 21


async def test_documents_then_deletes_of_one_post_are_two_tasks(stand: Stand) -> None:
    """A range with both leaves exactly what was not deleted."""
    await finished(stand, await send(stand, *make_parts([{"id": n} for n in range(5)])))

    await finished(stand, await send(stand, *make_parts([{"id": 7}], ["1", "2", "no-such"], start=5, post="w-2")))

    assert set(await stand.documents(INDEX)) == {"0", "3", "4", "7"}


async def test_documents_are_told_by_id_as_they_are(stand: Stand) -> None:
    """Those that are there, marker and all; one that is not is left out."""
    written = {"id": 7, "title": "a", "nested": {"n": [1, None, 2.5]}}
    await finished(stand, await send(stand, *make_parts([written, {"id": "x-1"}, {"id": 8}])))

    found = await stand.writer.documents(INDEX, ["x-1", "7", "no-such"])

    marker = marker_of(ShardId(0))
    by_id = {document["id"]: document for document in found}
    assert by_id == {7: {**written, "_miroir": marker}, "x-1": {"id": "x-1", "_miroir": marker}}


async def test_documents_of_an_index_that_is_not_there_are_refused(stand: Stand) -> None:
    """An index may be deleted while somebody looks at it."""
    with pytest.raises(NodeRejectedError) as refused:
        await stand.writer.documents(node_index_uid(UID, Incarnation(99)), ["1"])

    assert (refused.value.status, refused.value.code) == (404, "index_not_found")


async def test_task_list_is_read_over_its_pages(stand: Stand) -> None:
    """From a uid on, inclusive, none left out and none twice, however many there are."""
    (part,) = make_parts()
    uids = [await stand.writer.post(INDEX, part) for _ in range(PAGE_TASKS + 5)]

    found = [task.uid for task in await stand.writer.tasks_from(uids[0])]

    assert found == uids
    assert [task.uid for task in await stand.writer.tasks_from(uids[-1])] == uids[-1:]
    assert list(await stand.writer.tasks_from(uids[-1] + 1)) == []


async def test_empty_delete_batch_succeeds_and_keeps_its_metadata(stand: Stand) -> None:
    """A range without any operation, and a checkpoint, cost a task and move the cursor."""
    (part,) = make_parts()
    assert (part.is_delete, part.body) == (True, b"[]")

    (task,) = await finished(stand, await send(stand, part))

    assert (task.status, task.metadata) == ("succeeded", part.metadata)


async def test_bad_id_fails_its_task_and_no_other(stand: Stand) -> None:
    """None of its payload is written; a task beside it succeeds."""
    good, bad = make_parts([{"id": 1}]), make_parts([{"id": "a b"}, {"id": 2}], start=1, post="w-2")

    tasks = await finished(stand, await send(stand, *good, *bad))

    assert [(task.status, task.error_code) for task in tasks] == [("succeeded", ""), ("failed", "invalid_document_id")]
    assert tasks[1].error_message
    assert set(await stand.documents(INDEX)) == {"1"}


async def test_error_found_while_indexing_fails_the_batch_together(stand: Stand) -> None:
    """Every task of the batch fails with the same error, and none of them writes; the batch's number tells which."""
    slow = make_parts([{"id": f"slow-{n}", "text": "word " * 50} for n in range(2000)], post="w-0")
    poisoned = make_parts([{"id": 1, **stand.poison()}], post="w-1")
    beside = make_parts([{"id": 2}], post="w-2")

    # Whether two tasks share a batch is the node's affair: one that is busy with another gathers them.
    tasks = await finished(stand, await send(stand, *slow, *poisoned, *beside))

    by_batch = {task.batch: [other for other in tasks if other.batch == task.batch] for task in tasks}
    together = by_batch[tasks[1].batch]
    assert len(together) >= 2
    assert {(task.status, task.error_code) for task in together} == {("failed", "invalid_document_geo_field")}
    assert all(task.status == "succeeded" for task in tasks if task not in together)
    written = {"w-0": {f"slow-{n}" for n in range(2000)}, "w-1": {"1"}, "w-2": {"2"}}
    expected = [written[f"w-{tasks.index(task)}"] for task in tasks if task.status == "succeeded"]
    assert set(await stand.documents(INDEX)) == set().union(*expected)


async def test_drop_by_marker_takes_its_shards_and_no_other(stand: Stand) -> None:
    """Its metadata says so in the list, and the other shards of the index stay."""
    for shard in range(3):
        posts = make_parts([{"id": f"{shard}-{n}"} for n in range(4)], shard=shard, post=f"w-{shard}")
        await send(stand, *posts)
    metadata = build_metadata(Drop(INCARNATION, {ShardId(0): Attempt(4), ShardId(2): Attempt(4)}))

    uid = await stand.writer.drop(INDEX, shards_filter([ShardId(0), ShardId(2)]), metadata)
    (task,) = await finished(stand, [uid])

    assert (task.status, task.metadata) == ("succeeded", metadata)
    assert set(await stand.documents(INDEX)) == {f"1-{n}" for n in range(4)}


async def test_clear_takes_every_document_and_what_follows_stays(stand: Stand) -> None:
    """Whatever the node does together: what was sent before is gone, what was sent after is there."""
    metadata = build_metadata(Drop(INCARNATION, {ShardId(0): Attempt(4), ShardId(1): Attempt(4)}, is_whole=True))
    uids: list[int] = []

    for shard in range(2):
        uids += await send(stand, *make_parts([{"id": f"{shard}-a"}], shard=shard, post=f"w-{shard}"))
    uids.append(await stand.writer.clear(INDEX, metadata))
    uids += await send(stand, *make_parts([{"id": "0-b"}], shard=0, post="w-2"))
    tasks = await finished(stand, uids)

    assert [task.status for task in tasks] == ["succeeded"] * 4
    assert [task.metadata for task in tasks].index(metadata) == 2
    assert set(await stand.documents(INDEX)) == {"0-b"}


async def test_drop_of_a_shard_without_documents_succeeds(stand: Stand) -> None:
    """The first thing that happens to a new replica."""
    metadata = build_metadata(Drop(INCARNATION, {ShardId(9): Attempt(4)}))

    (task,) = await finished(stand, [await stand.writer.drop(INDEX, shards_filter([ShardId(9)]), metadata)])

    assert (task.status, task.metadata) == ("succeeded", metadata)


@pytest.mark.parametrize("kind", ["documents", "deletes", "drop", "clear"])
async def test_write_to_a_missing_index_fails_and_creates_none(stand: Stand, kind: str) -> None:
    """The worker's key cannot give birth to an index: what was deleted stays deleted."""
    gone = node_index_uid(UID, Incarnation(6))
    if kind == "drop":
        uids = [await stand.writer.drop(gone, shards_filter([ShardId(0)]), "{}")]
    elif kind == "clear":
        uids = [await stand.writer.clear(gone, "{}")]
    else:
        uids = await send(stand, *make_parts([{"id": 1}] if kind == "documents" else []), index=gone)

    (task,) = await finished(stand, uids)

    assert (task.status, task.error_code) == ("failed", "index_not_found")
    assert not await stand.has_index(gone)


async def test_metadata_of_as_many_shards_as_a_post_may_hold_fits(stand: Stand) -> None:
    """The largest post that is ever made, with positions as long as they get in years."""
    (part,) = make_parts([], shards=RANGES_MAX, start=10**12, post="worker-" + "0" * 36)
    assert len(part.metadata) > 8000

    (task,) = await finished(stand, await send(stand, part))

    assert (task.status, task.metadata) == ("succeeded", part.metadata)


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # the client sends it all the same
async def test_post_of_megabytes_is_taken_whole(stand: Stand) -> None:
    """Bulk loads send posts of many megabytes."""
    documents = [{"id": n, "text": "word " * 200} for n in range(3000)]

    (task,) = await finished(stand, await send(stand, *make_parts(documents)))

    assert task.status == "succeeded"
    assert len(await stand.documents(INDEX)) == 3000


@pytest.mark.parametrize(
    "fields",
    [
        b'"n":[9007199254740993,18446744073709551615,-9223372036854775808,1.8446744073709552e19]',
        b'"_geo":{"lat":100,"lng":-200}',
        b'"_geo":{"lat":"+10","lng":".5"}',
        b'"_geo":{"lat":"5.","lng":"1e1"}',
        b'"_geo":null',
        b'"_vectors":{}',
        b'"s":"a\\u0000b"',
        b'"":1',
        b'"a":{"_miroir":"x"}',
        b'"a":' + b"[" * NESTING_MAX + b"]" * NESTING_MAX,
        b'"a":' + b'{"b":' * NESTING_MAX + b"1" + b"}" * NESTING_MAX,
    ],
    ids=lambda fields: fields[:30].decode(),
)
async def test_document_at_the_edge_of_what_we_take_is_indexed(stand: Stand, fields: bytes) -> None:
    """What passes our own checks fails at no node: a failure would be the whole batch's."""
    document = parse_document("1", b'{"id":1,' + fields + b"}", "id")
    operation = Operation(Offset(0), 0, "1", splice_marker(document, ShardId(0)))
    slices = {ShardId(0): ShardSlice(PositionRange(Position(0), Position(1)), [operation])}

    (task,) = await finished(stand, await send(stand, *build_parts("w-1", INCARNATION, slices)))

    assert (task.status, task.error_message) == ("succeeded", "")
    assert set(await stand.documents(INDEX)) == {"1"}


async def test_settings_version_is_the_one_applied(stand: Stand) -> None:
    """None before there is an index; the writer posts nothing before it is the right one."""
    assert await stand.writer.settings_version(INDEX) == VERSION
    assert await stand.writer.settings_version(node_index_uid(UID, Incarnation(6))) is None


async def test_killed_node_keeps_what_it_had_answered(stand: Stand) -> None:
    """Its disk comes back with every task, in the same order, and they finish."""
    uids = await send(stand, *(make_parts([{"id": n}], start=n, post=f"w-{n}")[0] for n in range(30)))
    before = [(task.uid, task.metadata, task.enqueued_at) for task in await stand.writer.tasks_from(uids[0])]

    await stand.restart(empty=False)
    tasks = await finished(stand, uids)

    assert [(task.uid, task.metadata, task.enqueued_at) for task in tasks] == before
    assert {task.status for task in tasks} == {"succeeded"}
    assert len(await stand.documents(INDEX)) == 30


async def test_node_with_an_empty_disk_has_forgotten_the_key(stand: Stand) -> None:
    """Every call says so, so that nobody takes the empty node for the full one."""
    await send(stand, *make_parts([{"id": 1}]))
    await stand.restart(empty=True)

    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: stand.writer.post(INDEX, make_parts()[0]),
        lambda: stand.writer.drop(INDEX, shards_filter([ShardId(0)]), "{}"),
        lambda: stand.writer.clear(INDEX, "{}"),
        lambda: stand.writer.tasks_from(0),
        lambda: stand.writer.settings_version(INDEX),
    ]

    for call in calls:
        with pytest.raises(NodeForgotError):
            await call()


async def test_post_to_a_frozen_node_times_out_and_shows_up_later(stand: Stand) -> None:
    """A time-out is neither success nor failure: the list decides, and the late task is in it."""
    (uid,) = await send(stand, *make_parts([{"id": 1}]))
    await stand.settle()
    hasty = stand.freeze()
    (late,) = make_parts([{"id": 2, "text": "word " * 2000}], start=1, post="w-late")

    with pytest.raises(NodeTimeoutError):
        await hasty.post(INDEX, late)
    stand.thaw()

    async def registered() -> bool:
        return late.metadata in [task.metadata for task in await stand.writer.tasks_from(uid)]

    await until(registered, "the late task to be listed")
    await stand.settle()
    assert set(await stand.documents(INDEX)) == {"1", "2"}


async def test_close_twice_is_harmless(stand: Stand) -> None:
    """Whoever cleans up need not know who did before."""
    await stand.writer.close()
    await stand.writer.close()


# --- What only the fake can be told to do ------------------------------------------------------------------------


async def test_fake_that_is_down_refuses_everything() -> None:
    """As a closed port does."""
    stand = FakeStand()
    stand.node.is_down = True

    with pytest.raises(NodeUnreachableError):
        await stand.writer.tasks_from(0)
    with pytest.raises(NodeUnreachableError):
        await stand.writer.post(INDEX, make_parts()[0])


async def test_fake_that_loses_an_answer_has_the_task() -> None:
    """The one case that only the task list can tell from a failure."""
    stand = FakeStand()
    stand.node.answers_lost = 1

    with suppress(NodeTimeoutError):
        await stand.writer.post(INDEX, make_parts()[0])

    assert len(await stand.writer.tasks_from(0)) == 1


async def test_fake_with_an_older_disk_lists_what_was_on_it() -> None:
    """Uids are used twice then, and no two tasks of one uid have the same instant."""
    stand = FakeStand()
    await stand.create_index(INDEX)
    await send(stand, *make_parts([{"id": 1}]))
    disk = stand.node.copy_disk()
    await send(stand, *make_parts([{"id": 2}]))
    before = await stand.writer.tasks_from(1)

    stand.node.restore_disk(disk)
    assert [task.uid for task in await stand.writer.tasks_from(0)] == [0]
    await send(stand, *make_parts([{"id": 3}]))

    after = await stand.writer.tasks_from(1)
    assert (before[0].uid, after[0].uid) == (1, 1)
    assert before[0].enqueued_at != after[0].enqueued_at
    await stand.settle()
    assert set(await stand.documents(INDEX)) == {"1", "3"}


async def test_fake_told_to_fail_a_batch_writes_nothing_of_it() -> None:
    """Any code can be had: a full disk, an internal error."""
    stand = FakeStand()
    await stand.create_index(INDEX)
    await send(stand, *make_parts([{"id": 1}]), *make_parts([{"id": 2}]))

    stand.node.run(fails_with="internal", tasks_max=1)
    stand.node.run_all()

    assert [task.error_code for task in await stand.writer.tasks_from(0)] == ["internal", ""]
    assert set(await stand.documents(INDEX)) == {"2"}
