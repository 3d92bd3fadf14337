"""The administration of a node: one suite for a stub, the node in memory, the embedded one and a real Meilisearch."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from agents.node_admin import CHECKPOINT_CHARS_MAX, NO_TASK, KeyRole, NodeAdmin, NodeKey, TaskEnd, fits_address
from agents.nodes.admin import HttpNodeAdmin
from miroir.ports import free_port
from miroir.processes import end_with_parent
from schemas.errors import NodeError, NodeRejectedError, NodeTimeoutError, NodeUnreachableError
from schemas.ids import Attempt, Incarnation, NodeId, NodeIndexUid, Position, SettingsVersion, ShardId, TaskUid
from schemas.keys import derive_key
from schemas.meilisearch_settings import DEFAULT_SETTINGS
from schemas.posts import Checkpoint, CheckpointCursor, build_metadata
from streams.node_settings import build_node_settings, settings_version_of
from tests.agents.stub_meilisearch import MASTER_KEY, StubMeilisearch
from tests.background import background
from tests.fakes.node import FakeNode
from tests.fakes.node_admin import FakeNodeAdmin

NODE = NodeId("n1")
UID = NodeIndexUid("movies__1")
START_S = 60.0


def stub_admin(stub: StubMeilisearch, master_key: str = MASTER_KEY) -> HttpNodeAdmin:
    """Return the way to a stub."""
    return HttpNodeAdmin(NODE, "http://n1:7700", master_key, transport=stub.transport())


@pytest.fixture(
    params=[
        "stub",
        "memory",
        pytest.param("embedded", marks=pytest.mark.slow),
        pytest.param("real", marks=[pytest.mark.meilisearch, pytest.mark.slow]),
    ]
)
async def admin(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NodeAdmin]:
    """A new, empty node."""
    if request.param == "memory":
        node = FakeNode()
        node.wipe()
        async with background(work(node)):
            yield FakeNodeAdmin(node, MASTER_KEY)
        return
    if request.param == "stub":
        made = stub_admin(StubMeilisearch())
        yield made
        await made.close()
        return
    program = [sys.executable, "-m", "miroir.node"]
    if request.param == "real":
        if "MEILISEARCH_BIN" not in os.environ:
            pytest.skip("MEILISEARCH_BIN names no binary")
        program = [os.environ["MEILISEARCH_BIN"], "--no-analytics", "--max-indexing-memory", "256MiB"]
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *program,
        *("--master-key", MASTER_KEY, "--http-addr", address, "--db-path", str(tmp_path / "db")),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=end_with_parent(),
    )
    made = HttpNodeAdmin(NODE, f"http://{address}", MASTER_KEY)
    try:
        await answering(made)
        yield made
    finally:
        await made.close()
        process.terminate()
        await process.wait()


async def work(node: FakeNode) -> None:
    """Let the node in memory run its tasks."""
    while True:
        node.run_all()
        await asyncio.sleep(0.001)


async def answering(admin: HttpNodeAdmin) -> None:
    """Return when the node answers."""
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            await admin.fetch_version()
        except NodeUnreachableError:
            assert time.monotonic() < deadline_s, "the node does not start"
            await asyncio.sleep(0.05)
        else:
            return


async def finished(admin: NodeAdmin, task: TaskUid) -> TaskEnd:
    """Return how the task ended."""
    while not (end := await admin.fetch_task(task)).finished:  # noqa: ASYNC110 - a node has no event to wait for
        await asyncio.sleep(0.01)
    return end


async def test_version_is_meilisearchs(admin: NodeAdmin) -> None:
    """Three numbers."""
    assert len((await admin.fetch_version()).split(".")) == 3


async def test_key_is_found_with_its_cluster_and_made_once(admin: NodeAdmin) -> None:
    """Making it again is no error: its uid says which key it is."""
    uid = str(uuid.uuid4())

    await admin.create_key(uid, KeyRole.WORKER, "miroir@here")
    await admin.create_key(uid, KeyRole.WORKER, "miroir@here")

    ours = [key for key in await admin.fetch_keys() if key.cluster]
    assert ours == [NodeKey(uid, "miroir worker", "miroir@here")]


async def test_key_is_deleted_once(admin: NodeAdmin) -> None:
    """Deleting it again is no error."""
    uid = str(uuid.uuid4())
    await admin.create_key(uid, KeyRole.SEARCH, "miroir@here")

    await admin.delete_key(uid)
    await admin.delete_key(uid)

    assert not [key for key in await admin.fetch_keys() if key.uid == uid]


async def test_index_is_created_given_a_primary_key_and_deleted(admin: NodeAdmin) -> None:
    """Each is a task that tells how it ended."""
    assert await finished(admin, await admin.create_index(UID, None)) == TaskEnd(finished=True)
    assert (await admin.fetch_indexes())[UID] is None

    assert await finished(admin, await admin.set_primary_key(UID, "id")) == TaskEnd(finished=True)
    assert (await admin.fetch_indexes())[UID] == "id"

    assert await finished(admin, await admin.delete_index(UID)) == TaskEnd(finished=True)
    assert UID not in await admin.fetch_indexes()


async def test_index_created_twice_fails_in_its_task(admin: NodeAdmin) -> None:
    """The queue says so; nothing is lost."""
    await admin.create_index(UID, "id")

    end = await finished(admin, await admin.create_index(UID, "id"))

    assert (end.finished, end.code) == (True, "index_already_exists")
    assert UID in end.message


async def test_settings_carry_their_version(admin: NodeAdmin) -> None:
    """What was applied last is what the synonyms tell."""
    await admin.create_index(UID, "id")
    await admin.update_settings(UID, build_node_settings(DEFAULT_SETTINGS, SettingsVersion(7)))
    task = await admin.update_settings(UID, build_node_settings(DEFAULT_SETTINGS, SettingsVersion(12)))

    assert await finished(admin, task) == TaskEnd(finished=True)
    assert settings_version_of(await admin.fetch_synonyms(UID)) == 12


async def test_newest_task_grows_from_none(admin: NodeAdmin) -> None:
    """A number that is not above the last one seen is another disk."""
    before = await admin.fetch_newest_task()
    task = await admin.create_index(UID, None)

    assert before == NO_TASK
    assert await admin.fetch_newest_task() == task


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        pytest.param(lambda admin: admin.fetch_synonyms(UID), "index_not_found", id="index"),
        pytest.param(lambda admin: admin.fetch_task(TaskUid(99)), "task_not_found", id="task"),
    ],
)
async def test_what_is_not_there_is_rejected_with_its_code(
    admin: NodeAdmin, ask: Callable[[NodeAdmin], Awaitable[object]], code: str
) -> None:
    """The node's own code and words."""
    with pytest.raises(NodeRejectedError) as caught:
        await ask(admin)

    assert (caught.value.status, caught.value.code) == (404, code)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), NodeUnreachableError),
        (httpx.ReadError("cut"), NodeUnreachableError),
        (httpx.RemoteProtocolError("garbage"), NodeUnreachableError),
        (httpx.ConnectTimeout("slow"), NodeTimeoutError),
        (httpx.ReadTimeout("frozen"), NodeTimeoutError),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
async def test_errors_of_the_network_are_translated(error: httpx.HTTPError, expected: type[NodeError]) -> None:
    """Nobody else knows the client library."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    admin = HttpNodeAdmin(NODE, "http://n1", MASTER_KEY, transport=httpx.MockTransport(fail))

    with pytest.raises(expected) as caught:
        await admin.fetch_version()

    assert caught.value.node == NODE
    assert caught.value.__cause__ is error


async def test_address_that_is_none_is_an_unreachable_node() -> None:
    """Whoever asks about a node meets errors of nodes only."""
    admin = HttpNodeAdmin(NODE, "http://n1:port", MASTER_KEY)

    with pytest.raises(NodeUnreachableError, match="Invalid port"):
        await admin.fetch_version()


async def test_checkpoint_that_fits_the_address_is_carried() -> None:
    """Up to the bound, with the longest name of an index; some 1,100 shards do fit, and 1,300 would not be carried."""
    name = NodeIndexUid("n" * 200 + "__123456789012")
    longest = '"' * (CHECKPOINT_CHARS_MAX // len("%22"))
    stub = StubMeilisearch()
    node = HttpNodeAdmin(NODE, f"http://{'h' * 63}.{'h' * 63}.example.org:7700", MASTER_KEY, transport=stub.transport())

    await node.post_checkpoint(name, longest)

    assert stub.tasks[0]["customMetadata"] == longest
    assert [fits_address(longest), fits_address(longest + '"')] == [True, False]
    assert [fits_address(_checkpoint_of(shards)) for shards in (1100, 1300)] == [True, False]
    with pytest.raises(NodeUnreachableError, match="URL too long"):
        await node.post_checkpoint(name, _checkpoint_of(1300))


def _checkpoint_of(shards: int) -> str:
    at = CheckpointCursor(Position(12_345_678), Attempt(123_456), 1_700_000_000_000)
    return build_metadata(Checkpoint(Incarnation(123_456), 1_234_567, {ShardId(s): at for s in range(shards)}))


async def test_wrong_master_key_is_rejected() -> None:
    """The code tells a wrong key from a node that is away."""
    with pytest.raises(NodeRejectedError) as caught:
        await stub_admin(StubMeilisearch(), "wrong").fetch_version()

    assert (caught.value.status, caught.value.code) == (403, "invalid_api_key")


async def test_no_master_key_sends_no_header() -> None:
    """A bearer without a key is no header at all: the node says what it lacks."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"pkgVersion": "1.50.0"})

    await HttpNodeAdmin(NODE, "http://n1", "", transport=httpx.MockTransport(answer)).fetch_version()

    assert "Authorization" not in seen[0].headers


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"name": "another server"}),
        httpx.Response(200, json=[]),
        httpx.Response(502, text="bad gateway"),
        httpx.Response(500, json=["?"]),
    ],
    ids=["a page", "other JSON", "a list", "a proxy's error", "an odd error"],
)
async def test_another_server_is_told_from_a_meilisearch(answer: httpx.Response) -> None:
    """Whatever answers under the address: a typed error, never a crash."""
    admin = HttpNodeAdmin(NODE, "http://n1", MASTER_KEY, transport=httpx.MockTransport(lambda _: answer))

    with pytest.raises(NodeRejectedError):
        await admin.fetch_version()


async def test_long_lists_are_read_page_by_page() -> None:
    """Every key counts: one that is overlooked would be taken for lost."""
    keys = [{"uid": str(number), "name": None, "description": None} for number in range(2500)]

    def page(request: httpx.Request) -> httpx.Response:
        offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
        return httpx.Response(200, json={"results": keys[offset : offset + limit], "total": len(keys)})

    admin = HttpNodeAdmin(NODE, "http://n1", MASTER_KEY, transport=httpx.MockTransport(page))

    assert [key.uid for key in await admin.fetch_keys()] == [key["uid"] for key in keys]


async def test_keys_have_the_actions_of_their_role() -> None:
    """A worker cannot make an index, a query service cannot write; a key follows from its uid and the master key."""
    stub = StubMeilisearch()
    admin = stub_admin(stub)

    await admin.create_key("w", KeyRole.WORKER, "here")
    await admin.create_key("s", KeyRole.SEARCH, "here")

    assert "documents.add" in stub.keys["w"]["actions"]
    assert "indexes.create" not in stub.keys["w"]["actions"]
    assert "search" in stub.keys["s"]["actions"]
    assert not {"documents.add", "documents.delete"} & set(stub.keys["s"]["actions"])
    assert (stub.keys["w"]["indexes"], stub.keys["w"]["expiresAt"]) == (["*"], None)
    assert len(derive_key(MASTER_KEY, "w")) == 64
