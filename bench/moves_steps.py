"""The steps of an operator's walk: nodes join, drain, are replaced, lose their disks; copies become more and fewer.

What always holds: each step says what the least is that must move. Who calls it: ``bench.moves``, tests. It must not
know: what is written and searched meanwhile.
"""

import time
from collections.abc import Awaitable, Callable

from bench.moves_walk import Walk
from schemas.events import NodeState
from schemas.ids import Attempt, NodeId
from schemas.requests import DrainNode, ReplaceNode, UpdateIndex


async def grow(walk: Walk, *names: str) -> None:
    """Let nodes join."""
    async with walk.step(f"grow by {', '.join(names)}") as report:
        await walk.add(*names)
        report.copies_least = walk.share_of([NodeId(name) for name in names])


async def drain(walk: Walk, name: str) -> None:
    """Drain a node and let it go."""
    node = walk.cluster.node(NodeId(name))
    async with walk.step(f"drain and remove {name}") as report:
        report.copies_least = walk.copies_on(node.id)
        await walk.ask(DrainNode(node.id))
        await walk.settled()
        assert not walk.copies_on(node.id)
        await walk.remove(node)


async def kill_in_a_move(walk: Walk, joining: str, victim: str) -> None:
    """Kill a node while another joins; start it again once its copies are made up for."""
    node = walk.cluster.node(NodeId(victim))
    async with walk.step(f"SIGKILL {victim} while {joining} joins") as report:
        report.copies_least = walk.copies_on(node.id)
        await walk.add(joining)
        # What must be made again may be made on the node that joins.
        report.copies_least = max(report.copies_least, walk.share_of([NodeId(joining)]))
        await walk.in_the_middle()
        killed_s = time.perf_counter()
        await node.kill()
        await walk.in_state(node.id, NodeState.FAILED)
        report.failed_s = time.perf_counter() - killed_s
        await walk.full_without(node.id)
        report.full_again_s = time.perf_counter() - killed_s
        await node.start()
        await walk.in_state(node.id, NodeState.ACTIVE)


async def replace_node(walk: Walk, name: str, by: str) -> None:
    """Replace a node with an empty one, and let it go."""
    old = walk.cluster.node(NodeId(name))
    async with walk.step(f"replace {name} by {by}") as report:
        report.copies_least = walk.copies_on(old.id)
        fresh = await walk.start_node(by)
        await walk.ask(ReplaceNode(old.id, fresh.id, fresh.url))
        await walk.in_state(fresh.id, NodeState.ACTIVE)
        await walk.settled()
        assert walk.copies_on(fresh.id) == report.copies_least
        await walk.remove(old)


async def wipe(walk: Walk, name: str) -> None:
    """Kill a node and start it with an empty disk."""
    node = walk.cluster.node(NodeId(name))
    async with walk.step(f"SIGKILL {name}, start it with an empty disk") as report:
        report.copies_least = walk.copies_on(node.id)
        before: Attempt = max(replica.attempt for replica in walk.cluster.view.topology.replicas_on(node.id))
        await node.kill()
        node.wipe()
        await node.start()

        async def is_begun_anew() -> bool:
            await walk.cluster.view.refresh()
            return all(each.attempt > before for each in walk.cluster.view.topology.replicas_on(node.id))

        await walk.cluster.until(is_begun_anew, "the lost disk to be noticed")
        await walk.in_state(node.id, NodeState.ACTIVE)
        await walk.settled()
        if await walk.was_declared_failed(node.id):
            # Away for longer than the limit: its copies were made elsewhere, and it is given its share again.
            report.copies_least *= 2


Hurt = Callable[[Walk], Awaitable[None]]


async def kill_worker(walk: Walk) -> None:
    """Kill a worker that is not the controller, and start another."""
    leads = walk.controller()
    await next(worker for worker in walk.cluster.live_workers() if worker is not leads).kill()
    await walk.cluster.start_worker()


async def kill_controller(walk: Walk) -> None:
    """Kill the worker that is the controller, and start another."""
    await walk.controller().kill()
    await walk.cluster.start_worker()


async def restart_broker(walk: Walk) -> None:
    """Kill the broker and start it again."""
    await walk.restart_broker()


async def replicate(walk: Walk, copies: int, hurt: Hurt | None = None) -> None:
    """Ask for more or fewer copies; something may be killed while they are made."""
    what = f", {hurt.__name__.replace('_', ' ')} in the middle" if hurt else ""
    async with walk.step(f"replication {copies}{what}") as report:
        index = await walk.cluster.index(walk.index.uid)
        report.copies_least = max(0, copies - index.replication) * index.shards * len(index.groups)
        await walk.ask(UpdateIndex(index.uid, replication=copies))
        if hurt:
            await walk.in_the_middle()
            await hurt(walk)


async def second_group(walk: Walk, *names: str, hurt: Hurt | None = None) -> None:
    """Let a replica group of new nodes hold the index too."""
    what = f", {hurt.__name__.replace('_', ' ')} in the middle" if hurt else ""
    async with walk.step(f"a second replica group{what}") as report:
        await walk.add(*names, group=1)
        index = await walk.cluster.index(walk.index.uid)
        report.copies_least = index.replication * index.shards
        await walk.ask(UpdateIndex(index.uid, groups=(0, 1)))
        if hurt:
            await walk.in_the_middle()
            await hurt(walk)


async def one_group(walk: Walk) -> None:
    """Let the second replica group go."""
    async with walk.step("one replica group again"):
        await walk.ask(UpdateIndex(walk.index.uid, groups=(0,)))


async def walk_nodes(walk: Walk) -> None:
    """Nodes join, drain, are replaced; one is killed in the middle, one loses its disk."""
    await replicate(walk, 2)
    await grow(walk, "node-4")
    await grow(walk, "node-5", "node-6")
    await drain(walk, "node-1")
    await kill_in_a_move(walk, "node-7", "node-2")
    await replace_node(walk, "node-3", "node-8")
    await wipe(walk, "node-4")


async def walk_copies(walk: Walk) -> None:
    """Copies become more and fewer while workers, the controller and the broker are killed."""
    await replicate(walk, 2)
    await replicate(walk, 3, kill_worker)
    await replicate(walk, 2, kill_controller)
    await second_group(walk, "twin-1", "twin-2", hurt=restart_broker)
    await one_group(walk)


async def walk_all(walk: Walk) -> None:
    """Everything."""
    await walk_nodes(walk)
    await walk_copies(walk)


WALKS = {"nodes": walk_nodes, "copies": walk_copies, "all": walk_all}
