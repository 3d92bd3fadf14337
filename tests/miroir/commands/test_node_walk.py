"""A node that joins, hands its copies to another, and goes: as an operator does it, beside a stack that runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from miroir.ports import HOST, free_port
from miroir.processes import end_with_parent
from miroir.settings_source import load_settings
from tests.miroir.local_stack import LocalStack

DOCUMENTS = 40
INDEX = "walked"
"""Looked at alone: what other tests of this stack have left may be paused, and then its copies stay where they are."""

WAIT_S = 120.0
LOOK_S = 0.2

Place = tuple[str, int]
"""Index and shard."""


def test_node_walk_moves_what_the_plan_said_and_keeps_every_document(local_stack: LocalStack, tmp_path: Path) -> None:
    """What a plan names is made and nothing else; a replacement is given just the copies of the node that goes."""
    local_stack.run("index", "create", INDEX, "--primary-key", "id", "--shards", "6")
    file = tmp_path / "documents.ndjson"
    file.write_text("\n".join(json.dumps({"id": number}) for number in range(DOCUMENTS)))
    local_stack.run("produce", str(file), "--index", INDEX, "--wait")

    until_settled(local_stack)
    with running_node(local_stack, tmp_path / "new") as new, running_node(local_stack, tmp_path / "newer") as newer:
        planned = local_stack.run("plan", "add", "new", "--json").json
        local_stack.run("node", "add", "new", new, "--wait")
        # Once, on a busy machine, all seemed settled before the last of them was placed.
        until_placed(local_stack, "new", places(planned["begin"]))
        until_settled(local_stack)
        joined = placed_on(local_stack, "new")
        handed = local_stack.run("plan", "replace", "new", "newer", "--json").json
        local_stack.run("node", "replace", "new", "newer", newer)
        replaced = placed_on(local_stack, "newer")
        verified = local_stack.run("verify", "--node", "newer", "--json").json["verified"]
        local_stack.run("node", "drain", "newer")
        local_stack.run("node", "remove", "newer")

    assert joined == replaced == places(planned["begin"]) == places(handed["begin"]) == places(handed["leave"])
    assert joined
    assert {copy["node"] for copy in handed["leave"]} == {"new"}
    assert verified is True
    left = {node["id"] for node in local_stack.run("node", "list", "--json").json}
    assert left == {"node-1", "node-2", "node-3"}
    assert local_stack.run("verify", "--index", INDEX, "--json").json["documents"] == 2 * DOCUMENTS


def places(copies: list[dict[str, Any]]) -> set[Place]:
    """Return what is copied of the index."""
    return {(copy["index"], copy["shard"]) for copy in copies if copy["index"] == INDEX}


def placed_on(local_stack: LocalStack, node: str) -> set[Place]:
    """Return what stands on a node of the index."""
    rows = local_stack.run("shards", "--index", INDEX, "--json").json
    return {(row["index"], row["shard"]) for row in rows for copy in row["copies"] if copy["node"] == node}


def until_placed(local_stack: LocalStack, node: str, wanted: set[Place]) -> None:
    """Return when so much of the index stands on a node."""
    deadline_s = time.monotonic() + WAIT_S
    while not wanted <= placed_on(local_stack, node):
        assert time.monotonic() < deadline_s, f"{wanted} is not placed on {node}"
        time.sleep(LOOK_S)


def until_settled(local_stack: LocalStack) -> None:
    """Return when every copy of the index is where it is wanted."""
    deadline_s = time.monotonic() + WAIT_S
    while moving(local_stack):
        assert time.monotonic() < deadline_s, "copies still move"
        time.sleep(LOOK_S)


def moving(local_stack: LocalStack) -> bool:
    """Return whether any copy of the index is made, waits, or leaves."""
    moves = local_stack.run("rebalance", "status", "--json").json
    return any(places(moves[kind]) for kind in ("building", "waiting", "surplus", "leaving"))


@contextmanager
def running_node(local_stack: LocalStack, directory: Path) -> Iterator[str]:
    """Yield the address of an embedded node that has nothing yet, with the master key of the stack's nodes."""
    key = load_settings({}, local_stack.directory).node_master_key.get_secret_value()
    address = f"{HOST}:{free_port()}"
    command = [sys.executable, "-m", "miroir.node", "--http-addr", address, "--db-path", str(directory)]
    command += ["--master-key", key, "--no-analytics"]
    with subprocess.Popen(command, env=os.environ, preexec_fn=end_with_parent()) as node:
        try:
            until_healthy(f"http://{address}", node)
            yield f"http://{address}"
        finally:
            node.terminate()


def until_healthy(url: str, node: "subprocess.Popen[bytes]") -> None:
    """Return when the node answers."""
    deadline_s = time.monotonic() + WAIT_S
    with httpx.Client(trust_env=False) as client:
        while True:
            try:
                if client.get(f"{url}/health").is_success:
                    return
            except httpx.HTTPError:
                assert node.poll() is None, "the node has ended"
            assert time.monotonic() < deadline_s, "the node does not answer"
            time.sleep(LOOK_S)
