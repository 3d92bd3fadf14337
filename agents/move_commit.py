"""What is written of a plan of moves: the records of one commit.

In this order: nodes that copies leave, with their next search key in use; the copies that leave; those that begin; the
tombstones of those that are gone. So nobody sees a copy leaving with a fence key that works already. What always holds:
planned again over any first part of it, the rest is planned. Who calls it: the controller's shell. It must not know: a
log client.
"""

from collections.abc import Callable
from dataclasses import replace

from agents.decision import build_puts, build_removes
from agents.node_requests import fence_off
from schemas.events import ReplicaRecord, ReplicaState, build_key
from schemas.ids import Attempt
from streams.log import Append
from streams.moves import MovePlan
from streams.topology import Topology


def build_moves(topology: Topology, plan: MovePlan, draw_uid: Callable[[], str]) -> tuple[Append, ...]:
    """Return the records of what may be done now; none where there is nothing.

    Args:
        topology: the one that the plan was made for.
        plan: begin, leave and forget of it.
        draw_uid: a fresh random UUID, for each node's key after the next.
    """
    attempt = Attempt(topology.epoch)
    fenced = [fence_off(topology.nodes[node], draw_uid()) for node in sorted({each.node for each in plan.leave})]
    leave = [replace(each, state=ReplicaState.LEAVING, attempt=attempt) for each in plan.leave]
    begin = [ReplicaRecord(each.uid, each.incarnation, each.shard, each.node, attempt) for each in plan.begin]
    return (*build_puts(*fenced, *leave, *begin), *build_removes(*map(build_key, plan.forget)))
