"""The rules of place: buckets of positions."""

from array import array

import pytest

from miroir.node.engine.ranking.context import fields_of, numbers_of, positions_of
from miroir.node.engine.ranking.places import position_bucket, positions_in


@pytest.mark.parametrize("bucket", [0, 7, 15, 24, 32, 64, 512])
def test_positions_in_a_bucket_are_those_kept_in_it(bucket: int) -> None:
    """A bucket's positions are exactly those that fall into it."""
    expected = [position for position in range(2_000) if position_bucket(position) == bucket]

    assert list(positions_in(bucket)) == expected


def test_occurrences_come_apart_into_number_field_and_position() -> None:
    """The three parts of an occurrence are read back for all of them at once."""
    parts = [(0, 0, 0), (3, 1, 65_535), (117_791, 65_535, 8)]
    occurrences = array("Q", [number << 32 | field << 16 | position for number, field, position in parts])

    found = list(zip(numbers_of(occurrences), fields_of(occurrences), positions_of(occurrences), strict=True))

    assert found == parts
