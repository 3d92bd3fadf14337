"""How fast copies are made, from the progress that their owners publish.

What always holds: a copy counts from its attempt's first progress until it has stood at the end; its rate is that of
the last moments, so that a long replay that slows down says so. Who calls it: the fold of the progress topic, and the
route that shows moves. It must not know: what a copy is made for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from schemas.progress import Progress
from streams.cursor import NO_ATTEMPT

SPAN_MS = 10_000
"""A rate is that of this long, up to twice of it: posts are seconds apart, and progress is published all the time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a copy's visible cursor stood, and when; milliseconds since 1970."""

    cursor: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How one copy is made.

    Attributes:
        attempt: the one that is counted.
        older: the look that the rate is counted from.
        newer: the one that it will be counted from next.
        last: the newest look.
        end: the log's end then, exclusive.
    """

    attempt: int
    older: Seen
    newer: Seen
    last: Seen
    end: int

    @property
    def left(self) -> int:
        """Positions to the end: as many records, or fewer where the log has holes."""
        return max(0, self.end - self.last.cursor)

    @property
    def per_second(self) -> float:
        """Positions a second; 0 while that is not known."""
        took_ms = self.last.at_ms - self.older.at_ms
        return max(0.0, 1000 * (self.last.cursor - self.older.cursor) / took_ms) if took_ms > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end as it was then; None while there is no rate."""
        return self.left / self.per_second if self.per_second > 0 else None


Paces = Mapping[str, Pace]
"""By the key of the copy's progress record."""


def fold_paces(paces: Paces, copies: Mapping[str, Progress], written: Iterable[str]) -> Paces:
    """Return the paces after progress was written.

    Args:
        paces: before it.
        copies: the progress of every copy now.
        written: the keys of what was written since; a copy that has none any more is counted no more.
    """
    found = dict(paces)
    for key in written:
        copy = copies.get(key)
        if copy is None or copy.at_end_ms > 0 or copy.attempt == NO_ATTEMPT:
            found.pop(key, None)
        else:
            found[key] = _fold(found.get(key), copy)
    return found


def _fold(known: Pace | None, copy: Progress) -> Pace:
    now = Seen(copy.cursor, copy.seen_ms)
    if known is None or known.attempt != copy.attempt or copy.cursor < known.last.cursor:
        return Pace(copy.attempt, now, now, now, copy.end)
    if now.at_ms - known.newer.at_ms >= SPAN_MS:
        return Pace(copy.attempt, known.newer, now, now, copy.end)
    return replace(known, last=now, end=copy.end)
