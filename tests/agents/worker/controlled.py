"""A controller at work on a log in memory and stub nodes, and what a test does to them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agents.decision import build_puts
from agents.health import PATIENCE, HealthLimits
from agents.nodes.admin import HttpNodeAdmin
from agents.worker.control import Controller, ControllerPorts
from agents.worker.fenced import FENCED_S
from schemas.errors import LogUnavailableError
from schemas.events import AnswerRecord, ClusterValue, NodeRecord, NodeState
from schemas.ids import NodeId, Offset, Partition, Position
from schemas.requests import AddNode, Request, build_request
from streams.log import Append, LogAdmin, LogBatch, LogTransactions
from streams.topics import CLUSTER, REQUESTS, own_topics
from streams.topology import Topology, fold_cluster
from tests.agents.stub_meilisearch import MASTER_KEY, StubMeilisearch
from tests.fakes.log import FakeLog, FakeLogAdmin, FakeLogReader, FakeLogTransactions

WAIT_S = 60.0
POLL_S = 0.005
NAME = "miroir-controller"


@dataclass
class Stage:
    """A log, nodes by name, and any number of controllers.

    Attributes:
        log: the brokers.
        nodes: stub nodes, under ``http://<name>:7700``.
        transactions: how a controller's writer is made; a test may put one that fails in its place.
        admin: the same for topics.
        health: how patient controllers are.
        fenced_s: how long they stand back after being fenced.
    """

    log: FakeLog = field(default_factory=FakeLog)
    nodes: dict[str, StubMeilisearch] = field(default_factory=dict)
    transactions: Callable[[], LogTransactions] | None = None
    admin: LogAdmin | None = None
    health: HealthLimits = PATIENCE
    fenced_s: float = FENCED_S
    _uids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        """Make the topics of every cluster."""
        for spec in own_topics():
            self.log.create(spec)

    def controller(self, *, topics_created: bool = True) -> Controller:
        """Return a controller that does not run yet."""
        ports = ControllerPorts(
            reader=lambda: FakeLogReader(self.log),
            transactions=self.transactions or (lambda: FakeLogTransactions(self.log, NAME)),
            admin=self.admin or FakeLogAdmin(self.log),
            node=self._admin,
            draw=lambda: 0.5,
            draw_uid=lambda: f"uid-{next(self._uids)}",
        )
        return Controller(
            ports, cluster="here", topics_created=topics_created, health=self.health, fenced_s=self.fenced_s
        )

    @asynccontextmanager
    async def controlled(self, *, topics_created: bool = True) -> AsyncIterator[Controller]:
        """Run a controller; its end must be the cancelling at the end."""
        controller = self.controller(topics_created=topics_created)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(controller.run())
            yield controller
            assert not task.done(), "the controller has left"
            task.cancel()

    def put(self, *values: ClusterValue) -> None:
        """Write entities before any controller runs."""
        for append in build_puts(*values):
            self.log.append(append)

    def ask(self, request: Request | bytes | None) -> Offset:
        """Append a request and return its offset."""
        value = request if isinstance(request, bytes | None) else build_request(request)
        return self.log.append(Append(REQUESTS, Partition(0), None, value))

    @property
    def topology(self) -> Topology:
        """The cluster as anybody would fold it now."""
        records = tuple(self.log.records(CLUSTER))
        end = Position(records[-1].offset + 1) if records else Position(0)
        return fold_cluster(Topology(), [LogBatch(CLUSTER, Partition(0), Position(0), end, records)])

    async def answered(self, request: Request | bytes | None) -> AnswerRecord:
        """Ask, and return the answer."""
        offset = self.ask(request)
        await self.until(lambda: self.topology.answer(offset) is not None)
        answer = self.topology.answer(offset)
        assert answer is not None
        return answer

    async def joined(self, *names: str) -> None:
        """Add stub nodes and wait until all are active."""
        for name in names:
            self.nodes.setdefault(name, StubMeilisearch())
            self.ask(AddNode(NodeId(name), f"http://{name}:7700"))
        await self.until(lambda: self.states(names) == [NodeState.ACTIVE] * len(names))

    def states(self, names: Sequence[str]) -> list[NodeState | None]:
        """Return the state of each node; None for one that is not in the cluster."""
        found = self.topology.nodes
        return [found[NodeId(name)].state if NodeId(name) in found else None for name in names]

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when the condition holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - stub nodes have no events
                await asyncio.sleep(POLL_S)

    def _admin(self, node: NodeRecord) -> HttpNodeAdmin:
        stub = self.nodes.setdefault(node.id, StubMeilisearch())
        return HttpNodeAdmin(node.id, node.url, MASTER_KEY, transport=stub.transport())


class FailingTransactions(FakeLogTransactions):
    """Transactions of which one commit is cut off after some of its records: a broker that has none, or went away."""

    def __init__(self, log: FakeLog, *, fail_at: int, records: int, failed: list[int]) -> None:
        super().__init__(log, NAME)
        self._fail_at = fail_at
        self._records = records
        self._commits = failed

    async def commit(self, appends: Sequence[Append]) -> None:
        """Append all, or at the chosen commit only the first records, and then fail."""
        self._commits.append(len(appends))
        fails = len(self._commits) - 1 == self._fail_at
        await super().commit(appends[: self._records] if fails else appends)
        if fails:
            raise LogUnavailableError("the broker went away in the middle")
