"""Values in query strings."""

import pytest

from miroir.node.engine.search_request import parse_search_parameters
from miroir.node.protocol.errors import ApiError
from miroir.node.protocol.task_filters import parse_page
from miroir.node.protocol.values import SIZE_MAX, UID_MAX, parse_digits


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("007", 7), (str(UID_MAX), UID_MAX), ("0" * 5_000 + "7", 7)],
    ids=["zero", "zeros before", "largest", "many zeros"],
)
def test_digits_are_a_number(text: str, expected: int) -> None:
    """Digits up to the largest number are that number."""
    assert parse_digits(text, UID_MAX) == expected


@pytest.mark.parametrize("text", ["", "-1", "1.0", "²", "٣", str(UID_MAX + 1), "9" * 5_000])
def test_other_text_is_no_number(text: str) -> None:
    """Signs, digits of other scripts and numbers that are too large are none, however many digits there are."""
    assert parse_digits(text, UID_MAX) is None


@pytest.mark.parametrize("text", [str(SIZE_MAX + 1), "9" * 5_000], ids=["too large", "many digits"])
def test_numbers_too_large_are_refused_by_name(text: str) -> None:
    """A count or a uid that no node could hold is a faulty parameter."""
    for name in ("limit", "offset", "page", "hitsPerPage", "cropLength"):
        with pytest.raises(ApiError, match=f"parameter `{name}`: could not parse"):
            parse_search_parameters({name: text})
    for name in ("uids", "canceledBy", "batchUids"):
        with pytest.raises(ApiError, match=f"parameter `{name}`: could not parse"):
            parse_page({name: text})
