"""Values of a JSON body, and the words for wrong ones."""

import pytest

from query.body import expected_one_of, read_flag, read_number, read_numbers, read_object, read_string, read_strings
from schemas.errors import InvalidSearchError

KINDS = {
    "null": (None, "null"),
    "bool": (False, "a boolean: `false`"),
    "positive integer": (7, "a positive integer: `7`"),
    "negative integer": (-7, "a negative integer: `-7`"),
    "number": (1.5, "a number: `1.5`"),
    "array": ([1, "é"], 'an array: `[1,"é"]`'),
    "object": ({"a": None}, 'an object: `{"a":null}`'),
}


@pytest.mark.parametrize(("value", "found"), KINDS.values(), ids=KINDS.keys())
def test_wrong_type_says_what_was_found(value: object, found: str) -> None:
    """A value of another type is shown with its kind and its JSON text."""
    with pytest.raises(InvalidSearchError) as refusal:
        read_string(value, "bad", ".q")

    assert str(refusal.value) == f"Invalid value type at `.q`: expected a string, but found {found}"


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (read_flag, "a boolean"),
        (read_number, "a number"),
        (read_numbers, "an array"),
        (read_strings, "an array"),
        (read_object, "an object"),
    ],
    ids=["flag", "number", "numbers", "strings", "object"],
)
def test_reader_says_what_was_expected(read: object, expected: str) -> None:
    """Each reader names the type it wants."""
    assert callable(read)
    with pytest.raises(InvalidSearchError, match=f"expected {expected}, but found a string"):
        read("x", "bad", ".a")


GUESSES = {
    "short names are not guessed": ("lim", ["limit"], ""),
    "one letter": ("limi", ["offset", "limit"], "did you mean `limit`? "),
    "neighbours swapped": ("lmiit", ["limit"], "did you mean `limit`? "),
    "too far": ("lmtxx", ["limit"], ""),
    "longer names forgive more": ("attributes_to_crop", ["attributesToCrop"], "did you mean `attributesToCrop`? "),
}


@pytest.mark.parametrize(("given", "accepted", "guess"), GUESSES.values(), ids=GUESSES.keys())
def test_near_name_is_suggested(given: str, accepted: list[str], guess: str) -> None:
    """A name is guessed within a budget of typos that grows with its length."""
    names = ", ".join(f"`{name}`" for name in accepted)

    assert expected_one_of(given, accepted) == f"{guess}expected one of {names}"


def test_name_as_long_as_a_body_is_not_guessed() -> None:
    """Its letters are not even looked at, which would take hours."""
    accepted = ["offset", "attributesToHighlight"]

    assert expected_one_of("x" * 10_000_000, accepted) == "expected one of `offset`, `attributesToHighlight`"
