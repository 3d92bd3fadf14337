"""Rules of our own, broken on purpose: what the simulation is worth shows in whether its checkers find them.

A mutant takes the place of one rule, in the process of the seed that it runs in and nowhere else: the attribute of the
module that uses the rule is replaced, which no test of a rule itself may do. A checker that finds no mutant of the rule
that it is for checks nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import agents.move_commit
import agents.node_requests
import agents.worker.app
import agents.worker.beginnings
import agents.worker.cluster_writer
import agents.worker.mover
import agents.worker.node_keeper
import agents.worker.stale_copies
import agents.worker.tail_follower
import query.deep_pages
import query.nodes.gather
import query.nodes.rounds
import query.rounds
import query.routing
import streams.cursor
import streams.moves
import tests.simulation.cluster
import tests.simulation.folds
from agents.reconcile import Adopt, NodePlan, plan_node
from agents.tail import NodeTail, TaskView, fold_page
from agents.worker.set_aside import DeadLetters
from query.routing import has_others
from schemas.dead_letters import DeadLetter
from schemas.events import IndexRecord, NodeRecord, NodeState, parse_value
from schemas.ids import Incarnation, NodeId, ShardId
from schemas.posts import Post
from streams.cursor import UNTOUCHED, ShardCursor
from streams.log import LogBatch
from streams.moves import Copy, MovePlan, plan_moves
from streams.readable import ProgressView
from streams.topology import Topology, fold_cluster
from tests.fakes.log import FakeLogReader

fold_part = streams.cursor._fold_part


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule.

    Attributes:
        apply: puts it in the place of the rule, in this process, for good.
        checkers: those of which one finds it: whichever of them looks first.
        seed: one in which it does, or did, when it was chosen.
        mix: of such a seed.
    """

    apply: Callable[[], None]
    checkers: tuple[str, ...]
    seed: int
    mix: str = "usual"


def _put(*places: tuple[Any, str], mutant: object) -> Callable[[], None]:
    def apply() -> None:
        for module, name in places:
            assert hasattr(module, name), f"nothing to replace: {module}.{name}"
            setattr(module, name, mutant)

    return apply


def _read_all_that_began(
    topology: Topology, progress: ProgressView, index: IndexRecord, shard: ShardId, **_: object
) -> tuple[NodeId, ...]:
    """A copy is read as soon as it has begun, not once it has caught up."""
    return tuple(r.node for r in topology.replicas_of(index.uid, shard) if progress.of(r) is not None)


def _drop_unfenced() -> None:
    """No search key is replaced, and no drop waits for one."""
    _put((agents.move_commit, "fence_off"), (agents.node_requests, "fence_off"), mutant=lambda node, _: node)()
    _put((agents.worker.beginnings, "may_be_read"), mutant=lambda *_: False)()


def _fold_to_the_maximum(at: ShardCursor, post: Post, shard: ShardId) -> ShardCursor:
    """A completed post never lowers the cursor."""
    folded = fold_part(at, post, shard)
    return replace(folded, cursor=max(at.cursor, folded.cursor))


def _fold_no_gap(at: ShardCursor, post: Post, shard: ShardId) -> ShardCursor:
    """A post that begins after the cursor is taken for one that continues it."""
    return fold_part(replace(at, cursor=max(at.cursor, post.ranges[shard].start)), post, shard)


def _fold_legal_only(topology: Topology, batches: Sequence[LogBatch]) -> Topology:
    """A node that drains, and is not removed, takes no other state: the fold refuses the record."""
    for batch in batches:
        kept = []
        for record in batch.records:
            key = (record.key or b"").decode()
            value = parse_value(key, record.value) if record.value is not None else None
            known = topology.entities.get(key)
            is_node = isinstance(known, NodeRecord) and isinstance(value, NodeRecord)
            if is_node and known.state is NodeState.DRAINING and value.state is NodeState.ACTIVE:  # type: ignore[union-attr]
                continue
            kept.append(record)
        topology = fold_cluster(topology, [replace(batch, records=tuple(kept))])
    return topology


def _see_accepted(tail: NodeTail, incarnation: Incarnation, shard: ShardId) -> ShardCursor:
    """What a node has accepted is published as visible."""
    return tail.index(incarnation).accepted().get(shard, UNTOUCHED)


def _all_are_whole(
    topology: Topology, _progress: ProgressView, index: IndexRecord, shard: ShardId
) -> frozenset[NodeId]:
    """A copy is whole as soon as it is placed."""
    return frozenset(replica.node for replica in topology.replicas_of(index.uid, shard))


async def _set_nothing_aside(_letters: DeadLetters, *_: object) -> Sequence[DeadLetter]:
    """No dead letter is written."""
    return ()


def _begin_again(topology: Topology, progress: ProgressView, **options: Any) -> MovePlan:
    """Whatever is being made is begun anew at every look."""
    plan = plan_moves(topology, progress, **options)
    again = tuple(Copy(each.uid, each.incarnation, each.shard, each.node) for each in plan.building)
    return replace(plan, begin=(*plan.begin, *again))


def _adopt_once(topology: Topology, node: NodeRecord, *rest: Any) -> NodePlan:
    """A node that has lost its disk gets no keys, and so nothing else."""
    plan = plan_node(topology, node, *rest)
    is_lost = node.state is not NodeState.JOINING and any(isinstance(step, Adopt) for step in plan.steps)
    return NodePlan() if is_lost else plan


def _fold_whatever_disk(tail: NodeTail, tasks: Sequence[TaskView]) -> NodeTail | None:
    """A list that does not begin with the task seen last is folded on, as if it were the same disk's."""
    return fold_page(replace(tail, oldest=None), tasks) or tail


def _follow_whatever_disk() -> None:
    """Nothing that a list lacks, or begins with, tells of another disk."""
    _put((agents.worker.tail_follower, "fold_page"), mutant=_fold_whatever_disk)()
    _put((agents.worker.tail_follower, "lacks_known"), mutant=lambda *_: False)()


def _never_miss_deletes(_whole_ms: int, **_: int) -> bool:
    """However long a copy was away, it is caught up from its cursor."""
    return False


def _begin_where_the_log_does(*_: object) -> None:
    """A position that was trimmed away is read from the first that is left, as ``auto.offset.reset`` has it."""


def _count_hits(hits: Sequence[object], _name: str) -> int:
    """Hits are the same where they are as many."""
    return len(hits)


FOLDS = (
    (agents.worker.app, "fold_cluster"),
    (agents.worker.cluster_writer, "fold_cluster"),
    (tests.simulation.cluster, "fold_cluster"),
    (tests.simulation.folds, "fold_cluster"),
)

MUTANTS: Mapping[str, Mutant] = {
    "readable before it has caught up": Mutant(
        _put((query.routing, "readable_replicas"), mutant=_read_all_that_began), ("copies",), 4
    ),
    "drop without replacing the key": Mutant(_drop_unfenced, ("copies",), 14, "moves"),
    "the maximum instead of the assignment": Mutant(
        _put((streams.cursor, "_fold_part"), mutant=_fold_to_the_maximum), ("equal", "cursor"), 3
    ),
    "a late post that leaves a gap is believed": Mutant(
        _put((streams.cursor, "_fold_part"), mutant=_fold_no_gap), ("equal", "cursor"), 1
    ),
    "a cluster fold that refuses records": Mutant(_put(*FOLDS, mutant=_fold_legal_only), ("fold",), 6),
    "the cursor advances when a post is accepted": Mutant(
        _put((NodeTail, "visible"), mutant=_see_accepted), ("published", "copies"), 1
    ),
    "the old copy leaves before the new one is whole": Mutant(
        _put((streams.moves, "whole_copies"), mutant=_all_are_whole), ("kept",), 1
    ),
    "dead letters are skipped": Mutant(
        _put((DeadLetters, "set_aside"), mutant=_set_nothing_aside), ("dead letters",), 6
    ),
    "copies begin anew at every look": Mutant(
        _put((agents.worker.mover, "plan_moves"), mutant=_begin_again), ("settled",), 1
    ),
    "a lost disk is never rebuilt": Mutant(
        _put((agents.worker.node_keeper, "plan_node"), mutant=_adopt_once), ("settled",), 1
    ),
    "a part that one node alone has a shard of is asked nowhere else": Mutant(
        _put((query.nodes.gather, "has_some_others"), mutant=has_others), ("complete",), 20, "moves"
    ),
    "keys take all the time there is": Mutant(
        _put((query.nodes.rounds, "FOLLOWED_SHARE"), mutant=1.0), ("complete",), 36
    ),
    "a window is believed whatever hits are in it": Mutant(
        _put((query.deep_pages, "identities_of"), mutant=_count_hits), ("page",), 1
    ),
    "a head that ended too early is taken for whole": Mutant(
        _put((query.rounds, "_after_heads"), mutant=query.rounds._merge_heads), ("page",), 17
    ),
    "a changed disk goes unnoticed": Mutant(
        _follow_whatever_disk,
        ("published", "copies"),
        31,
        "losses",
    ),
    "tombstones are forgotten after a long absence": Mutant(
        _put((agents.worker.stale_copies, "may_miss_deletes"), mutant=_never_miss_deletes),
        ("cursor", "copies"),
        2,
        "losses",
    ),
    "a reader skips what was trimmed": Mutant(
        _put((FakeLogReader, "_require_inside"), mutant=_begin_where_the_log_does), ("copies", "cursor"), 2, "losses"
    ),
}
