"""Occurrences beside each other, against comparing every pair."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine.bitmaps import from_numbers
from miroir.node.engine.ranking.context import ahead

PLACES = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 40))


def occurrences(count_max: int) -> st.SearchStrategy["array[int]"]:
    """Return a strategy for the rising occurrences of a word."""
    return st.lists(PLACES, max_size=count_max, unique=True).map(
        lambda found: array("Q", sorted(number << 32 | field << 16 | position for number, field, position in found))
    )


EITHER = occurrences(40) | occurrences(3)


@given(EITHER, EITHER, st.sampled_from([1, 2]))
def test_documents_with_one_word_ahead_of_another_are_all_and_only_those(
    left: "array[int]", right: "array[int]", distance: int
) -> None:
    """Whichever list is the longer one, and by how much, it is the same as comparing every pair."""
    expected = {place >> 32 for place in left if place + distance in right}

    assert ahead(left, right, distance) == from_numbers(expected)
