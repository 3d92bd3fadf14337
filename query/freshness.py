"""How fresh an answer must be: a read-your-writes token, or a bound on how far behind the log a copy may be.

A token is ``index:partition@offset[,[index:]partition@offset…]``; an item without an index has the one before it. A
record is visible where the copy's cursor is beyond its offset. What always holds: ``parse ∘ build`` gives back what was
built; the larger of two offsets of a partition counts. Who calls it: writes hand tokens out, searches take them. It
must not know: replicas.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import InvalidRequestError, InvalidTokenError
from schemas.ids import IndexUid, Offset, Partition, ShardId

ITEMS_MAX = 8192
"""More than any index has partitions; a longer token is nobody's."""

LAG_S_MAX = 86_400.0
"""A longer lag than a day is no bound."""

_LAG = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(s|seconds?|records?)?")
_ITEM = re.compile(r"(?:([a-zA-Z0-9_-]{1,200}):)?([0-9]{1,5})@([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class LagBound:
    """How far behind the log's end a copy may be; None is any distance.

    Attributes:
        ms: age of the oldest record that is not visible, in milliseconds.
        records: how many records are not visible, at most: positions, of which compaction may have left fewer.
    """

    ms: int | None = None
    records: int | None = None


NO_LAG_BOUND = LagBound()


def parse_max_lag(text: str) -> LagBound:
    """Return the bound of an ``X-Miroir-Max-Lag`` header: ``2``, ``2s``, ``0.5 seconds``; ``100 records``.

    Raises:
        InvalidRequestError: it is of another form.
    """
    match = _LAG.fullmatch(text.strip())
    if match is not None and (match[2] or "").startswith("record") and match[1].isdigit():
        return LagBound(records=int(match[1]))
    if match is not None and not (match[2] or "").startswith("record") and float(match[1]) <= LAG_S_MAX:
        return LagBound(ms=int(float(match[1]) * 1000))
    expected = "expected seconds, or a number of records such as `100 records`"
    raise InvalidRequestError("bad_request", f"Header `X-Miroir-Max-Lag`: {expected}, found `{text[:40]}`")


def build_token(index: IndexUid, offsets: Mapping[Partition, Offset]) -> str:
    """Return the token for records at these offsets, the last of each partition; empty where there are none."""
    items = ",".join(f"{partition}@{offset}" for partition, offset in sorted(offsets.items()))
    return f"{index}:{items}" if items else ""


def parse_token(text: str) -> Mapping[IndexUid, Mapping[ShardId, int]]:
    """Return for each index and shard the least cursor that shows the token's records; empty text names none.

    Raises:
        InvalidTokenError: it is of another form.
    """
    wanted: dict[IndexUid, dict[ShardId, int]] = {}
    index = ""
    items = text.split(",", ITEMS_MAX) if text else []
    for item in items:
        match = _ITEM.fullmatch(item.strip())
        if match is None or len(items) > ITEMS_MAX or not (match[1] or index):
            raise InvalidTokenError(text[:80])
        index = match[1] or index
        shards = wanted.setdefault(IndexUid(index), {})
        shard = ShardId(int(match[2]))
        shards[shard] = max(shards.get(shard, 0), int(match[3]) + 1)
    return wanted
