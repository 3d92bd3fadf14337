"""The dates by which a list of tasks is cut: parsed, and held against a task.

What always holds: a date alone is midnight, UTC, and for what comes *after* it the next one; a task that has not come
to a moment yet is neither before nor after anything. Who calls it: the filters of the task list. It must not know:
where tasks are kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from schemas.errors import InvalidRequestError

MOMENTS = ("Enqueued", "Started", "Finished")

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class DateBound:
    """One end of a span, exclusive.

    Attributes:
        moment: one of ``MOMENTS``.
        after: whether what is later is wanted, or what is earlier.
        instant: where it ends.
    """

    moment: str
    after: bool
    instant: datetime

    def holds(self, moments_ms: Mapping[str, int | None]) -> bool:
        """Return whether a task with these moments lies within."""
        found_ms = moments_ms[self.moment]
        if found_ms is None:
            return False
        found = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=found_ms)
        return found > self.instant if self.after else found < self.instant


def parse_bounds(parameters: Mapping[str, str]) -> tuple[DateBound, ...]:
    """Return the bounds that a list's parameters name; ``*`` is none.

    Raises:
        InvalidRequestError: a value is no date.
    """
    names = [(f"{side}{moment}At", side, moment) for moment in MOMENTS for side in ("after", "before")]
    return tuple(
        DateBound(moment, side == "after", _instant(parameters[name], name, f"{side}_{moment.lower()}"))
        for name, side, moment in names
        if parameters.get(name, "*") != "*"
    )


def _instant(text: str, name: str, kind: str) -> datetime:
    try:
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            # There is no day behind the last one.
            is_next = kind.startswith("after") and day.date() != date.max
            return day + timedelta(days=is_next)
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper())
    except ValueError:
        pass
    message = (
        f"Invalid value in parameter `{name}`: `{text}` is an invalid date-time."
        " It should follow the YYYY-MM-DD or RFC 3339 date-time format."
    )
    raise InvalidRequestError(f"invalid_task_{kind}_at", message)
