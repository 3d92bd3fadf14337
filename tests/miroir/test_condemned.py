"""Records that were set aside, as readers of an index's log must know them."""

import pytest

from miroir.condemned import fetch_condemned
from schemas.dead_letters import DeadLetter, build_dead_letter
from schemas.errors import InvalidInputError
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, SettingsVersion
from streams.log import Append, TopicPartition
from streams.topics import DEAD, own_topics
from streams.topology import build_topology
from tests.fakes.log import FakeLog, FakeLogReader

INDEX = IndexRecord(IndexUid("films"), Incarnation(3), "docs", 2, 2, SettingsVersion(3), 0, 0, primary_key="id")


def letter(incarnation: int, partition: int, offset: int) -> DeadLetter:
    """Return a dead letter."""
    return DeadLetter(
        "docs",
        Partition(partition),
        Offset(offset),
        INDEX.uid,
        Incarnation(incarnation),
        "node_refused",
        "",
        None,
        None,
        0,
    )


async def test_condemned_records_of_present_indexes_are_found() -> None:
    """Those of an index of the past mean nothing, and a letter that was removed is none."""
    log = FakeLog()
    for spec in own_topics():
        log.create(spec)
    for found in (letter(3, 0, 7), letter(3, 1, 2), letter(2, 0, 1), letter(3, 0, 9)):
        log.append(Append(DEAD, Partition(0), b"k", build_dead_letter(found)))
    log.append(Append(DEAD, Partition(0), b"gone", None))

    condemned = await fetch_condemned(FakeLogReader(log), build_topology({"index/films": INDEX}))

    assert condemned == {TopicPartition("docs", Partition(0)): {7, 9}, TopicPartition("docs", Partition(1)): {2}}


async def test_letter_that_cannot_be_read_stops_whoever_asks_until_its_key_is_written_again() -> None:
    """What it condemned is not known while it stands; once taken away, or written anew, it is of the past."""
    log = FakeLog()
    for spec in own_topics():
        log.create(spec)
    topology = build_topology({"index/films": INDEX})
    log.append(Append(DEAD, Partition(0), b"foreign", b"{"))
    with pytest.raises(InvalidInputError, match="DeadLetter"):
        await fetch_condemned(FakeLogReader(log), topology)

    log.append(Append(DEAD, Partition(0), b"foreign", None))

    assert await fetch_condemned(FakeLogReader(log), topology) == {}
