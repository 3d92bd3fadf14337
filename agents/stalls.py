"""Noticing streams that bring nothing although the log has more.

What always holds: a stream that brought anything between two looks is not stalled; one that is found is forgotten, so
that it is found again only after as many looks. Who calls it: the worker, once a second. It must not know: why.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.ids import Position
from streams.log import TopicPartition

STALLED_LOOKS = 3
"""Looks, a second apart, at a stream that brings nothing before it is told again: a healthy one brings within 0.3 s."""


class StreamSight(NamedTuple):
    """Where a stream that should bring something stands, and where its log ends; both exclusive."""

    stands: Position
    end: Position


class Behind(NamedTuple):
    """Where a stream stood at the last look, and for how many looks."""

    stands: Position
    looks: int


def look_for_stalls(
    behind: Mapping[TopicPartition, Behind], streams: Mapping[TopicPartition, StreamSight]
) -> tuple[Mapping[TopicPartition, Behind], Sequence[TopicPartition]]:
    """Return the streams that are behind now, and those that have stalled.

    Args:
        behind: what the last look returned.
        streams: those that are neither paused nor told already where to go on.
    """
    now: dict[TopicPartition, Behind] = {}
    stalled = []
    for partition, (stands, end) in streams.items():
        if end <= stands:
            continue
        before = behind.get(partition)
        looks = before.looks + 1 if before is not None and before.stands == stands else 1
        if looks >= STALLED_LOOKS:
            stalled.append(partition)
        else:
            now[partition] = Behind(stands, looks)
    return now, stalled
