"""Values of a JSON body, and the words for wrong ones."""

import pytest

from query.body import read_flag, read_number, read_numbers, read_object, read_string, read_strings
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
