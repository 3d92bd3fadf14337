"""The first and the last line of a backup."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.backups import BackupFooter, BackupHeader, build_footer, build_header, parse_footer, parse_header
from schemas.errors import InvalidInputError
from schemas.events import PartitionerName
from tests.strategies import groups, incarnations, index_uids, json_objects, numbers, positions, texts

headers = st.builds(
    BackupHeader,
    uid=index_uids,
    incarnation=incarnations,
    topic=texts,
    primary_key=st.none() | texts,
    shards=st.integers(1, 9),
    replication=st.integers(1, 9),
    groups=groups,
    partitioner=st.sampled_from(PartitionerName),
    settings=json_objects,
    cursors=st.lists(positions, max_size=9).map(tuple),
    source=st.sampled_from(("log", "nodes")),
    taken_ms=numbers,
)


@given(headers)
def test_header_parsed_is_what_was_built(header: BackupHeader) -> None:
    """A header comes back as it was, and is one line."""
    line = build_header(header)

    assert b"\n" not in line
    assert parse_header(line) == header


@given(st.builds(BackupFooter, documents=numbers, digest=texts))
def test_footer_parsed_is_what_was_built(footer: BackupFooter) -> None:
    """A footer comes back as it was."""
    assert parse_footer(build_footer(footer)) == footer


@pytest.mark.parametrize("line", [b"", b"{}", b'{"id":1,"_miroir_end":1}', b"[1]", b"\xff"])
def test_footer_of_another_line_is_none(line: bytes) -> None:
    """A document is no footer, nor is what is no JSON at all."""
    assert parse_footer(line) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b"\x00", "no backup of miroir: the first line is not JSON", id="binary"),
        pytest.param(b'{"id": 1}', "no backup of miroir", id="a document"),
        pytest.param(b"[]", "no backup of miroir", id="an array"),
        pytest.param(b'{"_miroir_backup":2,"new":1}', "format 2; this miroir reads format 1", id="newer"),
        pytest.param(b'{"_miroir_backup":1,"uid":"a"}', "BackupHeader: incarnation", id="half"),
    ],
)
def test_header_of_no_use_says_why(line: bytes, said: str) -> None:
    """Of a newer format nothing but the version is looked at."""
    with pytest.raises(InvalidInputError, match=said):
        parse_header(line)


def test_footer_of_newer_format_is_refused() -> None:
    """It may mean something else."""
    with pytest.raises(InvalidInputError, match="format 9"):
        parse_footer(orjson.dumps({"_miroir_end": 9}))
