"""Numbers as text."""

import pytest

from query.counts import COUNT_MAX, parse_count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("20", 20),
        (str(COUNT_MAX), COUNT_MAX),
        (str(COUNT_MAX + 1), None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_count_is_a_number_that_an_answer_can_repeat(text: str, count: int | None) -> None:
    """Anything else, more than 64 bits among it, is no count."""
    assert parse_count(text) == count
