"""What becomes of dead letters: never an older record over newer data."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miroir.letter_fate import Stand, find_fault, home_of, is_newer, key_of, newest_letters
from schemas.dead_letters import DeadLetter, encode_bytes
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, SettingsVersion
from streams.partitioning import partition_of

INDEX = IndexRecord(
    IndexUid("films"), Incarnation(3), "miroir.docs.films", 4, 1, SettingsVersion(3), 0, 0, primary_key="id"
)


def letter(
    partition: int = 0, offset: int = 0, *, key: bytes | None = b"7", timestamp_ms: int = 1000, closed: str = ""
) -> DeadLetter:
    """Return a dead letter of the index."""
    return DeadLetter(
        INDEX.topic,
        Partition(partition),
        Offset(offset),
        INDEX.uid,
        INDEX.incarnation,
        "misrouted",
        "…",
        encode_bytes(key),
        None,
        timestamp_ms,
        closed,
    )


letters = st.builds(
    letter,
    st.integers(0, 3),
    st.integers(0, 9),
    key=st.sampled_from([b"7", b"8", b"no id!", None]),
    timestamp_ms=st.integers(0, 5),
    closed=st.sampled_from(["", "", "replayed: 0@1"]),
)


@pytest.mark.parametrize(
    ("stand", "newer"),
    [
        (Stand(Partition(0), Offset(6), 0), True),
        (Stand(Partition(0), Offset(4), 9000), False),
        (Stand(Partition(1), Offset(0), 1001), True),
        (Stand(Partition(1), Offset(99), 999), False),
        (Stand(Partition(1), Offset(0), 1000), True),
    ],
    ids=["behind", "before", "elsewhere and later", "elsewhere and earlier", "elsewhere at the same time"],
)
def test_newer_is_by_place_or_by_time(stand: Stand, *, newer: bool) -> None:
    """In one partition the offset decides, between two the time, and in doubt the letter is the older."""
    assert is_newer(stand, letter(0, 5)) is newer


@given(st.lists(letters, max_size=12))
def test_newest_letter_of_a_key_is_open_and_no_other_is_newer(found: list[DeadLetter]) -> None:
    """One for each key that is an id and has an open letter; in its own partition nothing stands behind it."""
    newest = newest_letters(found)

    keys = {key for each in found if not each.closed and (key := key_of(each)) is not None}
    assert {key for _, key in newest} == keys
    for (_, key), chosen in newest.items():
        assert chosen in found
        assert not chosen.closed
        others = [each for each in found if not each.closed and key_of(each) == key]
        assert all(each.offset <= chosen.offset for each in others if each.partition == chosen.partition)


def test_home_is_the_partitioners() -> None:
    """A record goes where its index says, whatever partition it stood in."""
    assert home_of(b"7", INDEX) == partition_of(b"7", 4, INDEX.partitioner)


@pytest.mark.parametrize(
    ("found", "value", "index", "fault"),
    [
        (letter(), b'{"id":7}', INDEX, ""),
        (letter(), None, INDEX, ""),
        (letter(), b"{", INDEX, "not_json"),
        (letter(), b'{"id":8}', INDEX, "id_disagrees"),
        (letter(key=b"no id!"), b"{}", INDEX, "invalid_id"),
        (letter(key=None), b"{}", INDEX, "null_key"),
        (letter(), b'{"a":"' + b"x" * 1000 + b'"}', INDEX, "at most 500"),
        (letter(), b"{}", None, "deleted since"),
        (letter(), b"{}", replace(INDEX, incarnation=Incarnation(9)), "deleted since"),
        (letter(), b"{}", replace(INDEX, primary_key=None), "no primary key"),
    ],
    ids=["good", "deletion", "not JSON", "id", "key", "no key", "large", "no index", "another index", "no primary key"],
)
def test_fault_is_found_before_anything_is_produced(
    found: DeadLetter, value: bytes | None, index: IndexRecord | None, fault: str
) -> None:
    """What would only die again is not tried."""
    said = find_fault(found, value, index, document_bytes_max=500)

    assert fault in said
    assert bool(said) is bool(fault)
