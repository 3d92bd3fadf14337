"""Saying loudly which records were passed over.

What always holds: every fold of some says so, with the place of at least the first ones. Who calls it: whoever folds
our topics in a process. It must not know: why they cannot be read.
"""

import logging
from collections.abc import Sequence

from streams.skipping import Skipped

TOLD_MAX = 10
"""So many are named of one read; where a newer version writes them all, the rest is a number."""

_log = logging.getLogger(__name__)


def tell_skipped(skipped: Sequence[Skipped]) -> None:
    """Log the records that were passed over."""
    for each in skipped[:TOLD_MAX]:
        place = f"{each.topic}/{each.partition}/{each.offset}"
        _log.error("a record cannot be read and is passed over", extra={"place": place, "reason": each.reason})
    if len(skipped) > TOLD_MAX:
        more = {"topic": skipped[-1].topic, "records": len(skipped) - TOLD_MAX}
        _log.error("more records cannot be read and are passed over", extra=more)
