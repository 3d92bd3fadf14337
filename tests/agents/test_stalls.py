"""Streams that bring nothing although the log has more."""

from collections.abc import Mapping

from agents.stalls import STALLED_LOOKS, Behind, StreamSight, look_for_stalls
from schemas.ids import Partition, Position
from streams.log import TopicPartition

PLACE = TopicPartition("films", Partition(0))
OTHER = TopicPartition("films", Partition(1))


def at(stands: int, end: int) -> StreamSight:
    """Return a stream's sight."""
    return StreamSight(Position(stands), Position(end))


def looked(*sights: Mapping[TopicPartition, StreamSight]) -> list[list[TopicPartition]]:
    """Return what each of these looks, one after the other, finds."""
    behind: Mapping[TopicPartition, Behind] = {}
    found = []
    for each in sights:
        behind, stalled = look_for_stalls(behind, each)
        found.append(list(stalled))
    return found


def test_silent_stream_is_found_after_some_looks_and_then_left_as_many() -> None:
    """It is told again where to read: until that has had its time it is not found once more."""
    once: list[list[TopicPartition]] = [[]] * (STALLED_LOOKS - 1) + [[PLACE]]

    assert looked(*[{PLACE: at(5, 9)}] * (2 * STALLED_LOOKS)) == once + once


def test_stream_that_moves_or_stands_at_the_end_is_not_found() -> None:
    """Slow is not silent; and where there is nothing, nothing is brought."""
    slow = [{PLACE: at(number, 99), OTHER: at(7, 7)} for number in range(10)]

    assert looked(*slow) == [[]] * 10


def test_stream_that_was_not_looked_at_begins_anew() -> None:
    """It was paused, or given away, meanwhile."""
    still = {PLACE: at(5, 9)}

    assert looked(*[still] * (STALLED_LOOKS - 1), {}, *[still] * (STALLED_LOOKS - 1)) == [[]] * (2 * STALLED_LOOKS - 1)
