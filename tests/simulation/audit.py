"""Looks at copies where they lie, read or not, after every step: searches meet few of them, and not at every moment.

What a node itself says of a copy needs no excuse: its task list tells at once what has become of its documents. What
was published of it may be older than a post that came late. What always holds: a look draws from a generator of its
own, so that the course of a seed is the same with it and without.
"""

import random
from collections.abc import Mapping
from typing import NamedTuple

from agents.tail import EMPTY_TAIL, NodeTail, fold_page, start_tail
from schemas.events import IndexRecord, ReplicaRecord
from schemas.ids import Incarnation, NodeId, ShardId, node_index_uid
from schemas.posts import Drop, Post, parse_metadata
from streams.cursor import UNTOUCHED
from tests.fakes.node import Disk
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.judge import Judge
from tests.simulation.simulated_node import SimulatedNode
from tests.simulation.truth import BrokenInvariantError, Truth, Value


class _Held(NamedTuple):
    """What a node has of a placed copy, and the position that its own tasks say it stands at; exclusive."""

    node: SimulatedNode
    replica: ReplicaRecord
    documents: Mapping[str, Value]
    cursor: int


class Audit:
    """The audit of a run.

    Args:
        cluster: whose copies are looked at.
        truth: what they must hold.
        judge: of what was published of them.
        rng: of the looks, and of nothing else.

    Attributes:
        compared: how many pairs of copies stood at one position.
    """

    def __init__(self, cluster: SimulatedCluster, truth: Truth, judge: Judge, rng: random.Random) -> None:
        self.compared = 0
        self._cluster = cluster
        self._truth = truth
        self._judge = judge
        self._rng = rng
        self._tails: dict[NodeId, tuple[Disk, NodeTail]] = {}

    def look(self) -> None:
        """Look at every copy of one shard whose node is well.

        Raises:
            BrokenInvariantError: one does not hold what its cursor says, or two at one position differ.
        """
        topology = self._cluster.view().topology
        if not topology.indexes:
            return
        index = topology.indexes[self._rng.choice(sorted(topology.indexes))]
        shard = ShardId(self._rng.randrange(index.shards))
        held = []
        for replica in topology.replicas_of(index.uid, shard):
            node = self._cluster.nodes[replica.node]
            at = self._tail(node).index(index.incarnation).visible.get(shard, UNTOUCHED)
            if not node.is_down and not node.is_frozen and at.attempt == replica.attempt:
                uid = node_index_uid(index.uid, index.incarnation)
                documents = node.held(uid, shard) if node.has_index(uid) else {}
                held.append(_Held(node, replica, documents, int(at.cursor)))
        for number, one in enumerate(held):
            for other in held[number + 1 :]:
                if one.cursor == other.cursor:
                    self._require_equal(one, other)
        for each in held:
            self._require_own(index, each)
            self._require_published(each)

    def _tail(self, node: SimulatedNode) -> NodeTail:
        """Return the fold of the node's whole task list."""
        disk, tail = self._tails.get(node.id, (None, EMPTY_TAIL))
        # Of another disk even the same task says nothing: it may have succeeded there, and wait here.
        folded = fold_page(tail, node.list_tasks(tail.read_from)) if disk is node.disk else None
        folded = folded or start_tail(node.disk.tasks)
        self._tails[node.id] = (node.disk, folded)
        return folded

    def _require_equal(self, one: _Held, other: _Held) -> None:
        """Raise where two copies at one position differ, and neither has ever held anything from beyond it.

        A document may differ whose last record before the position was removed by compaction: its later one is met.
        """
        self.compared += 1
        if one.documents == other.documents:
            return
        replica = one.replica
        incarnation, shard, cursor = replica.incarnation, replica.shard, one.cursor
        if max(_reach(each.node, incarnation, shard) for each in (one, other)) > cursor:
            return
        for key in sorted(one.documents.keys() | other.documents.keys()):
            values = one.documents.get(key), other.documents.get(key)
            if values[0] != values[1] and not self._truth.is_superseded(incarnation, shard, key, cursor=cursor):
                what = f"{one.replica} and {other.replica} stand at {cursor} and hold {key!r} as {values}"
                raise BrokenInvariantError("equal", what)

    def _require_own(self, index: IndexRecord, held: _Held) -> None:
        what = f"{held.replica}, by its own tasks,"
        self._truth.require_as_new(
            held.documents, index.incarnation, held.replica.shard, cursor=held.cursor, what=what, checker="cursor"
        )

    def _require_published(self, held: _Held) -> None:
        seen = self._cluster.view().progress.of(held.replica)
        if seen is None:
            return
        self._judge.judge(
            held.documents,
            held.replica,
            cursor=int(seen.cursor),
            what=f"{held.replica}, as it was published,",
            checker="published",
        )


def _reach(node: SimulatedNode, incarnation: Incarnation, shard: ShardId) -> int:
    """Return the position before which all lies that succeeded tasks brought since the shard was last dropped."""
    reach = 0
    for task in reversed(node.disk.tasks):
        metadata = parse_metadata(task.metadata) if task.status == "succeeded" else None
        if metadata is None or metadata.incarnation != incarnation:
            continue
        if isinstance(metadata, Post) and shard in metadata.ranges:
            reach = max(reach, metadata.ranges[shard].end)
        if isinstance(metadata, Drop) and (metadata.is_whole or shard in metadata.attempts):
            break
    return reach
