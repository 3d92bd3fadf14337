"""The name that may have been meant."""

import pytest

from schemas.near_names import expected_one_of

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
