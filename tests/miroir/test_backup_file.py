"""Backups on disk: whole under their name, and noticed where they are not."""

import gzip
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from miroir.backup_file import check_backup, read_backup, require_free, writing
from schemas.backups import BackupHeader
from schemas.errors import InvalidInputError, MiroirError
from schemas.events import PartitionerName
from schemas.ids import Incarnation, IndexUid, Position

HEADER = BackupHeader(
    uid=IndexUid("films"),
    incarnation=Incarnation(3),
    topic="miroir.docs.films",
    primary_key="id",
    shards=1,
    replication=2,
    groups=(0,),
    partitioner=PartitionerName.MURMUR2,
    settings={},
    cursors=(Position(9),),
    source="log",
    taken_ms=1,
)
DOCUMENTS = [b'{"id":%d,"title":"%s"}' % (each, b"film " * each) for each in range(40)]


def write(path: Path, documents: list[bytes]) -> Path:
    """Return the path of a backup of these documents."""
    with writing(path) as writer:
        writer.begin(HEADER)
        for document in documents:
            writer.add(document)
    return path


@pytest.mark.parametrize("name", ["films.ndjson", "films.ndjson.gz"])
def test_backup_read_gives_what_was_written(tmp_path: Path, name: str) -> None:
    """Header and documents come back, the count is right, and nobody else may read the file."""
    path = write(tmp_path / name, DOCUMENTS)

    backup = check_backup(path)
    assert (backup.header, backup.footer.documents, backup.size_bytes) == (HEADER, 40, path.stat().st_size)
    assert [each.value for each in read_backup(path)] == DOCUMENTS
    assert [each.fields["id"] for each in read_backup(path)] == list(range(40))
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A file that was there stays as it was, and no part of the new one is left."""
    path = write(tmp_path / "films.ndjson", DOCUMENTS[:1])
    before = path.read_bytes()

    with pytest.raises(TypeError), writing(path) as writer:
        writer.begin("no header")  # type: ignore[arg-type]  # a mistake of ours, in the middle

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_backup_cut_anywhere_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    """However much of its end is missing, gzipped or not, the file is refused."""
    name = data.draw(st.sampled_from(["films.ndjson", "films.ndjson.gz"]))
    whole = write(tmp_path / name, DOCUMENTS).read_bytes()
    kept = data.draw(st.integers(0, len(whole) - 2))
    (tmp_path / f"cut.{name}").write_bytes(whole[:kept])

    with pytest.raises(InvalidInputError):
        check_backup(tmp_path / f"cut.{name}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda lines: lines[:5] + lines[6:], "40 documents expected, 39 found", id="a line is missing"),
        pytest.param(lambda lines: [*lines[:5], b'{"id":4}\n', *lines[6:]], "was changed", id="a line is another"),
        pytest.param(lambda lines: lines[:-1], "cut, or no backup", id="the last line is missing"),
        pytest.param(lambda lines: [*lines, b"{}\n"], "stands behind the last line", id="a line more"),
        pytest.param(lambda lines: lines[1:], "no backup of miroir", id="the first line is missing"),
        pytest.param(lambda _: [], "the file is empty", id="nothing"),
        pytest.param(lambda _: [b'{"id":1}\n', b'{"id":2}\n'], "no backup of miroir", id="plain documents"),
    ],
)
def test_backup_spoilt_says_how(tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], said: str) -> None:
    """What is wrong is named with the file."""
    path = write(tmp_path / "films.ndjson", DOCUMENTS)
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))

    with pytest.raises(InvalidInputError, match=f"films.ndjson: .*{said}"):
        check_backup(path)


def test_backup_with_a_damaged_middle_is_noticed(tmp_path: Path) -> None:
    """Bytes that do not decompress are an error of the file, not of the program."""
    path = write(tmp_path / "films.ndjson.gz", DOCUMENTS)
    data = bytearray(path.read_bytes())
    data[60:70] = b"\xff" * 10
    path.write_bytes(data)

    with pytest.raises(InvalidInputError, match=r"damaged|changed"):
        check_backup(path)


def test_backup_document_that_is_none_is_named(tmp_path: Path) -> None:
    """A file made by somebody else may be whole and hold anything."""
    for line, said in ((b"[1]", "line 2: expected a JSON object"), (b"{", "line 2: not JSON")):
        path = write(tmp_path / "films.ndjson", [line])
        with pytest.raises(InvalidInputError, match=said):
            list(read_backup(path))


def test_backup_has_no_name_and_time_in_it(tmp_path: Path) -> None:
    """The same documents give the same bytes, and any tool reads them."""
    first, second = write(tmp_path / "a.gz", DOCUMENTS), write(tmp_path / "b.gz", DOCUMENTS)

    assert first.read_bytes() == second.read_bytes()
    assert orjson.loads(gzip.decompress(first.read_bytes()).splitlines()[1]) == {"id": 0, "title": ""}


def test_require_free_refuses_what_is_there(tmp_path: Path) -> None:
    """Nothing is written over by accident, and a directory must be there."""
    (tmp_path / "there").touch()

    require_free(tmp_path / "there", force=True)
    require_free(tmp_path / "new", force=False)
    with pytest.raises(MiroirError, match="--force"):
        require_free(tmp_path / "there", force=False)
    with pytest.raises(MiroirError, match="no directory"):
        require_free(tmp_path / "no" / "new", force=False)
    with pytest.raises(MiroirError, match="none"):
        check_backup(tmp_path / "none")
