"""Names against names and patterns."""

import pytest

from schemas.attribute_patterns import is_within, matches, matches_or_holds


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("test", "*", True),
        ("testa", "test*", True),
        ("atest", "*test", True),
        ("atesta", "*test*", True),
        ("test", "test", True),
        ("test", "test*test", False),
        ("testa", "*test", False),
        ("test.inner", "test", False),
    ],
)
def test_pattern_with_and_without_stars_stands_for_names(name: str, pattern: str, *, expected: bool) -> None:
    """A star counts at an end only, and nothing nested is meant."""
    assert matches(name, pattern) is expected


def test_plain_name_stands_for_what_is_nested_in_it() -> None:
    """A name covers its children, no longer name, and no star."""
    assert is_within("dog.name", "dog")
    assert not is_within("doggo", "dog")
    assert not is_within("dog", "*")


def test_pattern_holds_its_parent() -> None:
    """What is nested is reached through its parent."""
    assert matches_or_holds("dog", "dog.name")
    assert not matches_or_holds("cat", "dog.name")
