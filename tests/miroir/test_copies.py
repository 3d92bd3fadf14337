"""Which copy of a shard is the best."""

import pytest

from agents.tail import EMPTY_TAIL, IndexTail, NodeTail
from miroir.copies import Copy, best_copies, copies_on
from schemas.errors import MiroirError
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Attempt, Incarnation, IndexUid, NodeId, Position, SettingsVersion, ShardId
from streams.cursor import ShardCursor

INDEX = IndexRecord(IndexUid("films"), Incarnation(3), "docs", 2, 2, SettingsVersion(3), 0, 0, primary_key="id")
ONE, TWO = NodeId("one"), NodeId("two")


def replica(shard: int, node: NodeId, attempt: int = 7) -> ReplicaRecord:
    """Return a placement."""
    return ReplicaRecord(INDEX.uid, INDEX.incarnation, ShardId(shard), node, Attempt(attempt))


def tail(cursors: dict[int, int], attempt: int = 7) -> NodeTail:
    """Return a node whose shards stand there."""
    visible = {ShardId(shard): ShardCursor(Position(at), Attempt(attempt)) for shard, at in cursors.items()}
    return NodeTail(is_whole=True, indexes={INDEX.incarnation: IndexTail(visible)})


def test_best_copy_is_the_one_furthest_on() -> None:
    """Of each shard; one whose rebuild has not begun is as good, and loses only to an equal."""
    replicas = [replica(0, ONE), replica(0, TWO), replica(1, ONE), replica(1, TWO, attempt=8)]
    copies = copies_on({ONE: tail({0: 5, 1: 6}), TWO: tail({0: 9, 1: 6})}, INDEX, replicas)

    assert list(best_copies(INDEX, copies, {})) == [
        Copy(ShardId(0), TWO, Position(9), is_present=True),
        Copy(ShardId(1), ONE, Position(6), is_present=True),
    ]
    behind = copies_on({ONE: tail({0: 5, 1: 5}), TWO: tail({0: 5, 1: 6})}, INDEX, replicas)
    assert best_copies(INDEX, behind, {})[1] == Copy(ShardId(1), TWO, Position(6), is_present=False)


def test_copy_never_begun_is_none() -> None:
    """An empty node is not taken for a shard without documents; the error names shard and reason."""
    copies = copies_on({ONE: tail({0: 0}), TWO: EMPTY_TAIL}, INDEX, [replica(0, ONE), replica(1, TWO)])

    assert [copy.shard for copy in copies] == [0]
    with pytest.raises(MiroirError, match=r"'films': no copy of shard 1 can be read: node two: away"):
        best_copies(INDEX, copies, {TWO: "node two: away"})
