"""The controller: answers requests in order, and keeps every node as the cluster says.

It runs in the worker that owns partition 0 of the requests topic, and leads: fence, fold the cluster topic to the end
it has from then on, then serve. Whatever goes wrong with the log ends the leading and begins it anew, so that there is
one way to recover: what a broken commit left is read, and the same request decided again over it.

What always holds: a request is answered once, in one transaction with what it changes and with the position after it.
Who calls it: the worker's app starts and cancels it. It must not know: what is decided, or what a node needs.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from agents.controller import decide, decide_malformed, decide_refused, topics_needed
from agents.decision import Decision, Sights, TopicSight, build_commit
from agents.health import PATIENCE, HealthLimits
from agents.newcomers import WELCOME, Newcomer, explain_silence, judge_newcomer
from agents.node_admin import NodeAdmin
from agents.node_requests import joining_node
from agents.reconcile import NodeSight
from agents.worker.cluster_writer import ClusterWriter
from agents.worker.fenced import FENCED_S, count_fenced, fenced_pause_s
from agents.worker.follow import follow
from agents.worker.health_watch import HealthWatch
from agents.worker.mover import Mover
from agents.worker.node_keeper import NodeKeeper
from agents.worker.tidying import Tidying
from schemas.errors import (
    FencedError,
    InvalidInputError,
    LogError,
    LogUnavailableError,
    MiroirError,
    NodeError,
    NoLeaderError,
)
from schemas.events import NodeRecord
from schemas.ids import NodeId, Partition
from schemas.requests import Request, parse_request
from streams.log import LogAdmin, LogBatch, LogReader, LogRecord, LogTransactions, TopicPartition
from streams.process.skipped import tell_skipped
from streams.readable import ProgressView, fold_progress
from streams.skipping import fold_readable
from streams.topics import PROGRESS, REQUESTS
from streams.topology import Topology

READ_S = 1.0
"""How long one read waits for requests; they arrive at once, this only paces an idle loop."""

READ_RECORDS_MAX = 100
"""Each is a commit: more at once would only wait here instead of in the log."""

RETRY_S = 0.2
"""Pause before leading again after a failure; doubled each time."""

RETRY_S_MAX = 5.0
"""Longest such pause: a broker that returns is noticed within this."""

REQUESTS_PARTITION = TopicPartition(REQUESTS, Partition(0))

_log = logging.getLogger(__name__)


def now_ms() -> int:
    """Return the time; milliseconds since 1970."""
    return int(time.time() * 1000)


def draw_uid() -> str:
    """Return a fresh random UUID."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class ControllerPorts:
    """What the controller needs of the world.

    Attributes:
        reader: makes a new reader of the log.
        transactions: makes a new writer of the cluster topic, of the name ``<group>-controller``.
        admin: topics.
        node: makes a way to a node, with its master key.
        clock: monotonic seconds.
        now_ms: milliseconds since 1970.
        draw: a number in [0, 1).
        draw_uid: a fresh random UUID.
    """

    reader: Callable[[], LogReader]
    transactions: Callable[[], LogTransactions]
    admin: LogAdmin
    node: Callable[[NodeRecord], NodeAdmin]
    clock: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = now_ms
    draw: Callable[[], float] = random.random
    draw_uid: Callable[[], str] = draw_uid


class Controller:
    """The cluster's one writer, as long as it is not fenced; then it stands back, and leads again.

    Args:
        ports: what it needs of the world; it closes what it makes, not ``admin``.
        cluster: this cluster's name, on the keys it makes: must differ between clusters, and between two logs.
        topics_created: whether topics of documents are made and deleted here.
        health: how patient to be with nodes that are away.
        fenced_s: pause before leading again after being fenced, doubled each time.

    Attributes:
        faults: what keeps a node from being as it should, with the cure; empty where all is well.
        fenced: how often in a row it was fenced, without having led for long between.
    """

    def __init__(
        self,
        ports: ControllerPorts,
        *,
        cluster: str,
        topics_created: bool = True,
        health: HealthLimits = PATIENCE,
        fenced_s: float = FENCED_S,
    ) -> None:
        self.faults: dict[NodeId, str] = {}
        self.fenced = 0
        self._ports = ports
        self._cluster = cluster
        self._topics_created = topics_created
        self._health = health
        self._fenced_s = fenced_s
        self._failures = 0

    async def run(self) -> None:
        """Lead until cancelled: whoever runs it cancels it where the requests partition goes to another worker.

        Raises:
            Exception: only for a mistake of ours; what the log or a node does wrong is logged and tried again.
        """
        while True:
            began_s = self._ports.clock()
            error = await self._lead_until_error()
            if isinstance(error, FencedError):
                led_s = self._ports.clock() - began_s
                self.fenced = count_fenced(self.fenced, led_s)
                text = "another controller has taken over, or a commit took too long: leads again if it stays here"
                _log.error(text, extra={"error": str(error), "times": self.fenced})
                await asyncio.sleep(fenced_pause_s(self._fenced_s, self.fenced))
                continue
            level = logging.WARNING if error.retriable else logging.ERROR
            _log.log(level, "the controller lost the log and begins anew", extra={"error": str(error)})
            pause_s: float = min(RETRY_S_MAX, RETRY_S * 2 ** min(self._failures, 8))
            self._failures += 1
            await asyncio.sleep(pause_s)

    async def _lead_until_error(self) -> MiroirError:
        """Lead in a task of its own, and return what ended it.

        A group of tasks that is cancelled while it fails raises the failure alone: the request to end would be lost.
        """
        leading = asyncio.create_task(self._lead())
        try:
            await asyncio.wait({leading})
        finally:
            leading.cancel()
            await asyncio.wait({leading})
            failed = None if leading.cancelled() else leading.exception()
        # Whoever cancels this one has left it above: what is cancelled here was cut off by something within.
        try:
            raise failed or LogUnavailableError("lead: cut off")
        except* MiroirError as group:
            error = _weightiest(group)
        return error

    async def _lead(self) -> None:
        """Lead once; never returns without an error."""
        cluster_reader, requests_reader = self._ports.reader(), self._ports.reader()
        transactions = self._ports.transactions()
        try:
            writer = ClusterWriter(cluster_reader, transactions)
            await writer.lead()
            _log.info("the controller leads", extra={"epoch": writer.topology.epoch})
            self._failures = 0
            async with asyncio.TaskGroup() as group:
                crew = _Crew(self, writer, group)
                group.create_task(crew.run())
                group.create_task(Tidying(self._ports.admin, writer, crew.sights, self._topics_created).run())
                # Whether a copy may go depends on what workers publish: nothing is decided before that is read.
                progress = _ProgressFold()
                group.create_task(follow(self._ports.reader(), PROGRESS, progress.take, caught_up=progress.is_read))
                await progress.is_read.wait()
                mover = Mover(writer, crew.sights, lambda: progress.view, self._ports.draw_uid, self._ports.clock)
                group.create_task(mover.run())
                group.create_task(self._health_watch(writer, crew.sights, progress).run())
                group.create_task(self._serve(writer, requests_reader, progress))
        finally:
            await transactions.close()
            await cluster_reader.close()
            await requests_reader.close()

    def _health_watch(
        self, writer: ClusterWriter, sights: Mapping[NodeId, NodeSight], progress: "_ProgressFold"
    ) -> HealthWatch:
        ports = self._ports
        return HealthWatch(writer, sights, lambda: progress.view, self._health, clock=ports.clock, now_ms=ports.now_ms)

    async def _serve(self, writer: ClusterWriter, reader: LogReader, progress: "_ProgressFold") -> None:
        """Answer requests in their order, from the first that was not."""
        await reader.assign({REQUESTS_PARTITION: writer.topology.requests_cursor})
        while True:
            for batch in await reader.read(timeout_s=READ_S, records_max=READ_RECORDS_MAX):
                for record in batch.records:
                    await self._answer(writer, reader, record, progress)

    async def _answer(
        self, writer: ClusterWriter, reader: LogReader, record: LogRecord, progress: "_ProgressFold"
    ) -> None:
        newcomer = await self._look_at_newcomer(writer.topology, record)
        async with writer:
            decision = await self._decide(writer.topology, reader, record, newcomer, progress.view)
            await writer.commit(build_commit(writer.topology, decision))
        answer = decision.answer
        _log.info(
            "a request is answered",
            extra={"offset": record.offset, "accepted": answer.accepted, "code": answer.code, "why": answer.message},
        )

    async def _look_at_newcomer(self, topology: Topology, record: LogRecord) -> Newcomer:
        """Return how a node that is to join was seen: before the turn is taken, for it may not answer for long."""
        try:
            joining = joining_node(topology, parse_request(record.value or b""))
        except InvalidInputError:
            joining = None
        if joining is None:
            return WELCOME
        node, url = joining
        admin = self._ports.node(NodeRecord(node, url))
        try:
            return judge_newcomer(await admin.fetch_version(), await admin.fetch_keys(), self._cluster)
        except NodeError as error:
            return explain_silence(error)
        finally:
            await admin.close()

    async def _decide(
        self,
        topology: Topology,
        reader: LogReader,
        record: LogRecord,
        newcomer: Newcomer,
        progress: ProgressView,
    ) -> Decision:
        try:
            request = parse_request(record.value or b"")
        except InvalidInputError as error:
            return decide_malformed(topology, record.offset, str(error))
        try:
            topics = await self._look_at_topics(topology, reader, request, record)
        except NoLeaderError as error:
            # The reader has waited for it: all requests behind this one must not wait until its brokers are back.
            return decide_refused(topology, record.offset, "topic_not_seen", f"{error}: ask again when one does")
        except LogUnavailableError:
            raise
        except LogError as error:
            # A name that is none, or no permission: leading anew would find the same, for ever.
            return decide_refused(topology, record.offset, "topic_not_seen", str(error))
        sights = Sights(
            now_ms=record.timestamp_ms,
            key_uid=self._ports.draw_uid(),
            topics=topics,
            topics_created=self._topics_created,
            newcomer=newcomer,
            progress=progress,
        )
        decision = decide(topology, request, record.offset, sights)
        try:
            await self._ports.admin.create(decision.topics)
        except LogUnavailableError:
            raise
        except LogError as error:
            return decide_refused(topology, record.offset, "topic_not_created", str(error))
        return decision

    async def _look_at_topics(
        self, topology: Topology, reader: LogReader, request: Request, record: LogRecord
    ) -> Mapping[str, TopicSight]:
        names = topics_needed(topology, request, record.offset)
        found = await self._ports.admin.describe(names) if names else {}
        partitions = [TopicPartition(t.name, Partition(p)) for t in found.values() for p in range(t.partitions)]
        bounds = await reader.bounds(partitions) if partitions else {}
        written = {each.topic for each, bound in bounds.items() if bound.end > 0}
        return {name: TopicSight(topic, name not in written) for name, topic in found.items()}


@dataclass(slots=True)
class _ProgressFold:
    """What workers have published, up to now."""

    view: ProgressView = field(default_factory=ProgressView)
    is_read: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, batch: LogBatch) -> None:
        """Fold a batch, and pass over what cannot be read of it."""
        self.view, skipped = fold_readable([batch], partial(fold_progress, self.view))
        tell_skipped(skipped)


class _Crew:
    """The keepers, one for every node of the cluster."""

    def __init__(self, controller: Controller, writer: ClusterWriter, group: asyncio.TaskGroup) -> None:
        self.sights: dict[NodeId, NodeSight] = {}
        self._controller = controller
        self._writer = writer
        self._group = group
        self._keepers: dict[NodeId, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        writer.listen(self._changed.set)

    async def run(self) -> None:
        """Start a keeper for every node, as they come; each ends by itself when its node goes."""
        while True:
            self._changed.clear()
            for node in self._writer.topology.nodes.values():
                keeper = self._keepers.get(node.id)
                if keeper is None or keeper.done():
                    keeper = self._keepers[node.id] = self._group.create_task(self._keeper(node).run())
                    # Its name may be another machine's by then.
                    keeper.add_done_callback(lambda _: self._changed.set())
            await self._changed.wait()

    def _keeper(self, node: NodeRecord) -> NodeKeeper:
        controller, ports = self._controller, self._controller._ports  # noqa: SLF001 - the crew is a part of it
        return NodeKeeper(
            node.id,
            ports.node(node),
            self._writer,
            url=node.url,
            cluster=controller._cluster,  # noqa: SLF001 - the same
            sights=self.sights,
            faults=controller.faults,
            clock=ports.clock,
            draw=ports.draw,
            draw_uid=ports.draw_uid,
        )


def _weightiest(group: BaseExceptionGroup[MiroirError]) -> MiroirError:
    """Return the error that decides what to do: being fenced, else one that does not pass by itself, else any."""
    leaves: list[MiroirError] = []
    stack: list[BaseException] = [group]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(error.exceptions)
        elif isinstance(error, MiroirError):
            leaves.append(error)
    return min(leaves, key=lambda leaf: (not isinstance(leaf, FencedError), leaf.retriable))
