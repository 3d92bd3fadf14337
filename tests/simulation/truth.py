"""What must be true at any moment, known from the log alone and judged by nothing of what is tested.

The history of an id is every value that the log ever gave it, by position. A copy that claims a cursor must hold, of
each id, the value that the log had there or a later one: an older one is a loss, one that was never there is worse.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.ids import Incarnation, ShardId

Value = Mapping[str, Any] | None


class BrokenInvariantError(AssertionError):
    """Something that must always hold does not.

    Args:
        checker: the name of what was checked.
        message: what was found.
    """

    def __init__(self, checker: str, message: str) -> None:
        super().__init__(f"{checker}: {message}")
        self.checker = checker


@dataclass(slots=True)
class _History:
    """The values of one id: at which positions they were written, and what."""

    offsets: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)


class Truth:
    """Every document that was ever acknowledged.

    Attributes:
        refused: the records that no node can hold, with their ids: by incarnation, shard and offset.
        superseded: records that compaction has removed because later ones of their ids stand; whoever reads on from
            before them meets the later ones, and shows until then what it had.
        trimmed: the indexes whose log does not go back to its beginning any more.
    """

    def __init__(self) -> None:
        self.refused: dict[tuple[Incarnation, ShardId, int], str] = {}
        self.superseded: set[tuple[Incarnation, ShardId, int]] = set()
        self.trimmed: set[Incarnation] = set()
        self._shards: dict[tuple[Incarnation, ShardId], dict[str, _History]] = {}

    def note(self, incarnation: Incarnation, shard: ShardId, offset: int, key: str, value: Value) -> None:
        """Take what was appended at an offset; a value that no node can hold acts as a delete, as None does."""
        history = self._shards.setdefault((incarnation, shard), {}).setdefault(key, _History())
        history.offsets.append(offset)
        history.values.append(value)

    def at(self, incarnation: Incarnation, shard: ShardId, position: int) -> dict[str, Value]:
        """Return the documents at a position; exclusive."""
        found = {}
        for key, history in self._shards.get((incarnation, shard), {}).items():
            at = bisect_left(history.offsets, position)
            if at and history.values[at - 1] is not None:
                found[key] = history.values[at - 1]
        return found

    def last_refused(self, incarnation: Incarnation, shard: ShardId) -> set[int]:
        """Return the offsets of the refused records that are the last of their ids: each must have a dead letter."""
        histories = self._shards.get((incarnation, shard), {})
        lasts = {history.offsets[-1] for history in histories.values()}
        return {at for found, number, at in self.refused if (found, number) == (incarnation, shard) and at in lasts}

    def is_superseded(self, incarnation: Incarnation, shard: ShardId, key: str, *, cursor: int) -> bool:
        """Return whether compaction has removed the last record of an id before a position; exclusive."""
        history = self._shards[incarnation, shard][key]
        at = bisect_left(history.offsets, cursor)
        return at > 0 and (incarnation, shard, history.offsets[at - 1]) in self.superseded

    def require_as_new(
        self,
        held: Mapping[str, Value],
        incarnation: Incarnation,
        shard: ShardId,
        *,
        cursor: int,
        what: str,
        checker: str = "copies",
    ) -> None:
        """Raise where a copy does not hold what its cursor claims.

        Args:
            held: the copy's documents of this shard, without marker.
            incarnation: of the index.
            shard: of the index.
            cursor: what it claims to hold everything before.
            what: names the copy.
            checker: the name of what is checked.
        """
        histories = self._shards.get((incarnation, shard), {})
        for key in held.keys() - histories.keys():
            raise BrokenInvariantError(checker, f"{what} holds {key!r}, which shard {shard} never had")
        for key, history in histories.items():
            first = bisect_left(history.offsets, cursor) - 1
            while first >= 0 and (incarnation, shard, history.offsets[first]) in self.superseded:
                first -= 1
            allowed = history.values[first:] if first >= 0 else [None, *history.values]
            if held.get(key) not in allowed:
                raise BrokenInvariantError(
                    checker,
                    f"{what} claims {cursor} and holds {key!r} as {held.get(key)}; the log had {allowed[0]} by then",
                )
