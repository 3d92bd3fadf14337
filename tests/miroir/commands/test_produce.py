"""``miroir produce``, ``search`` and ``verify`` on a running stack."""

import json
from pathlib import Path

import httpx
import pytest

from miroir.settings_source import load_settings
from schemas.ids import IndexUid, ShardId, node_index_uid
from schemas.keys import derive_key
from streams.marker import MARKER_FIELD, marker_of
from tests.miroir.local_stack import LocalStack, run_miroir
from tests.miroir.stranger import Answers, stranger


def write_documents(path: Path, count: int) -> Path:
    """Write so many documents as NDJSON."""
    lines = (json.dumps({"id": number, "word": f"word{number}", "even": number % 2 == 0}) for number in range(count))
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("via", ["kafka", "http"])
def test_produce_documents_are_found_and_equal_the_log(local_stack: LocalStack, tmp_path: Path, via: str) -> None:
    """Whichever way documents come, a search finds them and every copy equals the log."""
    index = f"produce-{via}"
    local_stack.run("index", "create", index, "--primary-key", "id", "--shards", "4")
    file = write_documents(tmp_path / "documents.ndjson", 60)

    produced = local_stack.run("produce", str(file), "--index", index, "--via", via, "--wait", "--json")

    assert (produced.json["documents"], produced.json["refused"]) == (60, 0)
    found = local_stack.run("search", index, "word17", "--json").json
    assert found["hits"][0] == {"id": 17, "word": "word17", "even": False}
    report = local_stack.run("verify", "--index", index, "--json").json
    assert report["verified"] is True
    assert report["documents"] == 120
    assert len(report["replicas"]) == 8


def test_produce_that_waits_tells_what_was_set_aside(local_stack: LocalStack, tmp_path: Path) -> None:
    """A document that nodes refuse only in their task is not called visible."""
    local_stack.run("index", "create", "produce-refused", "--primary-key", "id", "--shards", "2")
    file = write_documents(tmp_path / "documents.ndjson", 5)
    with file.open("a") as opened:
        opened.write('\n{"id": 99, "_geo": "nowhere"}\n')

    ran = local_stack.run("produce", str(file), "--index", "produce-refused", "--wait", "--json", code=1)

    assert (ran.json["documents"], ran.json["refused"]) == (6, 1)
    assert "miroir dead list" in ran.err


def test_produce_through_http_tells_the_post_that_failed(tmp_path: Path) -> None:
    """Nothing of a post whose task has failed at once is in the log: it is not counted, and not called well."""
    answers: Answers = {
        "/_miroir/status": (200, {"indexes": [{"uid": "films"}]}),
        "/indexes/films/documents": (202, {"taskUid": 7, "status": "enqueued"}),
        "/tasks/7": (200, {"uid": 7, "status": "failed", "error": {"message": "an id is missing"}}),
    }
    file = write_documents(tmp_path / "documents.ndjson", 3)

    with stranger(answers) as url:
        ran = run_miroir("produce", str(file), "--index", "films", "--via", "http", "--url", url, directory=tmp_path)

    assert ran.code == 1
    assert "line 1 to line 3: task 7 failed: an id is missing; the 0 documents before these are in the log" in ran.err


@pytest.mark.parametrize(
    ("index", "text", "said"),
    [("fims", '{"id":1}', "miroir index create fims"), ("films", "\n", "no documents are in it")],
    ids=["no index", "no documents"],
)
def test_produce_through_http_refuses_what_the_other_way_refuses(
    tmp_path: Path, index: str, text: str, said: str
) -> None:
    """A misspelt name makes no index, and an empty file is a mistake."""
    answers: Answers = {
        "/_miroir/status": (200, {"indexes": [{"uid": "films"}]}),
        f"/indexes/{index}/documents": (202, {"taskUid": 7, "status": "enqueued"}),
        "/tasks/7": (200, {"uid": 7, "status": "succeeded"}),
    }
    file = tmp_path / "documents.ndjson"
    file.write_text(text)

    with stranger(answers) as url:
        ran = run_miroir("produce", str(file), "--index", index, "--via", "http", "--url", url, directory=tmp_path)

    assert ran.code == 1
    assert said in ran.err


def test_produce_through_http_names_its_own_option_where_no_id_is_found(tmp_path: Path) -> None:
    """Nothing is posted, and the cure is one of the command's, not of the HTTP API's."""
    answers: Answers = {"/_miroir/status": (200, {"indexes": [{"uid": "films", "primary_key": None}]})}
    file = tmp_path / "documents.ndjson"
    file.write_text('{"title": "Dune"}')

    with stranger(answers) as url:
        ran = run_miroir("produce", str(file), "--index", "films", "--via", "http", "--url", url, directory=tmp_path)

    assert ran.code == 1
    assert "did not find any field ending with `id` in its name. Name it with --id." in ran.err


def test_produce_through_http_does_not_wait_for_a_paused_index(tmp_path: Path) -> None:
    """The reason and the cure are told at once."""
    index = {"uid": "films", "state": "paused", "reason": "the roof is open"}
    answers: Answers = {
        "/_miroir/status": (200, {"indexes": [index]}),
        "/indexes/films/documents": (202, {"taskUid": 7, "status": "enqueued"}),
        "/tasks/7": (200, {"uid": 7, "status": "enqueued"}),
    }
    file = write_documents(tmp_path / "documents.ndjson", 3)
    way = ("--index", "films", "--via", "http", "--wait")

    with stranger(answers) as url:
        ran = run_miroir("produce", str(file), *way, "--url", url, directory=tmp_path)

    assert ran.code == 1
    assert "index 'films' is paused: the roof is open; " in ran.err
    assert "`miroir index resume films`" in ran.err


def test_produce_without_primary_key_infers_it(local_stack: LocalStack, tmp_path: Path) -> None:
    """An index that has no primary key yet takes the field whose name ends with id."""
    local_stack.run("index", "create", "produce-inferred", "--shards", "2")
    file = write_documents(tmp_path / "documents.ndjson", 5)

    local_stack.run("produce", str(file), "--index", "produce-inferred", "--wait")

    assert local_stack.run("search", "produce-inferred", "--json").json["estimatedTotalHits"] == 5


def test_produce_without_primary_key_names_its_option_where_none_is_found(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    """The cure is one of the command's own."""
    local_stack.run("index", "create", "produce-unnamed", "--shards", "1")
    file = tmp_path / "documents.ndjson"
    file.write_text('{"title": "Dune"}')

    ran = local_stack.run("produce", str(file), "--index", "produce-unnamed", code=1)

    assert "Name it with --id." in ran.err
    local_stack.run("index", "delete", "produce-unnamed", "--yes")


def test_produce_unknown_index_names_the_cure(local_stack: LocalStack, tmp_path: Path) -> None:
    """An index that does not exist is an error that says how to make it."""
    file = write_documents(tmp_path / "documents.ndjson", 1)

    ran = local_stack.run("produce", str(file), "--index", "nobody", code=1)

    assert "miroir index create nobody" in ran.err


def test_verify_tampered_node_names_each_fault(local_stack: LocalStack, tmp_path: Path) -> None:
    """A document taken away, one changed, one added and a stray on a node are all found, and the exit code is 1."""
    index = "verify-tampered"
    local_stack.run("index", "create", index, "--primary-key", "id", "--shards", "1", "--replication", "1")
    file = write_documents(tmp_path / "documents.ndjson", 10)
    local_stack.run("produce", str(file), "--index", index, "--wait")
    placed = next(each for each in local_stack.run("status", "--json").json["indexes"] if each["uid"] == index)
    node = placed["shards"][0]["replicas"][0]["node"]
    marker = marker_of(ShardId(0))
    documents = [
        {MARKER_FIELD: marker, "id": 3, "word": "changed"},
        {MARKER_FIELD: marker, "id": 99, "word": "extra"},
        {MARKER_FIELD: marker_of(ShardId(7)), "id": 100, "word": "stray"},
    ]
    tamper(local_stack, node, node_index_uid(IndexUid(index), placed["incarnation"]), documents, deleted="4")

    report = local_stack.run("verify", "--index", index, "--json", code=1).json

    assert report["verified"] is False
    (replica,) = report["replicas"]
    assert replica["examples"] == {"missing": ["4"], "extra": ["99"], "different": ["3"]}
    assert [stray["documents"] for stray in report["strays"]] == [1]
    local_stack.run("index", "delete", index, "--yes")


def tamper(local_stack: LocalStack, node: str, index: str, documents: list[dict[str, object]], *, deleted: str) -> None:
    """Write to a node behind miroir's back, with its master key, and wait until it is done."""
    settings = load_settings({}, local_stack.directory)
    url = f"http://127.0.0.1:{local_stack.state.ports[node]}"
    headers = {"Authorization": f"Bearer {settings.node_master_key.get_secret_value()}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
        http.delete(f"/indexes/{index}/documents/{deleted}").raise_for_status()
        answer = http.post(f"/indexes/{index}/documents", json=documents).raise_for_status()
        uid = answer.json()["taskUid"]
        while (task := http.get(f"/tasks/{uid}").json())["status"] in {"enqueued", "processing"}:
            pass
        assert task["status"] == "succeeded", task


def test_derived_worker_key_differs_from_master_key(local_stack: LocalStack) -> None:
    """What a node is asked with is never its master key."""
    settings = load_settings({}, local_stack.directory)
    master = settings.node_master_key.get_secret_value()

    assert derive_key(master, "6062abda-a5aa-4414-ac91-ecd7944c0f8d") != master
