"""Values in Meilisearch's bodies, and its words for wrong ones."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import InvalidRequestError
from schemas.meilisearch_values import (
    check_fields,
    read_array,
    read_boolean,
    read_count,
    read_object,
    read_one_of,
    read_string,
    read_strings,
)

READERS: dict[str, tuple[Callable[[Any, str, str], Any], Any]] = {
    "object": (read_object, {"a": 1}),
    "string": (read_string, "a"),
    "boolean": (read_boolean, True),
    "count": (read_count, 3),
    "array": (read_array, [1]),
    "strings": (read_strings, ["a"]),
    "one of": (lambda value, code, path: read_one_of(("a", "b"), value, code, path), "b"),
}


@pytest.mark.parametrize("kind", READERS)
def test_reader_returns_a_value_of_its_kind(kind: str) -> None:
    """What is right comes back as it was."""
    reader, right = READERS[kind]

    assert reader(right, "code", ".x") == right


@pytest.mark.parametrize("wrong", [None, -1, 1.5], ids=["null", "negative", "float"])
@pytest.mark.parametrize("kind", READERS)
def test_reader_refuses_another_kind_with_code_and_place(kind: str, wrong: object) -> None:
    """The code is the caller's, the text names the place."""
    reader, _ = READERS[kind]

    with pytest.raises(InvalidRequestError) as caught:
        reader(wrong, "the_code", ".x")

    assert caught.value.code == "the_code"
    assert "`.x" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "null"),
        (True, "a boolean: `true`"),
        (7, "a positive integer: `7`"),
        (-7, "a negative integer: `-7`"),
        (1.5, "a number: `1.5`"),
        ([1], "an array: `[1]`"),
        ({"a": 1}, 'an object: `{"a":1}`'),
    ],
    ids=repr,
)
def test_found_value_is_described_as_meilisearch_does(value: object, found: str) -> None:
    """Kind and text of what stood there."""
    with pytest.raises(InvalidRequestError) as caught:
        read_string(value, "c", "")

    assert str(caught.value) == f"Invalid value type: expected a string, but found {found}"


def test_string_is_described_where_an_object_was_expected() -> None:
    """The quotes are JSON's."""
    with pytest.raises(InvalidRequestError, match='expected an object, but found a string: `"3"`'):
        read_object("3")


def test_unknown_field_lists_the_known_ones_and_its_place() -> None:
    """The reader of the message sees what may stand there."""
    with pytest.raises(InvalidRequestError) as caught:
        check_fields({"a": 1, "z": 2}, ("a", "b"), ".x", "c")

    assert str(caught.value) == "Unknown field `z` inside `.x`: expected one of `a`, `b`"


def test_unknown_field_near_a_known_one_names_it() -> None:
    """A name that differs by a few letters, left out ones included, is told the one that was meant."""
    with pytest.raises(InvalidRequestError, match="did you mean `attributesToCrop`"):
        check_fields({"attributeToCrops": 1}, ("attributesToRetrieve", "attributesToCrop"))
