"""Filters as trees, printed again."""

import pytest

from schemas.filter_grammar import parse_expression
from schemas.filter_tree import fields_last_first, print_filter


@pytest.mark.parametrize("text", ["a = 1", "a = 1 AND (b > 2 OR NOT c IN [x, y])", "_geoRadius(1, 2, 3)"])
def test_printed_filter_means_the_same(text: str) -> None:
    """A print is read as the same print."""
    tree = parse_expression(text)
    assert tree is not None

    printed = print_filter(tree).text
    again = parse_expression(printed)

    assert again is not None
    assert print_filter(again).text == printed


def test_leaves_come_last_first() -> None:
    """Fields are checked from the end, as on the real node."""
    tree = parse_expression("a = 1 AND NOT (b = 2 OR c = 3)")
    assert tree is not None

    assert [leaf.field.text for leaf in fields_last_first(tree) if hasattr(leaf, "field")] == ["c", "b", "a"]
