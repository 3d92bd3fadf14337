"""``miroir verify`` on a running stack: what is equal, and what somebody has spoilt."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from miroir.settings_source import load_settings
from miroir.verify import Report, Verifier, VerifyReport
from schemas.ids import IndexUid
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.topics import docs_topic
from tests.miroir.local_stack import TIMEOUT_S, LocalStack, run_miroir

DOCUMENTS = 20


def test_verify_finds_what_was_spoilt_behind_its_back(local_stack: LocalStack, tmp_path: Path) -> None:
    """A document that was deleted, changed or added on a node is counted and named; the others are equal."""
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number, "text": "right"}) for number in range(DOCUMENTS)))
    local_stack.run("index", "create", "verified", "--primary-key", "id", "--shards", "1", "--replication", "1")
    local_stack.run("produce", str(file), "--index", "verified", "--wait")
    good = local_stack.run("verify", "--index", "verified", "--json").json
    (replica,) = good["replicas"]
    part = local_stack.run("verify", "--index", "verified", "--sample", "5", "--seed", "3", "--json").json

    spoil(local_stack, replica["node"])
    found = local_stack.run("verify", "--index", "verified", "--json", code=1).json
    printed = local_stack.run("verify", "--index", "verified", code=1)
    sampled = local_stack.run("verify", "--index", "verified", "--sample", str(DOCUMENTS), "--json", code=1).json

    assert (good["verified"], good["documents"]) == (True, DOCUMENTS)
    assert (part["verified"], part["documents"]) == (True, 5)
    (spoilt,) = found["replicas"]
    assert [spoilt[name] for name in ("equal", "missing", "extra", "different")] == [False, 1, 0, 1]
    assert spoilt["examples"] == {"missing": ["3"], "different": ["4"]}
    assert "not verified" in printed.out
    assert "1 document of the log missing: 3; 1 document not what the log says: 4\n" in printed.err
    assert f"`miroir node rebuild {replica['node']}`" in printed.err
    assert [sampled["replicas"][0][name] for name in ("missing", "extra", "different", "documents")] == [1, 0, 1, 18]
    local_stack.run("index", "delete", "verified", "--yes")


def spoil(local_stack: LocalStack, node: str) -> None:
    """Delete document 3 and change document 4 on the node, with its master key."""
    key = load_settings({}, local_stack.directory).node_master_key.get_secret_value()
    status = local_stack.status()
    (url,) = [each["url"] for each in status["nodes"] if each["id"] == node]
    (incarnation,) = [each["incarnation"] for each in status["indexes"] if each["uid"] == "verified"]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        path = f"/indexes/verified__{incarnation}/documents"
        fourth = client.get(f"{path}/4").json()
        for answer in (client.delete(f"{path}/3"), client.post(path, json=[{**fourth, "text": "wrong"}])):
            finish(client, answer.json()["taskUid"])


def finish(client: httpx.Client, task: int) -> None:
    """Return when the node has done the task."""
    found: dict[str, Any] = {"status": "enqueued"}
    while found["status"] in ("enqueued", "processing"):
        found = client.get(f"/tasks/{task}").json()
    assert found["status"] == "succeeded", found


def test_verify_calls_nothing_wrong_that_is_written_meanwhile(local_stack: LocalStack) -> None:
    """Each shard is compared at an end that is fixed when it is begun, while clients write and delete."""
    local_stack.run("index", "create", "busy", "--primary-key", "id", "--shards", "4")

    with writing(local_stack, "busy") as written:
        reports = [local_stack.run("verify", "--index", "busy", "--json").json for _ in range(3)]

    assert [report["verified"] for report in reports] == [True, True, True]
    assert len(written) > len(reports)
    local_stack.run("index", "delete", "busy", "--yes")


@contextmanager
def writing(local_stack: LocalStack, index: str) -> Iterator[list[int]]:
    """Let a client write and delete all the time; yield the tasks that it was given."""
    ended, tasks = threading.Event(), list[int]()

    def write() -> None:
        path = f"/indexes/{index}/documents"
        with httpx.Client(base_url=local_stack.state.url, trust_env=False, timeout=60) as client:
            for number in itertools.count():
                documents = [{"id": n, "number": number} for n in range(number % 50, number % 50 + 20)]
                for answer in (client.post(path, json=documents), client.delete(f"{path}/{number % 70}")):
                    tasks.append(answer.raise_for_status().json()["taskUid"])
                if ended.wait(0.02):
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield tasks
    finally:
        ended.set()
        writer.join()


def test_verify_calls_no_document_a_stray_whose_copy_was_placed_meanwhile(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    """Copies may move all the time; what is placed is looked at behind the last comparison."""
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(DOCUMENTS)))
    local_stack.run("index", "create", "joined", "--primary-key", "id", "--shards", "3", "--replication", "1")
    local_stack.run("produce", str(file), "--index", "joined", "--wait")

    def place(_done: int, _total: int, what: str) -> None:
        if what == "strays":
            local_stack.run("index", "update", "joined", "--replication", "3")
            until_verified(local_stack, "joined", replicas=9)

    report = asyncio.run(verify(local_stack, IndexUid("joined"), place))

    assert (len(report.replicas), report.strays) == (3, [])
    local_stack.run("index", "delete", "joined", "--yes")


async def verify(local_stack: LocalStack, index: IndexUid, report: Report) -> VerifyReport:
    """Return what is found."""
    async with Verifier(load_settings({}, local_stack.directory), report=report) as verifier:
        return await verifier.run(index=index)


def until_verified(local_stack: LocalStack, index: str, *, replicas: int) -> None:
    """Return once so many copies are whole."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        ran = run_miroir("verify", "--index", index, "--json", directory=local_stack.directory)
        if ran.out and ran.json["verified"] and len(ran.json["replicas"]) == replicas:
            return
        assert time.monotonic() < deadline_s, ran


def test_verify_against_a_log_made_anew_says_so(local_stack: LocalStack, tmp_path: Path) -> None:
    """No copy is called wrong, or to be made anew, by a log that does not have what it was made of."""
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(DOCUMENTS)))
    local_stack.run("index", "create", "anew", "--primary-key", "id", "--shards", "1", "--replication", "1")
    local_stack.run("produce", str(file), "--index", "anew", "--wait")
    asyncio.run(make_anew(load_settings({}, local_stack.directory).kafka_config("test"), "miroir.docs.anew"))

    printed = local_stack.run("verify", "--index", "anew", code=1).err

    assert "was deleted and made anew" in printed
    assert "`miroir log reseed anew` makes a new log of their documents" in printed
    assert "node rebuild" not in printed
    local_stack.run("index", "delete", "anew", "--yes")


async def make_anew(kafka: KafkaConfig, topic: str) -> None:
    """Delete a topic of one partition, and make it again."""
    admin = KafkaLogAdmin(kafka)
    try:
        await admin.delete([topic])
        await admin.create([docs_topic(topic, 1)])
    finally:
        await admin.close()


def test_verify_unknown_index_is_an_error(local_stack: LocalStack) -> None:
    """A name that is not there is said, not verified."""
    assert "not found" in local_stack.run("verify", "--index", "nobody", code=1).err


def test_verify_sample_that_is_none_is_a_wrong_command_line(local_stack: LocalStack) -> None:
    """What was expected is said, with exit code 2."""
    assert "expected a number" in local_stack.run("verify", "--sample", "much", code=2).err
