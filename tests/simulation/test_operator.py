"""What is granted is a change of the cluster only where something is another afterwards."""

import random

import pytest

from agents.decision import build_puts
from schemas.events import AnswerRecord
from schemas.ids import IndexUid, NodeId, Offset
from schemas.requests import ActivateNode, DrainNode, Request, UpdateIndex
from tests.simulation.cluster import SimulatedCluster
from tests.simulation.operator import INDEXES, Operator

NODE = NodeId("n1")


@pytest.mark.parametrize(
    ("asked", "accepted", "changes"),
    [
        (DrainNode(NODE), True, 1),
        (UpdateIndex(IndexUid(INDEXES[0]), replication=2), True, 1),
        (DrainNode(NODE), False, 0),
        (ActivateNode(NODE), True, 0),
    ],
    ids=["of a node", "of an index", "refused", "as it was"],
)
async def test_change_is_what_was_granted_and_changed_something(
    asked: Request, *, accepted: bool, changes: int
) -> None:
    """Neither what was refused nor what leaves a node as it was is one."""
    cluster = SimulatedCluster(random.Random(1))
    operator = Operator(cluster, random.Random(1))
    operator.make_indexes()

    _answer(cluster, operator.ask_for(asked, "active"), accepted=accepted)

    assert operator.changes(cluster.view().topology) == changes


async def test_what_a_run_begins_with_is_no_change() -> None:
    """The same asked for later is one."""
    cluster = SimulatedCluster(random.Random(1))
    operator = Operator(cluster, random.Random(1))

    _answer(cluster, operator.ask_for(DrainNode(NODE), "active"), accepted=True)
    operator.make_indexes()
    before = operator.changes(cluster.view().topology)
    _answer(cluster, operator.ask_for(DrainNode(NODE), "active"), accepted=True)

    assert (before, operator.changes(cluster.view().topology)) == (0, 1)


def _answer(cluster: SimulatedCluster, offset: Offset, *, accepted: bool) -> None:
    for append in build_puts(AnswerRecord(offset, accepted=accepted)):
        cluster.log.append(append)
