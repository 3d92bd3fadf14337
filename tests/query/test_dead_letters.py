"""Dead letters, as a query service keeps them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from query.dead_letters import DeadLetters
from schemas.dead_letters import DeadLetter, build_dead_letter, build_dead_letter_key
from schemas.events import IndexRecord
from schemas.ids import Incarnation, IndexUid, Offset, Partition, Position, SettingsVersion
from streams.log import LogBatch, LogRecord
from streams.topics import DEAD

INDEX = IndexRecord(IndexUid("i"), Incarnation(0), "t", 2, 1, SettingsVersion(0), 0, 0)


def _letter(partition: int, offset: int) -> DeadLetter:
    return DeadLetter(
        "t", Partition(partition), Offset(offset), IndexUid("i"), Incarnation(0), "r", f"m{offset}", None, "dg==", 0
    )


def _batch(changes: list[tuple[int, int, bool]]) -> LogBatch:
    """Entries of (partition, offset), each put or, where the flag is false, taken away."""
    records = []
    for number, (partition, offset, put) in enumerate(changes):
        letter = _letter(partition, offset)
        value = build_dead_letter(letter) if put else None
        records.append(LogRecord(Offset(number), 0, build_dead_letter_key(letter), value))
    return LogBatch(DEAD, Partition(0), Position(0), Position(len(records)), tuple(records))


changes = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.booleans()), max_size=30)


@given(changes, st.integers(0, 10), st.integers(0, 10))
def test_letters_within_ranges_are_those_last_put(changed: list[tuple[int, int, bool]], start: int, end: int) -> None:
    """The last entry of a record counts; the first of a range is its lowest offset."""
    dead = DeadLetters()
    dead.fold([_batch(changed)])
    last = {(partition, offset): put for partition, offset, put in changed}
    expected = sorted(offset for (partition, offset), put in last.items() if partition == 0 and put)
    inside = [offset for offset in expected if start <= offset < end]

    found = dead.within(INDEX, {Partition(0): ((Position(start), Position(end)),)})

    assert (0 if found is None else found.count) == len(inside)
    assert found is None or found.first.offset == inside[0]
    assert len(dead) == sum(last.values())
    assert sum(dead.counts().values()) == len(dead)


def test_letters_do_not_keep_the_records_values() -> None:
    """Values may be large, and stay in the topic."""
    dead = DeadLetters()
    dead.fold([_batch([(0, 1, True)])])

    (letter,) = dead
    assert (letter.value, letter.message) == (None, "m1")


def test_closed_letter_is_counted_no_more_but_still_fails_its_post() -> None:
    """What was dealt with is off the list; a task that failed for it does not succeed afterwards."""
    dead = DeadLetters()
    dead.fold([_batch([(0, 1, True), (0, 2, True)])])
    closed = replace(_letter(0, 1), closed="replayed: 0@9")
    record = LogRecord(Offset(2), 0, build_dead_letter_key(closed), build_dead_letter(closed))

    for _ in range(2):
        dead.fold([LogBatch(DEAD, Partition(0), Position(2), Position(3), (record,))])

    assert ([letter.offset for letter in dead], len(dead), dead.counts()) == ([2], 1, {"i": 1})
    found = dead.within(INDEX, {Partition(0): ((Position(1), Position(2)),)})
    assert found is not None
    assert found.count == 1


def test_letters_of_an_earlier_index_over_the_same_topic_are_not_those_of_the_present_one() -> None:
    """Topics of deleted indexes go and may come again from offset 0; their letters stay."""
    dead = DeadLetters()
    dead.fold([_batch([(0, 1, True)])])
    anew = replace(INDEX, incarnation=Incarnation(7))
    whole = {Partition(0): ((Position(0), Position(9)),)}

    assert dead.within(anew, whole) is None
    assert dead.within(INDEX, whole) is not None


def test_letters_between_the_pieces_of_a_range_are_not_counted() -> None:
    """Whoever wrote at the same time has them; the first of all pieces is told, in whatever order they are given."""
    dead = DeadLetters()
    dead.fold([_batch([(0, offset, True) for offset in (1, 3, 5, 7)])])

    found = dead.within(INDEX, {Partition(0): ((Position(5), Position(7)), (Position(2), Position(4)))})

    assert found is not None
    assert (found.count, found.first.offset) == (2, 3)
