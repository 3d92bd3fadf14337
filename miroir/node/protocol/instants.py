"""Instants and durations as Meilisearch writes them.

What always holds: an instant is an ``int`` of nanoseconds since 1970, UTC. Who calls it: task and key views, task
filters. It must not know the clock: callers pass the time in.
"""

import re
from datetime import UTC, date, datetime, timedelta

NANOSECONDS = 1_000_000_000

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?(Z|z|[+-]\d\d:\d\d)?)?"
)


def format_instant(instant_ns: int) -> str:
    """Return RFC 3339 text with ``Z`` and as many digits of a second as it needs."""
    seconds, nanoseconds = divmod(instant_ns, NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    fraction = f".{nanoseconds:09d}".rstrip("0").removesuffix(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def format_duration(duration_ns: int) -> str:
    """Return an ISO 8601 duration in seconds, as tasks show it."""
    seconds, nanoseconds = divmod(max(duration_ns, 0), NANOSECONDS)
    return f"PT{seconds}.{nanoseconds:09d}S"


def parse_instant(text: str, *, date_rounds_up: bool = False) -> int | None:
    """Return the instant that RFC 3339 text or a plain date names, or None where it names none.

    Args:
        text: ``2026-11-22T11:23:30.5Z`` or ``2026-11-22``.
        date_rounds_up: a plain date stands for the start of the following day (Meilisearch's ``after…`` filters).
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        start = datetime.combine(date(int(year), int(month), int(day)), datetime.min.time(), tzinfo=UTC)
        if hour is None:
            rounds_up = date_rounds_up and start.date() != date.max
            return _nanoseconds(start + timedelta(days=1 if rounds_up else 0))
        moment = start.replace(hour=int(hour), minute=int(minute), second=int(second or 0)) - _zone_offset(zone)
    except (ValueError, OverflowError):
        return None
    return _nanoseconds(moment) + int((fraction or "0").ljust(9, "0"))


def _zone_offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    sign = -1 if zone[0] == "-" else 1
    return sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))


def _nanoseconds(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * NANOSECONDS
