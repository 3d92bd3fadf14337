"""``miroir restore`` on a running stack: a new index like the old one, and files that it refuses."""

import json
from pathlib import Path

from tests.miroir.local_stack import LocalStack
from tests.miroir.stranger import stranger

DOCUMENTS = 30


def test_restore_makes_the_index_again_under_another_name(local_stack: LocalStack, tmp_path: Path) -> None:
    """Documents and settings are as they were, over another number of shards; doing it again changes nothing."""
    file, backup = tmp_path / "documents.ndjson", tmp_path / "films.ndjson.gz"
    file.write_text("\n".join(json.dumps({"id": n, "title": f"film {n}"}) for n in range(DOCUMENTS)))
    local_stack.run("index", "create", "first", "--primary-key", "id", "--shards", "2", "--replication", "1")
    local_stack.run("produce", str(file), "--index", "first", "--wait")
    local_stack.run("backup", "first", str(backup))

    there = local_stack.run("restore", str(backup), code=1).err
    made = local_stack.run("restore", str(backup), "--as", "second", "--shards", "3", "--json").json
    again = local_stack.run("restore", str(backup), "--as", "second", "--again", "--json").json

    assert "index 'first' is there already" in there
    assert "--as" in there
    assert (made["index"], made["documents"], again["documents"]) == ("second", DOCUMENTS, DOCUMENTS)
    assert made["token"].startswith("second:0@")
    assert again["incarnation"] == made["incarnation"]
    report = local_stack.run("verify", "--index", "second", "--json").json
    assert (report["verified"], report["documents"]) == (True, DOCUMENTS)
    assert {each["shard"] for each in report["replicas"]} == {0, 1, 2}
    second = tmp_path / "again.ndjson"
    local_stack.run("backup", "second", str(second))
    assert sorted(second.read_text().splitlines()[1:-1]) == sorted(
        json.dumps({"id": n, "title": f"film {n}"}, separators=(",", ":")) for n in range(DOCUMENTS)
    )
    for uid in ("first", "second"):
        local_stack.run("index", "delete", uid, "--yes")


def test_restore_that_nobody_answers_says_so_and_how_it_goes_on(local_stack: LocalStack, tmp_path: Path) -> None:
    """No number of copies is wrong where no worker runs; what was asked for may still be made."""
    backup = tmp_path / "empty.ndjson"
    local_stack.run("index", "create", "unheard", "--primary-key", "id", "--shards", "1")
    local_stack.run("backup", "unheard", str(backup))
    unanswered = {"offset": 7, "accepted": None, "decided": True}

    with stranger({"/_miroir/requests": (202, unanswered)}) as url:
        ran = local_stack.run("restore", str(backup), "--as", "nobody", "--url", url, code=1)

    assert "nobody has answered request 7" in ran.err
    assert "does a worker run?" in ran.err
    assert "then restore with --again" in ran.err
    assert "--replication" not in ran.err
    local_stack.run("index", "delete", "unheard", "--yes")


def test_restore_of_no_whole_backup_makes_nothing(local_stack: LocalStack, tmp_path: Path) -> None:
    """A file of documents, one that is cut, and one of a newer format are told apart, before anything is made."""
    cut = tmp_path / "cut.ndjson"
    header = (
        '{"_miroir_backup":1,"uid":"cut","incarnation":1,"topic":"t","primary_key":"id","shards":1,"replication":1,'
        '"groups":[0],"partitioner":"murmur2","settings":{},"cursors":[1],"source":"log","taken_ms":1}\n'
    )
    cases = {
        '{"id": 1}\n': "no backup of miroir",
        f'{header}{{"id":1}}\n': "cut",
        '{"_miroir_backup":2}\n': "format 2",
        "": "empty",
    }

    for text, said in cases.items():
        cut.write_text(text)
        assert said in local_stack.run("restore", str(cut), code=1).err

    assert "cut" not in [each["uid"] for each in local_stack.run("index", "list", "--json").json]
