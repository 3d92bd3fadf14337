"""Files of documents in every form."""

import gzip
import os
import threading
from pathlib import Path

import pytest

from miroir.document_files import read_documents
from schemas.errors import InvalidInputError, MiroirError

EXPECTED = [{"id": 1, "t": "é"}, {"id": 2}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ndjson", '{"id": 1, "t": "é"}\n\n{"id": 2}\n'),
        ("a.json", '{"id": 1, "t": "é"}\n{"id": 2}'),
        ("a.json", '[{"id": 1, "t": "é"}, {"id": 2}]'),
        ("a.json", '[\n  {\n"id": 1, "t": "é"},\n {"id": 2}\n]\n'),
        ("a.ndjson", '\n{"id": 1, "t": "é"}\n{"id": 2}'),
    ],
    ids=["NDJSON", "NDJSON named json", "array", "array over lines", "empty first line"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_read_documents_any_form_gives_its_documents(tmp_path: Path, name: str, text: str, *, packed: bool) -> None:
    """Whatever form it has, a file gives the same documents."""
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())

    found = list(read_documents(path))

    assert [document.fields for document in found] == EXPECTED
    assert found[-1].bytes_read == path.stat().st_size


def test_read_documents_object_over_lines_is_one_document(tmp_path: Path) -> None:
    """A JSON object that is no line by itself is one document."""
    path = tmp_path / "a.json"
    path.write_text('{\n  "id": 1\n}\n')

    assert [document.fields for document in read_documents(path)] == [{"id": 1}]


def test_read_documents_empty_file_gives_none(tmp_path: Path) -> None:
    """An empty file holds no documents."""
    path = tmp_path / "a.ndjson"
    path.write_text("\n")

    assert list(read_documents(path)) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"id": 1}\n{"id": 2,\n', "line 2"),
        ('{"id": 1}\n7\n', "line 2"),
        ("[{}, 7]", "item 2"),
        ("[{}, ", "not JSON"),
        ('[{"n": 18446744073709551616}]', "18446744073709551616 has more than 64 bits"),
    ],
    ids=["cut line", "number", "number in array", "cut array", "integer that would be rounded"],
)
def test_read_documents_bad_document_names_its_place(tmp_path: Path, text: str, place: str) -> None:
    """What is not a JSON object stops, with where it stands."""
    path = tmp_path / "a.ndjson"
    path.write_text(text)

    with pytest.raises(InvalidInputError, match=rf"^{path}: .*{place}"):
        list(read_documents(path))


def test_read_documents_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file that is not there, not gzip, cut, or damaged, is an error of ours."""
    whole = gzip.compress(b'{"id": 1}\n' * 100)
    bad = {"none.gz": b"no gzip", "cut.gz": whole[:-9], "damaged.gz": whole[:12] + b"\xff" * 8 + whole[20:]}
    for name, held in bad.items():
        (tmp_path / name).write_bytes(held)

    for path in (tmp_path / "absent", *(tmp_path / name for name in bad)):
        with pytest.raises(MiroirError, match=path.name):
            list(read_documents(path))


@pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
@pytest.mark.parametrize("text", ['{"id": 1, "t": "é"}\n{"id": 2}\n', '[{"id": 1, "t": "é"},\n{"id": 2}]'])
def test_read_documents_of_a_pipe_gives_them_all(tmp_path: Path, name: str, text: str) -> None:
    """What another program writes is read as it comes, though nobody can tell how far that is."""
    path = tmp_path / name
    os.mkfifo(path)
    held = gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode()
    writing = threading.Thread(target=path.write_bytes, args=(held,), daemon=True)
    writing.start()

    found = list(read_documents(path))

    writing.join()
    assert [(document.fields, document.bytes_read) for document in found] == [(each, 0) for each in EXPECTED]
