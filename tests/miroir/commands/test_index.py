"""``miroir index`` on a running stack."""

import asyncio
import json
from pathlib import Path

from miroir.settings_source import load_settings
from streams.kafka.admin import KafkaLogAdmin
from streams.topics import docs_topic
from tests.miroir.local_stack import LocalStack, run_miroir


def test_index_deleted_is_listed_no_more(local_stack: LocalStack) -> None:
    """An index is listed from its creation to its deletion; making it twice is refused."""
    local_stack.run("index", "create", "listed")
    assert "listed" in {each["uid"] for each in local_stack.run("index", "list", "--json").json}
    local_stack.run("index", "create", "listed", code=1)

    deleted = local_stack.run("index", "delete", "listed", "--yes", "--json").json

    assert deleted["index"] == "listed"
    assert deleted["offset"] > 0
    assert "listed" not in {each["uid"] for each in local_stack.run("index", "list", "--json").json}


async def _make_topic(stack: LocalStack, name: str) -> None:
    admin = KafkaLogAdmin(load_settings({}, stack.directory).kafka_config("test"))
    try:
        await admin.create([docs_topic(name, 3)])
    finally:
        await admin.close()


def test_index_says_which_topic_is_its_log(local_stack: LocalStack) -> None:
    """Where a producer has made a topic of the plain name before, it sends into nowhere: so it is told."""
    asyncio.run(_make_topic(local_stack, "miroir.docs.taken"))

    plain = local_stack.run("index", "create", "plain", "--shards", "1", "--json").json
    taken = local_stack.run("index", "create", "taken", "--shards", "1")

    assert plain["topic"] == "miroir.docs.plain"
    # Neither is read before its primary key is known, and nobody waits for that.
    assert local_stack.run("verify", "--index", "plain", "--json").json["verified"] is True
    faults = local_stack.status()["faults"]
    assert not [fault for fault in faults if "index plain" in fault]
    assert local_stack.run("node", "rebuild", "node-2", "--json").json["whole"] is True
    assert "topic miroir.gen." in taken.err
    assert "miroir.docs.taken was there already" in taken.err


def test_index_paused_keeps_its_log_and_resumed_applies_it(local_stack: LocalStack, tmp_path: Path) -> None:
    """While it is paused the status says why, and what is produced waits; resumed, everything is applied."""
    local_stack.run("index", "create", "resumed", "--primary-key", "id", "--shards", "2")
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(20)))

    local_stack.run("index", "pause", "resumed", "--reason", "the roof is open")
    local_stack.run("produce", str(file), "--index", "resumed")
    waited = local_stack.run("produce", str(file), "--index", "resumed", "--wait", code=1).err
    status = local_stack.run("status", "--json", code=1).json
    (paused,) = [each for each in status["indexes"] if each["uid"] == "resumed"]
    local_stack.run("index", "resume", "resumed")
    local_stack.run("produce", str(file), "--index", "resumed", "--wait")

    assert (paused["state"], paused["reason"]) == ("paused", "the roof is open")
    assert "index 'resumed' is paused: the roof is open; " in waited
    assert len(local_stack.run("search", "resumed", "--limit", "50", "--json").json["hits"]) == 20
    assert "not found" in local_stack.run("index", "resume", "nobody", code=1).err


def test_index_update_must_be_told_what(tmp_path: Path) -> None:
    """A command that changes nothing is a wrong command line, not a change."""
    ran = run_miroir("index", "update", "books", directory=tmp_path)

    assert ran.code == 2
    assert "give --replication or --group" in ran.err
