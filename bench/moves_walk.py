"""A cluster that an operator changes under traffic, step by step, with a report of each.

What always holds: a step ends when everything is where it is wanted; what moved is counted from the records that the
controller wrote. Who calls it: the steps of ``bench.moves``. It must not know: which steps there are.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from bench.figures import quantile
from bench.moves_traffic import Search, Traffic
from miroir.processes import Child
from schemas.events import (
    ClusterValue,
    IndexRecord,
    NodeRecord,
    NodeState,
    ReplicaRecord,
    ReplicaState,
    parse_value,
)
from schemas.ids import NodeId, Partition, Position, ShardId
from schemas.requests import AddNode, RemoveNode, Request
from streams.log import TopicPartition
from streams.log_range import read_range
from streams.moves import candidates, plan_moves
from streams.placement import shares_of
from streams.topics import CLUSTER
from tests.integration.cluster import Cluster
from tests.integration.node import Node

SETTLED_S = 240.0
"""For one step; it takes seconds on an idle machine."""

AWAY_S = 3.0
"""How long the broker is away."""

LEADS = "the controller leads"
"""What a worker's log says when it becomes the controller."""


@dataclass
class Report:
    """What one step was like.

    Attributes:
        name: of the step.
        seconds: until everything was where it is wanted.
        copies_made: placements that began; ``copies_least`` must begin whatever is done.
        documents_moved: in those copies.
        failed_s: from SIGKILL to the node's record saying that it has failed; 0 where none was killed.
        full_again_s: from SIGKILL to every shard having its copies on other nodes.
        first_wrong: the first search that failed or was incomplete.
    """

    name: str
    seconds: float = 0.0
    searches: int = 0
    failed: int = 0
    incomplete: int = 0
    p99_ms: float = 0.0
    copies_made: int = 0
    copies_least: int = 0
    documents_moved: int = 0
    documents_least: float = 0.0
    failed_s: float = 0.0
    full_again_s: float = 0.0
    first_wrong: str = ""

    def count(self, seen: Sequence[Search]) -> None:
        """Take in the step's searches."""
        wrong = [each for each in seen if each.failed or each.incomplete]
        self.searches = len(seen)
        self.failed = sum(bool(each.failed) for each in seen)
        self.incomplete = sum(bool(each.incomplete) for each in seen)
        self.p99_ms = quantile([each.took_s for each in seen], 0.99) * 1000 if seen else 0.0
        self.first_wrong = (wrong[0].failed or wrong[0].incomplete) if wrong else ""


class Broker(NamedTuple):
    """How a broker that keeps its log is killed and started; the embedded one cannot be."""

    kill: Callable[[], None]
    start: Callable[[], None]


class Walk:
    """A cluster with traffic, and the operator's hands.

    Args:
        cluster: it runs, with two workers at least.
        index: the one index.
        traffic: goes on.
        broker: None where it cannot be restarted.

    Attributes:
        reports: of the steps so far.
    """

    def __init__(self, cluster: Cluster, index: IndexRecord, traffic: Traffic, broker: Broker | None) -> None:
        self.cluster = cluster
        self.index = index
        self.traffic = traffic
        self.reports: list[Report] = []
        self._broker = broker
        self._epoch = Position(0)

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[Report]:
        """Do a step: what is asked for inside, then whatever follows from it; its report is kept."""
        await self.traffic.mark()
        await self.cluster.view.refresh()
        self._epoch, first = Position(self.cluster.view.topology.epoch), len(self.traffic.seen)
        begun_s = time.perf_counter()
        report = Report(name)
        yield report
        await self.settled()
        report.seconds = time.perf_counter() - begun_s
        report.count(self.traffic.seen[first:])
        made = await self._copies_made()
        report.copies_made = len(made)
        held = self._documents_by_shard()
        report.documents_moved = sum(held[copy.shard] for copy in made)
        report.documents_least = report.copies_least * len(self.traffic.documents) / self.index.shards
        self.reports.append(report)
        # A walk takes minutes: whoever waits for it, or sees it fail, knows how far it came.
        sys.stderr.write(f"{report}\n")

    def _documents_by_shard(self) -> dict[ShardId, int]:
        held = dict.fromkeys(map(ShardId, range(self.index.shards)), 0)
        for key in self.traffic.documents:
            held[self.cluster.shard_of(self.index, key)] += 1
        return held

    async def _copies_made(self) -> list[ReplicaRecord]:
        """Return the placements that the controller has written in this step."""
        found = {
            value
            async for value in self._written()
            if isinstance(value, ReplicaRecord) and value.state is ReplicaState.PLACED
        }
        return sorted(found, key=lambda copy: (copy.attempt, copy.shard, copy.node))

    async def was_declared_failed(self, node: NodeId) -> bool:
        """Return whether the controller has taken the node for failed in this step, for however short a time."""
        records = [value async for value in self._written() if isinstance(value, NodeRecord) and value.id == node]
        return any(record.state is NodeState.FAILED for record in records)

    async def _written(self) -> AsyncIterator[ClusterValue]:
        """Yield what the controller has written in this step, removals left out."""
        await self.cluster.view.refresh()
        end = Position(self.cluster.view.topology.epoch)
        async for batch in read_range(self.cluster.reader, TopicPartition(CLUSTER, Partition(0)), self._epoch, end):
            for record in batch.records:
                value = None if record.value is None else parse_value((record.key or b"").decode(), record.value)
                if value is not None:
                    yield value

    # --- what is waited for ---

    async def settled(self) -> None:
        """Wait until everything is where it is wanted."""

        async def is_settled() -> bool:
            await self.cluster.view.refresh()
            return plan_moves(self.cluster.view.topology, self.cluster.view.progress).is_done

        await self.cluster.until(is_settled, "every copy to be where it is wanted", timeout_s=SETTLED_S)

    async def in_the_middle(self) -> None:
        """Wait until a copy is being made, or is leaving.

        Raises:
            AssertionError: everything had moved before it was seen.
        """

        async def is_moving() -> bool:
            await self.cluster.view.refresh()
            plan = plan_moves(self.cluster.view.topology, self.cluster.view.progress)
            assert not plan.is_done, "nothing is left to be done in the middle of"
            return bool(plan.building or plan.leaving)

        await self.cluster.until(is_moving, "a copy to move")

    async def in_state(self, node: NodeId, state: NodeState | None) -> None:
        """Wait until the node has this state; None is that it has gone."""

        async def has_state() -> bool:
            await self.cluster.view.refresh()
            found = self.cluster.view.topology.nodes.get(node)
            return (found.state if found else None) is state

        await self.cluster.until(has_state, f"{node} to be {state}")

    async def full_without(self, node: NodeId) -> None:
        """Wait until every shard can be read from as many nodes as asked for, without this one."""
        index = await self.cluster.index(self.index.uid)
        wanted = index.replication * len(index.groups)

        async def is_full() -> bool:
            found = [await self.cluster.readable(index, ShardId(shard)) for shard in range(index.shards)]
            return all(len(set(nodes) - {node}) >= wanted for nodes in found)

        await self.cluster.until(is_full, f"every copy to be made up for without {node}", timeout_s=SETTLED_S)

    # --- what is done ---

    async def ask(self, request: Request) -> None:
        """Ask for something that must be accepted."""
        answer = await self.cluster.request(request)
        assert answer.accepted, answer

    async def add(self, *names: str, group: int = 0) -> None:
        """Start nodes and let them join."""
        for name in names:
            await self.start_node(name)
        for node in self.cluster.nodes[-len(names) :]:
            await self.ask(AddNode(node.id, node.url, group=group))
            await self.in_state(node.id, NodeState.ACTIVE)

    async def start_node(self, name: str) -> Node:
        """Start a node with an empty disk that nobody knows yet."""
        node = self.cluster.make_node(name)
        self.cluster.nodes.append(node)
        await node.start()
        return node

    async def remove(self, node: Node) -> None:
        """Let an empty node go, and end it."""
        await self.ask(RemoveNode(node.id))
        await self.in_state(node.id, None)
        self.cluster.nodes.remove(node)
        await node.close()

    async def restart_broker(self) -> None:
        """Kill the broker, leave it away for a while, start it with its data; nothing where it cannot be."""
        if self._broker is not None:
            await asyncio.to_thread(self._broker.kill)
            await asyncio.sleep(AWAY_S)
            await asyncio.to_thread(self._broker.start)

    def controller(self) -> Child:
        """Return the worker that leads, by what the workers' logs say."""
        led: dict[str, Child] = {}
        for worker in self.cluster.live_workers():
            lines = worker.command.log.read_text(errors="replace").splitlines()
            led |= {orjson.loads(line)["time"]: worker for line in lines if LEADS in line}
        return led[max(led)]

    def copies_on(self, node: NodeId) -> int:
        """Return how many copies a node has."""
        return len(self.cluster.view.topology.replicas_on(node))

    def share_of(self, nodes: Collection[NodeId], group: int = 0) -> int:
        """Return how many copies these nodes must be given at least, by their weights."""
        topology = self.cluster.view.topology
        index = topology.index(self.index.uid)
        shares = shares_of(index.shards, index.replication, candidates(topology, group))
        return sum(shares[node].least for node in nodes)
