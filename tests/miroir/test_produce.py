"""Documents from files into partitions."""

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.document_files import FileDocument
from miroir.produce import BATCH_RECORDS, id_field_of, produce
from schemas.errors import InvalidInputError
from schemas.events import IndexRecord, PartitionerName
from schemas.ids import Incarnation, IndexUid, Offset, SettingsVersion
from streams.log import Append
from streams.partitioning import partition_of


class ListWriter:
    """A log writer that keeps what it is given."""

    def __init__(self) -> None:
        self.partitions: dict[int, list[Append]] = {}

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append, and return offsets that count from 0 in each partition."""
        offsets = []
        for append in appends:
            kept = self.partitions.setdefault(append.partition, [])
            offsets.append(Offset(len(kept)))
            kept.append(append)
        return offsets

    async def close(self) -> None:
        """Nothing is held."""


def make_index(partitioner: PartitionerName = PartitionerName.MURMUR2, primary_key: str | None = "id") -> IndexRecord:
    """Return an index of four shards."""
    return IndexRecord(
        IndexUid("films"),
        Incarnation(3),
        "miroir.docs.films",
        4,
        2,
        SettingsVersion(3),
        0,
        0,
        partitioner=partitioner,
        primary_key=primary_key,
    )


def make_document(fields: dict[str, object], number: int = 1) -> FileDocument:
    """Return a document as a file gives it."""
    return FileDocument(f"line {number}", fields, orjson.dumps(fields), number)


@pytest.mark.parametrize("partitioner", list(PartitionerName))
@given(ids=st.lists(st.integers(0, 10**6), max_size=30, unique=True))
async def test_produce_document_goes_where_the_partitioner_says(ids: list[int], partitioner: PartitionerName) -> None:
    """Each document stands once, under its id as text, in the partition of its key; the ends are exclusive."""
    writer = ListWriter()

    produced = await produce(
        writer, make_index(partitioner), [make_document({"id": each}) for each in ids], id_field="id"
    )

    kept = [append for appends in writer.partitions.values() for append in appends]
    assert sorted(append.key or b"" for append in kept) == sorted(str(each).encode() for each in ids)
    assert all(append.partition == partition_of(append.key or b"", 4, partitioner) for append in kept)
    assert produced.documents == len(ids)
    assert produced.ends == {partition: len(appends) for partition, appends in writer.partitions.items()}
    assert produced.starts == dict.fromkeys(writer.partitions, 0)


async def test_produce_many_documents_reports_on_the_way() -> None:
    """Progress is told for every batch, and at the end."""
    told: list[tuple[int, int]] = []
    documents = [make_document({"id": each}, each) for each in range(BATCH_RECORDS + 1)]

    await produce(ListWriter(), make_index(), documents, id_field="id", report=lambda *seen: told.append(seen))

    assert [done for done, _ in told] == [BATCH_RECORDS, BATCH_RECORDS + 1]


@pytest.mark.parametrize("fields", [{"name": "x"}, {"id": None}, {"id": 1.5}, {"id": "a b"}, {"id": ""}], ids=str)
async def test_produce_bad_id_names_its_place(fields: dict[str, object]) -> None:
    """A document that has no id, or none that can be one, stops with its place."""
    with pytest.raises(InvalidInputError, match="line 7"):
        await produce(ListWriter(), make_index(), [make_document(fields, 7)], id_field="id")


@pytest.mark.parametrize(
    ("primary_key", "wanted", "found"), [("id", None, "id"), ("id", "id", "id"), (None, "id", "id"), (None, None, None)]
)
def test_id_field_of_known_or_wanted_is_used(primary_key: str | None, wanted: str | None, found: str | None) -> None:
    """The index's field counts, else the one wanted, else it must be inferred."""
    assert id_field_of(make_index(primary_key=primary_key), wanted, {"id": 1}) == found


@pytest.mark.parametrize(("wanted", "first"), [("name", {"name": 1}), (None, {"name": 1})], ids=["another", "absent"])
def test_id_field_of_another_or_absent_field_is_refused(wanted: str | None, first: dict[str, object]) -> None:
    """A field that is not the index's, or is not in the documents, is refused before anything is produced."""
    with pytest.raises(InvalidInputError):
        id_field_of(make_index(), wanted, first)


async def test_produce_that_stops_says_how_many_documents_are_in_the_log() -> None:
    """What was sent before the bad document stays, and what was not yet sent is not counted."""
    writer = ListWriter()
    documents = [make_document({"id": each}, each) for each in range(BATCH_RECORDS + 1)]

    with pytest.raises(InvalidInputError, match=f"line 7: .*; the first {BATCH_RECORDS:,} documents are in the log"):
        await produce(writer, make_index(), [*documents, make_document({"id": None}, 7)], id_field="id")

    assert sum(map(len, writer.partitions.values())) == BATCH_RECORDS
