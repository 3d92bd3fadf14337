"""Which shards of an index begin anew on a node, and how their documents go.

Deleting by the marker's filter costs a node about as much as loading what is deleted; deleting everything costs it
nearly nothing. So where every placement of the index on the node begins anew, as in the usual rebuild, the index is
emptied: by the worker that feeds the placement which was made first, and by no other. Were it whoever comes first, a
second one, whose view of the node is some moments old, would empty what the first has filled since. The others wait;
for too long, and they drop their own shards alone. So whoever empties the index looks at the node once more before.

What always holds: no documents of a shard go whose placement has begun, as far as whoever sends the drop can see. Who
calls it: the writer of a node. It must not know: HTTP, or who may still read the copies.
"""

from collections.abc import Mapping

from schemas.ids import Attempt, Incarnation, ShardId
from schemas.posts import Drop
from streams.cursor import NO_ATTEMPT, UNTOUCHED, IndexCursors

Attempts = Mapping[ShardId, Attempt]
"""The attempt that is wanted of each shard."""


def find_late(wanted: Attempts, accepted: IndexCursors) -> Attempts:
    """Return the shards whose wanted attempt has not begun where the node stands."""
    return {shard: attempt for shard, attempt in wanted.items() if accepted.get(shard, UNTOUCHED).attempt < attempt}


PATIENCE_S = 10.0
"""How long, beyond the longest search, a worker waits for the one that may empty the index: it may have gone."""


def plan_drop(
    incarnation: Incarnation, late: Attempts, placed: Attempts, accepted: IndexCursors, *, now_ms: int, waits: bool
) -> Drop | None:
    """Return what the node is to drop so that the late shards begin; None is nothing yet.

    Args:
        incarnation: of the index.
        late: shards that this worker feeds and that are to begin; not empty.
        placed: every shard of the index that has a placement on the node, whoever feeds it.
        accepted: where the node stands.
        now_ms: milliseconds since 1970.
        waits: whether there is still time to wait for another worker to empty the index.
    """
    everything = {**placed, **late}
    if len(find_late(everything, accepted)) == len(everything):
        first = min(everything, key=lambda shard: (everything[shard], shard))
        if first in late:
            return Drop(incarnation, everything, is_whole=True, at_ms=now_ms)
        if waits:
            return None
    return Drop(incarnation, late, is_whole=False, at_ms=now_ms)


def may_be_read(drop: Drop, accepted: IndexCursors) -> bool:
    """Return whether any copy that goes was ever placed on the node: somebody may still believe in it."""
    return any(accepted.get(shard, UNTOUCHED).attempt != NO_ATTEMPT for shard in drop.attempts)
