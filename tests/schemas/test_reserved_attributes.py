"""Attributes that are ours, in a user's settings."""

import pytest

from schemas.errors import InvalidRequestError
from schemas.reserved_attributes import refuse_reserved


@pytest.mark.parametrize(
    ("value", "place"),
    [("_miroir", "at `.x`"), (["a", "_miroir_x:asc"], "at `.x[1]`"), ({"a": [{"_miroir*": 1}]}, "at `.x.a[0]`")],
    ids=["text", "list", "key"],
)
def test_reserved_attribute_is_refused_with_its_place(value: object, place: str) -> None:
    """However deep it is named."""
    with pytest.raises(InvalidRequestError, match="reserved") as caught:
        refuse_reserved(value, "invalid_settings_x", ".x")

    assert place in str(caught.value)


def test_other_attributes_pass() -> None:
    """A name that only looks alike is the user's."""
    refuse_reserved({"miroir": ["_mir", None, 3, True]}, "invalid_settings_x", ".x")
