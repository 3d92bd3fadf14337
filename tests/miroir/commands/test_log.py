"""``miroir log reseed`` on a running stack: a log that was lost, and one that need not be made anew."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import pytest

from miroir.client import QueryClient
from miroir.reseed import Reseeder
from miroir.settings_source import load_settings
from schemas.errors import MiroirError
from schemas.events import PartitionerName
from schemas.ids import IndexUid, Partition
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.partitioning import partition_of
from streams.topics import docs_topic
from tests.miroir.local_stack import LocalStack, run_miroir

DOCUMENTS = 40
TOPIC = "miroir.docs.lost"
CUT_TOPIC = "miroir.docs.cut"
STOPPED_S = 100.0
"""A topic of another id is seen within a second; a busy machine takes longer."""


def test_reseed_gives_an_index_a_whole_log_again(local_stack: LocalStack, tmp_path: Path) -> None:
    """The topic is made anew and written to; afterwards all documents, old and new, are in a log that rebuilds."""
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": n, "title": f"film {n}"}) for n in range(DOCUMENTS)))
    local_stack.run("index", "create", "lost", "--primary-key", "id", "--shards", "2")
    local_stack.run("produce", str(file), "--index", "lost", "--wait")
    assert "there is nothing to do" in local_stack.run("log", "reseed", "lost", "--yes", code=1).err

    asyncio.run(make_anew(load_settings({}, local_stack.directory).kafka_config("test")))
    until_paused(local_stack)
    refused = local_stack.run("backup", "lost", str(tmp_path / "lost.gz"), "--source", "log", code=1).err
    done = local_stack.run("log", "reseed", "lost", "--yes", "--json").json

    assert "was deleted and made anew" in refused
    assert (done["documents"], done["carried"], done["lost"], done["is_quiet"]) == (DOCUMENTS, 3, "", True)
    assert done["former_topic"] == TOPIC
    backup = tmp_path / "found.ndjson"
    local_stack.run("backup", "lost", str(backup))
    found = {each["id"]: each["title"] for each in map(json.loads, backup.read_text().splitlines()[1:-1])}
    assert found == {**{n: f"film {n}" for n in range(1, DOCUMENTS)}, 1: "written since", 99: "written since"}
    local_stack.run("node", "rebuild", "node-2")
    assert local_stack.run("verify", "--index", "lost", "--json").json["verified"] is True
    local_stack.run("index", "delete", "lost", "--yes")


async def make_anew(kafka: KafkaConfig) -> None:
    """Delete the index's topic, make it again, and write to it: one new document, one changed, one deleted."""
    admin, writer = KafkaLogAdmin(kafka), KafkaLogWriter(kafka)
    values = {b"99": b'{"id":99,"title":"written since"}', b"1": b'{"id":1,"title":"written since"}', b"0": None}
    try:
        await admin.delete([TOPIC])
        await admin.create([docs_topic(TOPIC, 2)])
        await writer.append(
            [Append(TOPIC, partition_of(key, 2, PartitionerName.MURMUR2), key, each) for key, each in values.items()]
        )
    finally:
        await writer.close()
        await admin.close()


def until_paused(stack: LocalStack) -> None:
    """Return once the index is stopped."""
    deadline_s = time.monotonic() + STOPPED_S
    while not any(
        each["uid"] == "lost" and each["state"] == "paused"
        for each in json.loads(run_miroir("status", "--json", directory=stack.directory).out)["indexes"]
    ):
        assert time.monotonic() < deadline_s


def test_reseed_that_was_cut_off_behind_the_switch_is_ended_when_asked_again(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    """Status says that former copies answer; asking again carries what came, waits, and lets the former go."""
    file = tmp_path / "documents.ndjson"
    file.write_text('{"id":7,"title":"before"}')
    local_stack.run("index", "create", "cut", "--primary-key", "id", "--shards", "1", "--replication", "1")
    local_stack.run("produce", str(file), "--index", "cut", "--wait")
    asyncio.run(cut_off(local_stack))

    said = local_stack.run("status", code=1).out
    done = local_stack.run("log", "reseed", "cut", "--json").json

    assert "miroir log reseed cut" in " ".join(said.split())
    assert (done["index"], done["finished"], done["carried"], done["passed_over"]) == ("cut", True, 1, 0)
    assert (done["lost"], done["is_quiet"]) == ("", True)
    expected = [{"id": 7, "title": "before"}, {"id": 8, "title": "behind the last look"}]
    assert local_stack.run("search", "cut", "", "--json").json["hits"] == expected
    assert local_stack.run("verify", "--index", "cut", "--json").json["verified"] is True
    local_stack.run("index", "delete", "cut", "--yes")


class CutOffError(Exception):
    """The command ends here."""


async def cut_off(stack: LocalStack) -> None:
    """Make a new log and end behind the switch, before what somebody has still written to the old one was carried."""
    settings = load_settings({}, stack.directory)
    writer = KafkaLogWriter(settings.kafka_config("test"))
    assert stack.state.url is not None

    def report(_done: int, _total: int, what: str) -> None:
        if what.startswith("what still comes"):
            raise CutOffError

    try:
        async with QueryClient(stack.state.url) as client, Reseeder(settings, client, report=report) as reseeder:
            assert not await reseeder.is_cut_off(IndexUid("cut"))
            with pytest.raises(CutOffError):
                await reseeder.run(IndexUid("cut"))
        await writer.append([Append(CUT_TOPIC, Partition(0), b"8", b'{"id":8,"title":"behind the last look"}')])
    finally:
        await writer.close()


def test_reseed_that_fails_behind_the_filling_leaves_no_topic(local_stack: LocalStack, tmp_path: Path) -> None:
    """The new topic goes away once it is filled: the message says how the index goes on, and no topic is left."""
    file = tmp_path / "documents.ndjson"
    file.write_text('{"id":7,"title":"before"}')
    local_stack.run("index", "create", "kept", "--primary-key", "id", "--shards", "1", "--replication", "1")
    local_stack.run("produce", str(file), "--index", "kept", "--wait")

    said, topics = asyncio.run(fail_behind_the_filling(local_stack))

    assert "`miroir index resume kept` ends that" in said
    assert topics == []
    local_stack.run("index", "resume", "kept")
    local_stack.run("index", "delete", "kept", "--yes")


async def fail_behind_the_filling(stack: LocalStack) -> tuple[str, Sequence[str]]:
    """Delete the new topic once it is filled; return what was said of it, and what new topics are left."""
    settings = load_settings({}, stack.directory)
    admin = KafkaLogAdmin(settings.kafka_config("test"))
    assert stack.state.url is not None

    def report(_done: int, _total: int, what: str) -> None:
        if what.endswith("holds behind them"):
            other = Thread(target=asyncio.run, args=(delete_new(settings.kafka_config("test")),))
            other.start()
            other.join()

    try:
        async with QueryClient(stack.state.url) as client, Reseeder(settings, client, report=report) as reseeder:
            assert not await reseeder.is_cut_off(IndexUid("kept"))
            with pytest.raises(MiroirError) as caught:
                await reseeder.run(IndexUid("kept"))
        return str(caught.value), await new_topics(admin)
    finally:
        await admin.close()


async def delete_new(kafka: KafkaConfig) -> None:
    """Delete the topic that is being filled."""
    admin = KafkaLogAdmin(kafka)
    try:
        await admin.delete(await new_topics(admin))
    finally:
        await admin.close()


async def new_topics(admin: KafkaLogAdmin) -> Sequence[str]:
    """Return the topics that were made for a new log of the index."""
    return [name for name in await admin.names(("miroir.gen.",)) if name.endswith(".kept")]


def test_reseed_is_asked_for_twice(local_stack: LocalStack) -> None:
    """An index that is not there is named; nothing is done without a yes."""
    assert "not found" in local_stack.run("log", "reseed", "nobody", "--yes", code=1).err
