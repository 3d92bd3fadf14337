"""Which words may fall from a query, and in which order."""

import pytest

from miroir.node.engine.ranking.graph import kept_by_cost

Groups = list[set[int]]


def kept(size: int, groups: Groups) -> list[list[set[int]]]:
    """Return the kept ids by cost."""
    by_cost = kept_by_cost(size, [frozenset(group) for group in groups])
    return [[set(ids) for ids in sets] for sets in by_cost]


def test_words_fall_from_the_end() -> None:
    """With one turn each, last word first, only prefixes of the query stay."""
    assert kept(3, [{2}, {1}]) == [[{0, 1, 2}], [{0, 1}], [{0}]]


def test_phrase_stays_whatever_falls() -> None:
    """An id in no group is always kept."""
    assert kept(2, [{0}]) == [[{0, 1}], [{1}]]


def test_word_passed_before_may_stay() -> None:
    """A frequent word before the one that falls may stay; one behind it may not."""
    assert kept(3, [{0}, {2}]) == [[{0, 1, 2}], [{1, 2}, {0, 1}], [{1}]]
    assert kept(3, [{2}, {0}]) == [[{0, 1, 2}], [{0, 1}], [{1}]]


@pytest.mark.parametrize("size", [1, 4, 10])
def test_equal_turns_fall_in_any_combination(size: int) -> None:
    """Words of one group fall singly or together."""
    by_cost = kept(size, [set(range(size))])

    assert sum(map(len, by_cost)) == 2**size
