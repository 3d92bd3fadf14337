"""The order of facet values by count."""

from hypothesis import given
from hypothesis import strategies as st

from miroir.node.engine.facet_tree import by_count

EVERYTHING = (1 << 64) - 1


@given(st.lists(st.integers(min_value=0, max_value=EVERYTHING), max_size=60), st.integers(0, EVERYTHING))
def test_counts_fall_and_every_value_comes_once(documents: list[int], candidates: int) -> None:
    """Whatever the tree looks like, no value is lost and none without candidates shown."""
    found = list(by_count(((float(place), numbers) for place, numbers in enumerate(documents)), candidates))

    assert [count for _, count in found] == sorted((count for _, count in found), reverse=True)
    assert dict(found) == {
        float(place): count for place, numbers in enumerate(documents) if (count := (numbers & candidates).bit_count())
    }


def test_equal_counts_of_few_values_come_with_the_largest_first() -> None:
    """Without a second level the larger value wins."""
    assert list(by_count([("a", 1), ("b", 2), ("c", 4)], 7)) == [("c", 1), ("b", 1), ("a", 1)]


def test_equal_counts_of_many_values_come_with_the_larger_group_first() -> None:
    """Values with a neighbour among the candidates come before a larger value that has none."""
    values = [(f"{place:02}", 1 << place) for place in range(80)]

    assert [value for value, _ in by_count(values, 1 << 79 | 0b11)] == ["01", "00", "79"]
