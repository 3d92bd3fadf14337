"""Directories of recordings, whole and broken."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bench.parity_fixtures import FixtureError, fixture_paths, is_conversation, read_conversation, read_searches


def write(path: Path, content: Any) -> Path:
    """Write a recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


CASE = {"request": {"q": "a"}, "response": {"hits": []}}


def test_every_recording_of_a_directory_is_found(tmp_path: Path) -> None:
    """Whatever the files are called, packed or not; other files are let alone."""
    write(tmp_path / "b.json.gz", {})
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "README.md").write_text("no recording")

    assert list(fixture_paths(tmp_path)) == ["a", "b"]


def test_documents_are_found_beside_the_directory_every_nth_line(tmp_path: Path) -> None:
    """The file names its documents relative to where the directory lies, and may take only some lines."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.ndjson").write_text("\n".join(f'{{"id":{n}}}' for n in range(7)))
    source = "data/x.ndjson, every 3rd line starting with the first"
    path = write(tmp_path / "recorded" / "x.json.gz", {"documents": source, "cases": [CASE]})

    fixture = read_searches(path)

    assert fixture.name == "x"
    assert fixture.documents.splitlines() == [b'{"id":0}', b'{"id":3}', b'{"id":6}']
    assert len(read_searches(path, whole=True).documents.splitlines()) == 7


def test_documents_may_stand_in_the_recording(tmp_path: Path) -> None:
    """A list of documents needs no file."""
    path = write(tmp_path / "x.json.gz", {"index": "own", "documents": [{"id": 1}], "cases": []})

    fixture = read_searches(path)

    assert (fixture.name, fixture.documents) == ("own", b'{"id": 1}')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"documents": "data/none.ndjson", "cases": []}, "are not beside it"),
        ({"cases": []}, "lacks documents"),
        ({"documents": [], "cases": [{"request": {}}]}, "case 0 lacks"),
        ([], "no JSON object"),
    ],
    ids=["no documents", "no source", "half a case", "no object"],
)
def test_unusable_recording_is_named_with_its_reason(tmp_path: Path, content: Any, reason: str) -> None:
    """Whoever gave the directory learns which file is wrong."""
    path = write(tmp_path / "in" / "x.json.gz", content)

    with pytest.raises(FixtureError, match=reason) as caught:
        read_searches(path)

    assert str(path) in str(caught.value)


def test_recording_cut_short_is_named(tmp_path: Path) -> None:
    """A broken archive is an error about that file."""
    path = write(tmp_path / "x.json.gz", {"documents": [], "cases": []})
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(FixtureError, match=r"x\.json\.gz: cannot be read"):
        read_searches(path)


def test_directory_without_recordings_is_refused(tmp_path: Path) -> None:
    """Nothing to compare is not success."""
    with pytest.raises(FixtureError, match="holds no recording"):
        fixture_paths(tmp_path)
    with pytest.raises(FixtureError, match="no such directory"):
        fixture_paths(tmp_path / "none")


def test_conversation_is_told_from_searches(tmp_path: Path) -> None:
    """A conversation has steps, each with its method, path and status."""
    step = {"method": "GET", "path": "/health", "status": 200}

    assert is_conversation({"steps": [step]})
    assert read_conversation(write(tmp_path / "c.json.gz", {"steps": [step]})).master_key == "masterKey"
    with pytest.raises(FixtureError, match="step 0 lacks"):
        read_conversation(write(tmp_path / "d.json.gz", {"steps": [{"path": "/"}]}))
