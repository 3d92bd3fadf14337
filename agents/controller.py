"""The controller's decisions: a request and what is known, to what is written. The only writer of the cluster topic.

What always holds: deciding is a pure function of topology, request, its offset and the sights; a request that cannot be
read is answered, never in the way of the next; the same request decided again over its own, perhaps torn, records
leads to the same cluster. Who calls it: the controller's shell. It must not know: a clock, a log client, a node.
"""

from typing import assert_never

from agents.decision import Decision, Sights, keep_answer, keep_small, refuse
from agents.index_requests import (
    create_index,
    create_topic_names,
    delete_index,
    pause_index,
    resume_index,
    set_primary_key,
    update_index,
)
from agents.log_requests import replace_log, retire_former
from agents.node_requests import add_node, rebuild_node
from agents.node_states import activate_node, drain_node, maintain_node, remove_node, replace_node
from agents.settings_requests import update_settings
from schemas.ids import Offset
from schemas.requests import (
    ActivateNode,
    AddNode,
    CreateIndex,
    DeleteIndex,
    DrainNode,
    MaintainNode,
    PauseIndex,
    RebuildNode,
    RemoveNode,
    ReplaceLog,
    ReplaceNode,
    Request,
    ResumeIndex,
    RetireFormer,
    SetPrimaryKey,
    UpdateIndex,
    UpdateSettings,
)
from streams.topology import Topology


def topics_needed(topology: Topology, request: Request, offset: Offset) -> tuple[str, ...]:
    """Return the names of the topics that must be looked at before the request is decided; often none."""
    match request:
        case CreateIndex():
            return create_topic_names(request, offset)
        case ReplaceLog(topic=topic):
            return (topic,)
        case SetPrimaryKey(uid=uid) if uid in topology.indexes:
            return (topology.indexes[uid].topic,)
        case _:
            return ()


def decide(topology: Topology, request: Request, offset: Offset, sights: Sights) -> Decision:
    """Return what becomes of the request at ``offset``."""
    return keep_answer(topology, keep_small(_decide(topology, request, offset, sights)))


def decide_malformed(topology: Topology, offset: Offset, reason: str) -> Decision:
    """Return what becomes of a record that is no request."""
    return decide_refused(topology, offset, "malformed_request", reason)


def decide_refused(topology: Topology, offset: Offset, code: str, reason: str) -> Decision:
    """Return what becomes of a request that cannot be decided: unanswered it would be in the way for ever."""
    return keep_answer(topology, refuse(offset, code, reason))


def _decide(  # noqa: C901, PLR0911, PLR0912 - one branch a request
    topology: Topology, request: Request, offset: Offset, sights: Sights
) -> Decision:
    match request:
        case AddNode():
            return add_node(topology, request, offset, sights)
        case RebuildNode():
            return rebuild_node(topology, request, offset, sights)
        case DrainNode():
            return drain_node(topology, request, offset)
        case MaintainNode():
            return maintain_node(topology, request, offset)
        case ActivateNode():
            return activate_node(topology, request, offset)
        case RemoveNode():
            return remove_node(topology, request, offset, sights)
        case ReplaceNode():
            return replace_node(topology, request, offset, sights)
        case UpdateIndex():
            return update_index(topology, request, offset, sights)
        case CreateIndex():
            return create_index(topology, request, offset, sights)
        case DeleteIndex():
            return delete_index(topology, request, offset)
        case SetPrimaryKey():
            return set_primary_key(topology, request, offset, sights)
        case UpdateSettings():
            return update_settings(topology, request, offset, sights)
        case PauseIndex():
            return pause_index(topology, request, offset)
        case ResumeIndex():
            return resume_index(topology, request, offset)
        case ReplaceLog():
            return replace_log(topology, request, offset, sights)
        case RetireFormer():
            return retire_former(topology, request, offset)
        case _:
            assert_never(request)
