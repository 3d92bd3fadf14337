"""The dates by which a list of tasks is cut."""

import pytest

from query.task_dates import parse_bounds
from schemas.errors import InvalidRequestError

NOON_MS = 1_767_268_800_000
"""2026-01-01T12:00:00Z."""


@pytest.mark.parametrize(
    ("name", "value", "holds"),
    [
        ("afterEnqueuedAt", "2025-12-31", True),
        ("afterEnqueuedAt", "2026-01-01", False),
        ("beforeEnqueuedAt", "2026-01-01", False),
        ("beforeEnqueuedAt", "2026-01-02", True),
        ("afterEnqueuedAt", "2026-01-01T12:00:00Z", False),
        ("beforeEnqueuedAt", "2026-01-01T12:00:00Z", False),
        ("afterEnqueuedAt", "2026-01-01t11:59:59.999z", True),
        ("beforeEnqueuedAt", "2026-01-01T13:00:00.000000001+01:00", False),
        ("beforeEnqueuedAt", "2026-01-01T12:00:00.001Z", True),
        ("afterEnqueuedAt", "9999-12-31", False),
        ("afterStartedAt", "2025-01-01", False),
        ("beforeFinishedAt", "2027-01-01", False),
        ("afterFinishedAt", "*", True),
    ],
)
def test_bound_is_exclusive_and_a_date_a_whole_day(name: str, value: str, holds: bool) -> None:  # noqa: FBT001 - a row
    """A task that has not begun is neither before nor after any beginning."""
    moments = {"Enqueued": NOON_MS, "Started": None, "Finished": None}

    assert all(bound.holds(moments) for bound in parse_bounds({name: value})) is holds


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2026-1-1", "2026-01-01T12:00:00", "2026-01-01T25:00:00Z"])
def test_what_is_no_date_is_refused_in_meilisearchs_words(text: str) -> None:
    """A time of day needs a zone."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_bounds({"beforeStartedAt": text})

    assert caught.value.code == "invalid_task_before_started_at"
    assert str(caught.value) == (
        f"Invalid value in parameter `beforeStartedAt`: `{text}` is an invalid date-time."
        " It should follow the YYYY-MM-DD or RFC 3339 date-time format."
    )
