"""The cluster of a run: a log, nodes, and workers that come and go."""

import asyncio
import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from agents.node_admin import NodeAdmin
from agents.ports import NodeWriter
from agents.worker.app import Worker
from agents.worker.batch_consumer import PartitionOwner
from agents.worker.worker_ports import WorkerPorts
from schemas.config import Settings
from schemas.events import NodeRecord
from schemas.ids import NodeId, Offset, Partition, Position
from schemas.requests import Request, build_request
from streams.log import Append, LogBatch, TopicPartition
from streams.readable import ProgressView, fold_progress
from streams.topics import CLUSTER, PROGRESS, REQUESTS, own_topics
from streams.topology import Topology, fold_cluster
from tests.fakes.log import FakeLog, FakeLogAdmin, FakeLogReader, FakeLogTransactions, FakeLogWriter
from tests.fakes.node import FakeNodeWriter
from tests.fakes.node_admin import FakeNodeAdmin
from tests.simulation.group import Group, GroupMember
from tests.simulation.simulated_node import MASTER_KEY, Remote, SimulatedNode

SEARCH_S = 1.0
"""The deadline of a search."""

LATE_S = 4.0
"""A post that comes late is noticed and replayed over within this."""

ELECTION_S = 5.0
"""How long the controller waits for a partition whose leader is being chosen."""

SETTINGS = Settings.model_validate(
    {
        "kafka": "127.0.0.1:1",
        "node_master_key": MASTER_KEY,
        "tail_interval_s": 0.1,
        "progress_interval_s": 0.2,
        "post_age_max_s": 0.05,
        "post_records_max": 15,
        "search_timeout_s": SEARCH_S,
        "node_failed_after_s": 3.0,
        "node_return_after_s": 1.0,
        "sample_old_interval_s": 0.0,
    }
)

EPOCH_MS = 1_700_000_000_000


@dataclass(slots=True)
class SimulatedWorker:
    """One worker process: what runs, and its membership."""

    worker: Worker
    member: GroupMember
    task: asyncio.Task[None]


class TimedLog(FakeLog):
    """The log, with the run's clock.

    Args:
        clock_ms: milliseconds since 1970.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        super().__init__()
        self.stamp_ms = clock_ms  # type: ignore[method-assign]  # the clock is all that it is


class SimulatedCluster:
    """Everything that a run consists of, but for what happens to it.

    Args:
        rng: of the run.

    Attributes:
        absent_ms: so long nothing has happened at all, in between: everybody was away.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.absent_ms = 0
        self.log_away_s = 0.0
        """When no broker answered last."""
        self._unmanned_s = 0.0
        self.log = TimedLog(self.now_ms)
        self.nodes: dict[NodeId, SimulatedNode] = {}
        self.workers: dict[str, SimulatedWorker] = {}
        self.group = Group(self.log, rng)
        self._uids = (f"00000000-0000-4000-8000-{number:012}" for number in itertools.count(1))
        self._names = (f"w{number}" for number in itertools.count(1))
        self._tasks: list[asyncio.Task[None]] = []
        self._view = LogView(self.log)
        for spec in own_topics():
            self.log.create(spec)

    def start(self) -> None:
        """Let the group go on."""
        self._tasks.append(asyncio.create_task(self.group.run()))

    def stop(self) -> None:
        """End every task."""
        for worker in self.workers.values():
            worker.member.kill()
            worker.task.cancel()
        for task in self._tasks:
            task.cancel()

    def failed(self) -> Iterator[BaseException]:
        """Yield what ended a task that should not end."""
        running = [*self._tasks, *(worker.task for worker in self.workers.values())]
        for task in running:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                yield error

    def now_ms(self) -> int:
        """Return the time."""
        return EPOCH_MS + self.absent_ms + int(asyncio.get_running_loop().time() * 1000)

    # --- nodes ---

    def add_node(self, name: str) -> SimulatedNode:
        """Start a node with an empty disk."""
        node = self.nodes[NodeId(name)] = SimulatedNode(name, self.rng)
        self._tasks.append(asyncio.create_task(node.work()))
        return node

    def _admin(self, node: NodeRecord) -> NodeAdmin:
        return cast("NodeAdmin", Remote(FakeNodeAdmin(self.nodes[node.id], MASTER_KEY), self.nodes[node.id], self.rng))

    def _writer(self, node: NodeRecord, key: str) -> NodeWriter:
        return cast("NodeWriter", Remote(FakeNodeWriter(self.nodes[node.id], key), self.nodes[node.id], self.rng))

    # --- workers ---

    def start_worker(self) -> str:
        """Start a worker process; return its name."""
        name = next(self._names)
        members: list[GroupMember] = []

        def stream(owner: PartitionOwner) -> GroupMember:
            members.append(GroupMember(name, self.group, owner))
            return members[0]

        ports = WorkerPorts(
            worker=name,
            log=FakeLogWriter(self.log),
            reader=lambda: FakeLogReader(self.log),
            patient_reader=lambda: FakeLogReader(self.log, election_s=ELECTION_S),
            admin=lambda: FakeLogAdmin(self.log),
            transactions=lambda: FakeLogTransactions(self.log, "controller"),
            stream=stream,
            node_admin=self._admin,
            node_writer=self._writer,
            now_s=asyncio.get_running_loop().time,
            now_ms=self.now_ms,
            draw=self.rng.random,
            draw_uid=lambda: next(self._uids),
        )
        worker = Worker(SETTINGS, ports)
        self.workers[name] = SimulatedWorker(worker, members[0], asyncio.create_task(worker.run()))
        return name

    def kill_worker(self, name: str) -> None:
        """End a worker as SIGKILL does: nothing of it runs any more, and the group learns of it later."""
        worker = self.workers.pop(name)
        worker.member.vanish()
        worker.task.cancel()

    def may_be_late(self, name: NodeId) -> bool:
        """Return whether a post of a former owner, or from before it slept, may have come to a node after newer ones.

        Until the cursor fold has noticed it and the log is replayed over it, a copy on it shows older documents.

        Args:
            name: of the node. What happened to another one is no excuse, while a worker that sleeps may post to any.
        """
        now_s, node = asyncio.get_running_loop().time(), self.nodes[name]
        was_ill = node.is_frozen or now_s - node.well_since_s < LATE_S
        asleep = any(worker.member.is_asleep for worker in self.workers.values())
        return was_ill or asleep or now_s - max(self.group.unsettled_s, self._unmanned_s) < LATE_S

    def look_for_workers(self) -> None:
        """Take in whether anybody can notice and publish what becomes of the nodes."""
        now_s = asyncio.get_running_loop().time()
        if self.log.away:
            self.log_away_s = now_s
        if self.log.away or not self.workers:
            self._unmanned_s = now_s

    # --- the log ---

    def ask(self, request: Request) -> Offset:
        """Append a request."""
        return self.log.append(Append(REQUESTS, Partition(0), None, build_request(request)))

    def digest(self) -> str:
        """Return what tells one run's log from another's."""
        whole = hashlib.sha256()
        for name, spec in sorted(self.log.topics().items()):
            for number in range(spec.partitions):
                whole.update(repr((name, number, self.log.records(name, number))).encode())
        return whole.hexdigest()[:16]

    def view(self) -> "LogView":
        """Return the cluster and its progress as the log tells them now."""
        self._view.read()
        return self._view


class LogView:
    """Cluster and progress, folded as far as they have been read: one process's view, as old as its last reading."""

    def __init__(self, log: FakeLog) -> None:
        self.topology = Topology()
        self.progress = ProgressView()
        self._log = log
        self._read = {CLUSTER: 0, PROGRESS: 0}

    def read(self) -> None:
        """Read on to the end."""
        if cluster := self._batches(CLUSTER):
            self.topology = fold_cluster(self.topology, cluster)
        if progress := self._batches(PROGRESS):
            self.progress = fold_progress(self.progress, progress)

    def _batches(self, topic: str) -> list[LogBatch]:
        start = self._read[topic]
        partition = self._log.partition(TopicPartition(topic, Partition(0)))
        if partition.end == start:
            return []
        self._read[topic] = partition.end
        records = tuple(partition.records_from(start))
        return [LogBatch(topic, Partition(0), Position(start), Position(partition.end), records)]
