"""``miroir backup`` on a running stack: from the log, from the nodes, and what it refuses."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.miroir.local_stack import LocalStack

DOCUMENTS = 30
FIRST_CHANGED = 5


def make_index(stack: LocalStack, uid: str, file: Path) -> None:
    """Make an index of documents, of which the first few are written twice, the last one deleted."""
    lines = [{"id": n, "title": f"film {n}", "price": 1.5, "none": None} for n in range(DOCUMENTS)]
    again = [{"id": n, "title": "changed"} for n in range(FIRST_CHANGED)]
    file.write_text("\n".join(map(json.dumps, [*lines, *again])))
    stack.run("index", "create", uid, "--primary-key", "id", "--shards", "2", "--replication", "1")
    stack.run("produce", str(file), "--index", uid, "--wait")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return every line of a gzipped backup."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_backup_from_log_and_from_nodes_is_the_same(local_stack: LocalStack, tmp_path: Path) -> None:
    """Every document is there once, as it was written last, without the marker; the header tells the positions."""
    make_index(local_stack, "kept", tmp_path / "documents.ndjson")
    from_log, from_nodes = tmp_path / "log.ndjson.gz", tmp_path / "nodes.ndjson.gz"

    told = local_stack.run("backup", "kept", str(from_log), "--json").json
    standing = local_stack.run("backup", "kept", str(from_nodes), "--source", "nodes", code=1).err
    local_stack.run("index", "pause", "kept")
    local_stack.run("backup", "kept", str(from_nodes))
    local_stack.run("backup", "kept", str(from_nodes), "--source", "nodes", "--force")

    header, *documents, footer = read_lines(from_log)
    assert (told["documents"], told["source"], sum(told["cursors"])) == (DOCUMENTS, "log", DOCUMENTS + FIRST_CHANGED)
    assert (header["uid"], header["cursors"], footer["documents"]) == ("kept", told["cursors"], DOCUMENTS)
    assert {each["id"]: each["title"] for each in documents} == {
        n: "changed" if n < FIRST_CHANGED else f"film {n}" for n in range(DOCUMENTS)
    }
    assert "miroir index pause kept" in standing
    other, *others, _ = read_lines(from_nodes)
    assert (other["source"], other["cursors"]) == ("nodes", header["cursors"])
    assert sorted(others, key=lambda each: each["id"]) == sorted(documents, key=lambda each: each["id"])
    local_stack.run("index", "delete", "kept", "--yes")


@pytest.mark.parametrize(
    ("index", "name", "said"),
    [("nobody", "new.gz", "not found"), ("nobody", "there.gz", "--force"), ("nobody", "no/new.gz", "no directory")],
)
def test_backup_refused_says_why(local_stack: LocalStack, tmp_path: Path, index: str, name: str, said: str) -> None:
    """An index that is not there, a file that is, and a directory that is not."""
    (tmp_path / "there.gz").touch()

    assert said in local_stack.run("backup", index, str(tmp_path / name), code=1).err
    assert [path.name for path in tmp_path.iterdir()] == ["there.gz"]
