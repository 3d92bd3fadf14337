"""Frozen values to bytes and back, and nothing half read."""

import re
import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ConfigDict

from schemas.backups import BackupFooter, BackupHeader
from schemas.dead_letters import DeadLetter
from schemas.errors import InvalidInputError
from schemas.events import ClusterValue
from schemas.progress import Progress
from schemas.requests import Request
from schemas.tasks import TaskRecord
from schemas.wire import STRICT, build, parse

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "docs" / "wire.md"
SOURCES = "".join((ROOT / name).read_text() for name in ("schemas/documents.py", "agents/operations.py"))


@dataclass(frozen=True, slots=True)
class Sample:
    """A record of every simple kind."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    count: int
    weight: float = 1.0
    flag: bool = False
    ranges: tuple[tuple[int, int], ...] = ()


def test_build_refuses_an_integer_that_no_reader_takes() -> None:
    """One of more than 64 bits is said to be the caller's fault, not ours."""
    with pytest.raises(InvalidInputError, match="64-bit"):
        build(Sample("a", 10**20))


def test_build_writes_compact_json_in_the_order_of_the_fields() -> None:
    """The bytes are what docs/wire.md says, so that other languages can read and write them."""
    assert build(Sample("a", 1, 0.5, flag=True, ranges=((1, 2),))) == (
        b'{"name":"a","count":1,"weight":0.5,"flag":true,"ranges":[[1,2]]}'
    )


def test_parse_fills_what_has_a_default() -> None:
    """A field with a default may be left out: how a form grows."""
    assert parse(Sample, b'{"count": 1, "name": "a"}') == Sample("a", 1)


def test_parse_takes_a_whole_number_for_a_fraction() -> None:
    """JSON has one kind of number; a weight of 2 is 2.0."""
    assert parse(Sample, b'{"count": 1, "name": "a", "weight": 2}').weight == 2.0


@pytest.mark.parametrize(
    ("data", "where"),
    [
        pytest.param(b"", "value", id="nothing"),
        pytest.param(b"{", "value", id="not JSON"),
        pytest.param(b"\xff", "value", id="not UTF-8"),
        pytest.param(b"null", "value", id="null"),
        pytest.param(b"[]", "value", id="an array"),
        pytest.param(b'{"name": "a"}', "count", id="a field is missing"),
        pytest.param(b'{"name": "a", "count": 1, "extra": 2}', "extra", id="an unknown field"),
        pytest.param(b'{"name": "a", "count": "1"}', "count", id="a number as text"),
        pytest.param(b'{"name": "a", "count": 1.0}', "count", id="a fraction for an integer"),
        pytest.param(b'{"name": "a", "count": true}', "count", id="a boolean for a number"),
        pytest.param(b'{"name": 1, "count": 1}', "name", id="a number for text"),
        pytest.param(b'{"name": null, "count": 1}', "name", id="null for text"),
        pytest.param(b'{"name": "a", "count": 1, "flag": 1}', "flag", id="a number for a boolean"),
        pytest.param(b'{"name": "a", "count": 1, "weight": NaN}', "weight", id="NaN"),
        pytest.param(b'{"name": "a", "count": 1, "weight": 1e999}', "weight", id="infinity"),
        pytest.param(b'{"name": "a", "count": 1, "ranges": [[1]]}', "ranges.0.1", id="half a range"),
    ],
)
def test_malformed_value_names_kind_and_field(data: bytes, where: str) -> None:
    """Whoever reads the log line knows which record and which field of it."""
    with pytest.raises(InvalidInputError, match=rf"^Sample: {where}: "):
        parse(Sample, data)


def test_name_given_replaces_the_kinds_own() -> None:
    """A union has no name of its own."""
    with pytest.raises(InvalidInputError, match=r"^Thing: value: "):
        parse(Sample, b"{", name="Thing")


def documented_fields() -> dict[str, set[str]]:
    """Return, for every section of docs/wire.md that is named after a record, the fields in its table."""
    sections = re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", WIRE.read_text(), re.MULTILINE | re.DOTALL)
    rows = {name: re.findall(r"^\| (`.*?) \|", body, re.MULTILINE) for name, body in sections}
    return {name: {field for row in found for field in re.findall(r"`(\w+)`", row)} for name, found in rows.items()}


def test_every_record_is_documented_field_by_field() -> None:
    """What we persist is our public API: a new field is written down, and one written down exists."""
    kinds = [*typing.get_args(Request), *typing.get_args(ClusterValue), Progress, TaskRecord, DeadLetter]
    kinds += [BackupHeader, BackupFooter]

    assert documented_fields() == {kind.__name__: {field.name for field in fields(kind)} for kind in kinds}


@pytest.mark.parametrize("reason", sorted(set(re.findall(r'InvalidDocumentError\(\s*"(\w+)"', SOURCES))))
def test_every_reason_to_set_a_record_aside_is_documented(reason: str) -> None:
    """Reasons are stable codes: dashboards and scripts go by them."""
    assert f"`{reason}`" in WIRE.read_text()
