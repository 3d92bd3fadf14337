"""What a node keeps when it is killed, frozen, or asked by two at once."""

import gzip
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.waiting import freeze
from tests.miroir.node.process import MASTER_KEY, NodeProcess

pytestmark = [pytest.mark.slow]

NDJSON = "application/x-ndjson"
POSTS = 12
DOCUMENTS_PER_POST = 500


def payload(post: int) -> bytes:
    """Return one post of a load."""
    first = post * DOCUMENTS_PER_POST
    lines = [b'{"id":%d,"text":"document number %d"}' % (n, n) for n in range(first, first + DOCUMENTS_PER_POST)]
    return b"\n".join(lines)


@pytest.mark.parametrize("finished_before_kill", [0, 2, 5])
def test_node_killed_in_a_load_loses_no_accepted_task(node: NodeProcess, finished_before_kill: int) -> None:
    """SIGKILL in the middle of a load, start again: every accepted task finishes, in order, all documents are there."""
    uids = []
    for post in range(POSTS):
        reply = node.call("POST", f"/indexes/a/documents?customMetadata={post}", raw=payload(post), content_type=NDJSON)
        uids.append(reply.body["taskUid"])
        if post < finished_before_kill:
            node.wait(uids[-1])

    node.kill()
    node.start()

    tasks = [node.wait(uid) for uid in uids]
    assert [task["status"] for task in tasks] == ["succeeded"] * POSTS
    assert [task["customMetadata"] for task in tasks] == [str(post) for post in range(POSTS)]
    assert node.call("GET", "/indexes/a/stats").body["numberOfDocuments"] == POSTS * DOCUMENTS_PER_POST
    assert node.call("POST", "/indexes/a/search", {"q": "5999"}).body["estimatedTotalHits"] == 1


def test_node_killed_again_and_again_gets_there(node: NodeProcess) -> None:
    """A batch that a crash interrupts is run again; its documents are counted once."""
    uids = [
        node.call("POST", "/indexes/a/documents", raw=payload(post), content_type=NDJSON).body["taskUid"]
        for post in range(4)
    ]

    for _ in range(3):
        node.kill()
        node.start()

    assert {node.wait(uid)["status"] for uid in uids} == {"succeeded"}
    stats = node.call("GET", "/indexes/a/stats").body
    assert stats["numberOfDocuments"] == 4 * DOCUMENTS_PER_POST
    assert stats["fieldDistribution"] == {"id": 4 * DOCUMENTS_PER_POST, "text": 4 * DOCUMENTS_PER_POST}


def test_killed_indexer_is_started_again(node: NodeProcess) -> None:
    """A node whose indexer dies in a batch runs the batch again, and answers meanwhile."""
    uids = [
        node.call("POST", "/indexes/a/documents", raw=payload(post), content_type=NDJSON).body["taskUid"]
        for post in range(4)
    ]

    os.kill(indexer_of(node), signal.SIGKILL)

    assert node.call("POST", "/indexes/a/search", {}).status in {200, 404}
    assert {node.wait(uid)["status"] for uid in uids} == {"succeeded"}
    assert node.call("GET", "/indexes/a/stats").body["numberOfDocuments"] == 4 * DOCUMENTS_PER_POST


def indexer_of(node: NodeProcess) -> int:
    """Return the process id of a node's indexer."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children")
    if not children.exists():
        pytest.skip("the system does not list a process's children")
    return int(children.read_text().split()[0])


def test_body_sent_to_a_frozen_node_is_registered_when_it_wakes(node: NodeProcess) -> None:
    """A client that sends a whole body and goes away leaves a task behind, as on a real node."""
    body = payload(0)
    head = (
        f"POST /indexes/a/documents?customMetadata=late HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {MASTER_KEY}\r\n"
        f"Content-Type: {NDJSON}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        freeze(node.pid)
        client.sendall(head + body)
    os.kill(node.pid, signal.SIGCONT)

    node.run("POST", "/indexes/b/documents", [{"id": 1}])

    tasks = node.call("GET", "/tasks?indexUids=a").body["results"]
    assert [task["customMetadata"] for task in tasks] == ["late"]
    assert node.wait(tasks[0]["uid"])["details"]["indexedDocuments"] == DOCUMENTS_PER_POST


def test_body_cut_short_leaves_no_task(node: NodeProcess) -> None:
    """A body shorter than its ``Content-Length`` is never registered."""
    head = (
        f"POST /indexes/a/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {MASTER_KEY}\r\n"
        f"Content-Type: {NDJSON}\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        client.sendall(head + b'{"id":1}\n')

    node.run("POST", "/indexes/b/documents", [{"id": 1}])

    assert node.call("GET", "/tasks?indexUids=a").body["total"] == 0


def test_compressed_body_is_taken_whole_or_not_at_all(node: NodeProcess) -> None:
    """A gzip body is the same as its text; cut short, no line of it is taken."""
    raw, headers = gzip.compress(payload(0)), {"Content-Encoding": "gzip"}

    cut = node.call("POST", "/indexes/a/documents", raw=raw[:-4], content_type=NDJSON, headers=headers)
    task = node.run("POST", "/indexes/a/documents", raw=raw, content_type=NDJSON, headers=headers)

    assert (cut.status, cut.body["code"]) == (400, "bad_request")
    assert task["details"]["indexedDocuments"] == DOCUMENTS_PER_POST


def test_second_process_on_a_directory_is_refused(node: NodeProcess) -> None:
    """Only one process may own a database directory."""
    command = [sys.executable, "-m", "miroir.node", "--port", "1", "--db-path", str(node.directory)]

    second = subprocess.run(command, capture_output=True, timeout=15, check=False)

    assert second.returncode == 1
    assert b"in use by another process" in second.stderr


def test_emptied_node_refuses_old_keys(node: NodeProcess, tmp_path: Path) -> None:
    """The same uid and master key give the same key on any node, and a node that lost its disk knows none of them."""
    body = {"actions": ["search"], "indexes": ["*"], "expiresAt": None, "uid": "6062abda-a5aa-4414-ac91-ecd7944c0f8d"}
    value = node.call("POST", "/keys", body).body["key"]

    with NodeProcess(tmp_path / "other") as other:
        refused = other.call("POST", "/indexes/a/search", {}, authorization=f"Bearer {value}")
        again = other.call("POST", "/keys", body).body["key"]

    assert value == again == "0d030b69eea2dde1af6e6b714146c4dc942d4b2725c173e5d132c60aad9782f5"
    assert (refused.status, refused.body["code"]) == (403, "invalid_api_key")
