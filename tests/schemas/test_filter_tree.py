"""Filters as trees, printed again."""

import pytest

from schemas.filter_grammar import parse_expression
from schemas.filter_tree import Condition, Or, Word, fields_last_first, print_filter


@pytest.mark.parametrize("text", ["a = 1", "a = 1 AND (b > 2 OR NOT c IN [x, y])", "_geoRadius(1, 2, 3)"])
def test_printed_filter_means_the_same(text: str) -> None:
    """A print is read as the same print."""
    tree = parse_expression(text)
    assert tree is not None

    printed = print_filter(tree).text
    again = parse_expression(printed)

    assert again is not None
    assert print_filter(again).text == printed


def test_every_word_of_a_long_filter_has_its_place() -> None:
    """Places are those of the print, and a hundred thousand words are placed at once."""
    values = [f"v{number}" for number in range(100_000)]
    tree = parse_expression(f"a IN [{','.join(values)}] AND _geoRadius(1, 2, 3)")
    assert tree is not None

    printed = print_filter(tree)

    assert len(printed.places) == len(values) + 1 + 3
    for (_, _, text), (start, end) in printed.places.items():
        assert printed.text[start:end] == text


def test_leaves_come_last_first() -> None:
    """Fields are checked from the end, as on the real node."""
    tree = parse_expression("a = 1 AND NOT (b = 2 OR c = 3)")
    assert tree is not None

    assert [leaf.field.text for leaf in fields_last_first(tree) if hasattr(leaf, "field")] == ["c", "b", "a"]


def test_filter_of_very_many_conditions_is_printed() -> None:
    """Places are counted on, not anew for each word, which would take half an hour."""
    count = 100_000
    sign = Word("=", 0, 0)
    leaves = tuple(
        Condition(Word("a", 2 * at, 2 * at + 1), "=", (Word("1", 2 * at + 1, 2 * at + 2),), sign) for at in range(count)
    )

    printed = print_filter(Or(leaves))

    start, end = printed.places[2 * count - 2, 2 * count - 1, "a"]
    assert printed.text[start - 1 : end + 1] == '"a"'
    assert len(printed.places) == 2 * count
