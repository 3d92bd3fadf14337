"""The watch at work, under a controller on a log in memory."""

from agents.health import HealthLimits
from schemas.events import NodeState
from schemas.ids import NodeId
from schemas.requests import MaintainNode
from tests.agents.worker.controlled import Stage

A = NodeId("a")
LIMITS = HealthLimits(failed_after_s=0.2, return_after_s=0.1)


async def test_node_that_nobody_reaches_fails_and_returns() -> None:
    """Its record says so, how often, and since when."""
    stage = Stage(health=LIMITS)
    async with stage.controlled():
        await stage.joined("a", "b")
        stage.nodes["a"].down = True
        await stage.until(lambda: stage.states(["a", "b"]) == [NodeState.FAILED, NodeState.ACTIVE])
        failed = stage.topology.nodes[A]

        stage.nodes["a"].down = False
        await stage.until(lambda: stage.states(["a"]) == [NodeState.ACTIVE])

    assert failed.failures == 1
    assert failed.failed_ms > 0


async def test_node_in_maintenance_does_not_fail() -> None:
    """Its absence is expected, while another one's is not."""
    stage = Stage(health=LIMITS)
    async with stage.controlled() as controller:
        await stage.joined("a", "b", "c")
        assert (await stage.answered(MaintainNode(A))).accepted
        stage.nodes["a"].down = True
        await stage.until(lambda: A in controller.faults)
        stage.nodes["b"].down = True
        await stage.until(lambda: stage.states(["b"]) == [NodeState.FAILED])

        assert stage.states(["a", "c"]) == [NodeState.MAINTENANCE, NodeState.ACTIVE]
