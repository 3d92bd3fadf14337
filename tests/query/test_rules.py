"""Which attributes a list of names covers."""

import pytest

from query.rules import covers, rules_of

CASES = {
    "itself": ("a", "a", True),
    "child": ("a", "a.b", True),
    "not its parent": ("a.b", "a", False),
    "not a longer name": ("a", "ab", False),
    "everything": ("*", "a.b", True),
    "prefix": ("a*", "ab.c", True),
    "suffix": ("*_en", "title_en", True),
    "middle": ("*mid*", "amidst", True),
    "other prefix": ("a*", "ba", False),
}


@pytest.mark.parametrize(("name", "attribute", "covered"), CASES.values(), ids=CASES.keys())
def test_name_covers_attribute(
    name: str,
    attribute: str,
    covered: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """A name covers itself and what is below it; a star stands for any text."""
    assert covers(["unrelated", name], attribute) is covered


@pytest.mark.parametrize(
    ("entry", "attribute", "expected"),
    [
        ("*", "a", (False, False)),
        ("a*", "ab", (False, False)),
        ("o", "o.k", (True, True)),
        ("o.k", "o", (False, True)),
        ({"attributePatterns": ["*"]}, "a", (True, True)),
        ("abc", "a*", (False, True)),
        ("abc", "*c", (False, True)),
        ("abc", "b*", (False, False)),
        ({"attributePatterns": ["o"]}, "o.k", (False, True)),
        ({"attributePatterns": ["o.*"]}, "o", (False, True)),
        ({"attributePatterns": ["ab*"]}, "a*", (False, True)),
        ({"attributePatterns": ["o.*"]}, "o.k", (True, True)),
        ({"attributePatterns": ["*"], "features": {"filter": {"equality": False}}}, "a", (False, False)),
    ],
    ids=str,
)
def test_filterable_entry_covers_as_on_a_node(entry: object, attribute: str, expected: tuple[bool, bool]) -> None:
    """In a plain name ``*`` is a letter, and it takes nested attributes in; a pattern stands for what it matches.

    Facets may be patterns, too: they are none only where no attribute could be meant by both.
    """
    rules = rules_of("films", "id", {"filterableAttributes": [entry]})

    assert (rules.is_filterable(attribute), rules.is_facet(attribute)) == expected
