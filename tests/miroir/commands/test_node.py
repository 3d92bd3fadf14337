"""``miroir node`` on a running stack."""

import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from miroir.ports import HOST, free_port
from miroir.processes import ProcessId, is_alive
from tests.miroir.local_stack import LocalStack
from tests.miroir.stranger import Answers, stranger

NEW = {"pkgVersion": "1.50.0"}
NO_KEYS = {"results": [], "offset": 0, "limit": 1000, "total": 0}
FOREIGN_KEY = {
    "uid": "6a11eb13-0759-4eb1-8b1e-1d8a2b9ad9c6",
    "name": "miroir worker",
    "description": "made by miroir cluster elsewhere",
}


def test_node_rebuild_replays_every_copy(local_stack: LocalStack, tmp_path: Path) -> None:
    """A rebuilt node's copies are new attempts, and equal the log."""
    local_stack.run("index", "create", "rebuilt", "--primary-key", "id", "--shards", "3")
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(30)))
    local_stack.run("produce", str(file), "--index", "rebuilt", "--wait")
    before = attempts(local_stack, "node-3")

    told = local_stack.run("node", "rebuild", "node-3", "--json").json

    assert told == {"node": "node-3", "replicas": len(before), "whole": True}
    after = attempts(local_stack, "node-3")
    assert after.keys() == before.keys()
    assert all(after[shard] > attempt for shard, attempt in before.items())
    assert local_stack.run("verify", "--node", "node-3", "--json").json["verified"] is True


def test_node_drained_is_empty_and_activated_again_has_its_copies(local_stack: LocalStack, tmp_path: Path) -> None:
    """The commands wait for the moves; what is refused says why; everything equals the log afterwards."""
    local_stack.run("index", "create", "moved", "--primary-key", "id", "--shards", "3")
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(30)))
    local_stack.run("produce", str(file), "--index", "moved", "--wait")

    assert "drain it first" in local_stack.run("node", "remove", "node-2", code=1).err
    drained = local_stack.run("node", "drain", "node-2", "--json").json
    assert drained["nodes"]["node-2"] == {"state": "draining", "copies": 0, "leaving": 0}
    assert local_stack.run("node", "activate", "node-2", "--json").json["done"]

    assert attempts(local_stack, "node-2")
    assert local_stack.run("verify", "--index", "moved", "--json").json["verified"] is True


def attempts(local_stack: LocalStack, node: str) -> dict[tuple[str, int], int]:
    """Return the attempt of each copy on a node."""
    status = local_stack.status()
    return {
        (index["uid"], shard["shard"]): replica["attempt"]
        for index in status["indexes"]
        for shard in index["shards"]
        for replica in shard["replicas"]
        if replica["node"] == node
    }


def test_node_unknown_is_refused(local_stack: LocalStack) -> None:
    """A node that is not there cannot be rebuilt, and a name that is none cannot be added."""
    assert "not found" in local_stack.run("node", "rebuild", "nobody", "--no-wait", code=1).err
    assert "node id" in local_stack.run("node", "add", "a b", "http://127.0.0.1:1", code=1).err


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        pytest.param({}, "nothing here", id="not a Meilisearch"),
        pytest.param({"/version": (200, {"name": "other"})}, "is this a Meilisearch?", id="something else in JSON"),
        pytest.param(
            {"/version": (200, {"pkgVersion": "1.25.0"}), "/keys": (200, NO_KEYS)}, "1.26 or newer", id="too old"
        ),
        pytest.param(
            {"/version": (200, NEW), "/keys": (200, {**NO_KEYS, "results": [FOREIGN_KEY], "total": 1})},
            "belongs to another miroir cluster (elsewhere)",
            id="of another cluster",
        ),
        pytest.param(
            {"/version": (403, {"message": "The key is invalid.", "code": "invalid_api_key"})},
            "must be the master key",
            id="another master key",
        ),
    ],
)
def test_node_that_cannot_be_one_is_refused_with_the_reason(
    local_stack: LocalStack, answers: Answers, words: str
) -> None:
    """The operator reads what it is, and what to do."""
    with stranger(answers) as url:
        ran = local_stack.run("node", "add", "odd", url, code=1)

    assert words in flat(ran.err)


def test_node_that_is_not_reached_is_refused(local_stack: LocalStack) -> None:
    """Neither added nor taken as a replacement; the answer says what to do, and the cluster is as it was."""
    url = f"http://{HOST}:{free_port()}"

    for ran in (
        local_stack.run("node", "add", "absent", url, code=1),
        local_stack.run("node", "replace", "node-1", "absent", url, code=1),
    ):
        assert "start it, or correct the url" in flat(ran.err)
    assert "absent" not in {node["id"] for node in local_stack.run("node", "list", "--json").json}


@pytest.mark.parametrize("command", ["maintenance", "replace"])
def test_node_that_nobody_knows_cannot_be_changed(local_stack: LocalStack, command: str) -> None:
    """Every command says that it is not there."""
    more = ("other", f"http://{HOST}:{free_port()}") if command == "replace" else ()

    assert "not found" in local_stack.run("node", command, "nobody", *more, code=1).err


def test_last_copy_and_too_many_copies_are_refused_with_the_numbers(local_stack: LocalStack, tmp_path: Path) -> None:
    """No node goes with the only copy, none drains that is needed; no copies above the nodes or without a group."""
    local_stack.run("index", "create", "single", "--primary-key", "id", "--shards", "3", "--replication", "1")
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(30)))
    local_stack.run("produce", str(file), "--index", "single", "--wait")
    status = local_stack.status()
    (index,) = [each for each in status["indexes"] if each["uid"] == "single"]
    holder = index["shards"][0]["replicas"][0]["node"]

    def refusal(*arguments: str) -> str:
        return flat(local_stack.run(*arguments, code=1).err)

    assert "has the last whole copy of shard" in refusal("node", "remove", holder, "--force")
    assert "4 copies need as many nodes, there are 3" in refusal("index", "update", "single", "--replication", "4")
    assert "in replica group 1, there are 0" in refusal("index", "update", "single", "--group", "0", "--group", "1")
    local_stack.run("index", "update", "single", "--replication", "3")
    assert "3 copies need as many nodes, there are 2" in refusal("node", "drain", "node-2")
    local_stack.run("index", "update", "single", "--replication", "1")


def test_node_that_is_there_is_changed_by_what_is_given_alone(local_stack: LocalStack) -> None:
    """Added again it keeps its share, and the command says so; it replaces no other node."""
    known, other = local_stack.run("node", "list", "--json").json[:2]
    where = (known["id"], known["url"])

    try:
        weighed = flat(local_stack.run("node", "add", *where, "--weight", "2").err)
        again = flat(local_stack.run("node", "add", *where).err)
        refused = flat(local_stack.run("node", "replace", other["id"], *where, code=1).err)
        kept = local_stack.run("node", "list", "--json").json
    finally:
        local_stack.run("node", "add", *where, "--weight", "1")

    assert weighed == f"{known['id']} is in the cluster already, active: its weight is 2, it was 1"
    assert again == f"{known['id']} is in the cluster already, active: nothing has changed"
    assert f"node '{known['id']}' is in the cluster already; name a new one" in refused
    assert [(node["weight"], node["state"]) for node in kept[:2]] == [(2.0, "active"), (1.0, "active")]


def test_copies_above_the_zones_are_refused(local_stack: LocalStack) -> None:
    """Two of them would have to share one."""
    local_stack.run("index", "create", "zoned", "--primary-key", "id", "--shards", "1", "--replication", "1")
    nodes = local_stack.run("node", "list", "--json").json
    try:
        for node, zone in zip(nodes, ("a", "b", "b"), strict=True):
            local_stack.run("node", "add", node["id"], node["url"], "--zone", zone)
        ran = local_stack.run("index", "update", "zoned", "--replication", "3", code=1)
    finally:
        for node in nodes:
            local_stack.run("node", "add", node["id"], node["url"], "--zone", "")

    assert "3 copies need as many zones, there are 2 ('a', 'b')" in flat(ran.err)


def flat(text: str) -> str:
    """Return a message without the line breaks that a terminal's width has put in."""
    return " ".join(text.split())


def test_node_killed_is_started_again(local_stack: LocalStack) -> None:
    """The supervisor starts what ends, the state tells the new process, and it answers again."""
    old = next(each for each in local_stack.state.processes if each.name == "node-1")
    os.kill(old.pid, signal.SIGKILL)

    deadline_s = time.monotonic() + 15
    while not (restarted(local_stack, old) and answers(local_stack.state.ports["node-1"])):
        assert time.monotonic() < deadline_s, local_stack.state

    assert not is_alive(old)


def restarted(local_stack: LocalStack, old: ProcessId) -> bool:
    """Return whether another process than the old one lives under its name."""
    now = [each for each in local_stack.state.processes if each.name == old.name]
    return bool(now) and now[0] != old and is_alive(now[0])


def answers(port: int) -> bool:
    """Return whether a node on the port says that it is well."""
    try:
        return httpx.get(f"http://{HOST}:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_node_list_names_every_node(local_stack: LocalStack) -> None:
    """The table names every node."""
    ran = local_stack.run("node", "list")

    assert all(node in ran.out for node in ("node-1", "node-2", "node-3"))
