"""The copies of an index as their nodes tell: how far each has come, and which is the best of each shard.

What always holds: a node is believed by its own task list, not by what was published of it; only what its search shows
counts, nothing that waits. Who calls it: ``backup`` from nodes, ``log reseed``. It must not know: the log.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agents.tail import NodeTail
from schemas.errors import MiroirError
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import NodeId, Position, ShardId
from streams.cursor import NO_ATTEMPT


@dataclass(frozen=True, slots=True)
class Copy:
    """A shard on a node.

    Attributes:
        cursor: the documents are what the log before it says; exclusive.
        is_present: whether the node has begun its present placement; else these are the documents of an earlier one.
    """

    shard: ShardId
    node: NodeId
    cursor: Position
    is_present: bool


def copies_on(
    tails: Mapping[NodeId, NodeTail], index: IndexRecord, replicas: Iterable[ReplicaRecord]
) -> Sequence[Copy]:
    """Return those of these replicas that were ever begun on the nodes whose task lists are known."""
    found = []
    for replica in replicas:
        tail = tails.get(replica.node)
        if tail is None:
            continue
        at = tail.visible(index.incarnation, replica.shard)
        if at.attempt != NO_ATTEMPT:
            found.append(Copy(replica.shard, replica.node, at.cursor, at.attempt == replica.attempt))
    return found


def best_copies(index: IndexRecord, copies: Sequence[Copy], why: Mapping[NodeId, str]) -> Sequence[Copy]:
    """Return the most advanced copy of every shard, by shard.

    Args:
        index: the index.
        copies: all that could be asked.
        why: of nodes that could not be asked the reason.

    Raises:
        MiroirError: a shard has none.
    """
    chosen = []
    for shard in map(ShardId, range(index.shards)):
        mine = [copy for copy in copies if copy.shard == shard]
        if not mine:
            reasons = "; ".join(why.values()) or "no node has begun one"
            raise MiroirError(f"index {index.uid!r}: no copy of shard {shard} can be read: {reasons}")
        chosen.append(max(mine, key=lambda copy: (copy.cursor, copy.is_present, copy.node)))
    return chosen
