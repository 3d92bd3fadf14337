"""Instants as text."""

from hypothesis import given
from hypothesis import strategies as st

from miroir.node.protocol.instants import NANOSECONDS, format_duration, format_instant, parse_instant


@given(st.integers(0, 4_000_000_000 * NANOSECONDS))
def test_instant_parsed_is_the_instant(instant_ns: int) -> None:
    """Formatting loses nothing."""
    assert parse_instant(format_instant(instant_ns)) == instant_ns


def test_dates_and_zones_are_read() -> None:
    """A plain date is its start, or the next day's where asked; zones are taken off."""
    day = parse_instant("2026-11-22")
    assert day is not None
    assert parse_instant("2026-11-22", date_rounds_up=True) == day + 86_400 * NANOSECONDS
    assert parse_instant("2026-11-22T02:00:00+02:00") == day
    assert parse_instant("22.11.2026") is None


def test_duration_has_nine_digits() -> None:
    """Tasks show durations to the nanosecond."""
    assert format_duration(1_690_845_233) == "PT1.690845233S"


def test_first_and_last_days_are_read() -> None:
    """The ends of the calendar are dates like any other; an instant beyond them in UTC is none."""
    last = parse_instant("9999-12-31")

    assert last is not None
    assert format_instant(last) == "9999-12-31T00:00:00Z"
    assert parse_instant("9999-12-31", date_rounds_up=True) == last
    assert parse_instant("0001-01-01") is not None
    assert parse_instant("9999-12-31T23:00:00-02:00") is None
    assert parse_instant("0001-01-01T00:00:00+01:00") is None
