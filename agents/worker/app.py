"""The worker process: Faust's agents, and beside them the applier, the controller and what watches them.

What always holds: one agent for each index topic, added when the index appears; whoever owns the requests topic's only
partition is the controller. Who calls it: ``python -m agents.worker``. It must not know: how anything is decided.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from agents.health import HealthLimits
from agents.worker.applier import Applier
from agents.worker.control import Controller, ControllerPorts
from agents.worker.follow import follow
from agents.worker.known_bounds import known_bounds
from agents.worker.metrics import WorkerMetrics
from agents.worker.worker_ports import WorkerPorts
from schemas.config import Settings
from schemas.dead_letters import parse_dead_letter
from schemas.errors import AnotherLogError, LogError, LogUnavailableError
from schemas.ids import Partition, Position
from streams.log import LogAdmin, LogBatch, TopicPartition
from streams.process.skipped import tell_skipped
from streams.readable import fold_progress
from streams.skipping import Skipped, count_topics, fold_readable, split_readable
from streams.topics import CLUSTER, DEAD, PROGRESS, REQUESTS, own_topics
from streams.topology import Topology, fold_cluster

ENDS_S = 1.0
"""How often the ends of the owned partitions, and the ids of their topics, are asked for."""

VIEWS_S = 5.0
"""How long a new assignment waits for what the former owner published to be read."""

LOG_RETRY_S = 1.0
"""Between two tries while no broker answers."""

TAILS_S = 2.0
"""How long a new assignment waits for the nodes' task lists; with them the live stream begins where replicas stand."""

_log = logging.getLogger(__name__)


class Worker:
    """One worker process.

    Args:
        settings: all of them.
        ports: what it needs of the world; it closes what it makes, and the log's writer.
    """

    def __init__(self, settings: Settings, ports: WorkerPorts) -> None:
        self._settings = settings
        self._ports = ports
        self.id = ports.worker
        self._bounds = ports.reader()
        self._admin = ports.admin()
        self.metrics = WorkerMetrics()
        self.applier = Applier(
            settings,
            worker=self.id,
            log=ports.log,
            make_reader=ports.reader,
            metrics=self.metrics,
            make_writer=ports.node_writer,
            now_s=ports.now_s,
            now_ms=ports.now_ms,
            draw=ports.draw,
        )
        self._stream = ports.stream(self)
        self.applier.stream = self._stream
        self._topology = Topology()
        self._changed = asyncio.Event()
        self._cluster_read = asyncio.Event()
        self._dead_read = asyncio.Event()
        self._progress_read = asyncio.Event()
        self._agents: set[str] = set()
        self._controller: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None

    # --- PartitionOwner ---

    async def start_positions(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Begin each partition's live stream where its best replica stands."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(VIEWS_S):
                await self._dead_read.wait()
                await self._progress_read.wait()
        await self.applier.wait_for_tails(TAILS_S)
        bounds = await known_bounds(self._bounds, partitions)
        await self._check_logs()
        self.applier.stale.note_topics(await self._admin.describe(sorted({p.topic for p in partitions})))
        requests = frozenset({TopicPartition(REQUESTS, Partition(0))}) & partitions
        # Nothing may be waited for after this: what is left out is paused on return, and begun by ``mend`` after that.
        starts = dict(self.applier.own({p: bounds.get(p) for p in partitions - requests}))
        # Batches of requests are dropped: where nobody tells its end, the partition may as well stay paused.
        starts |= {p: bounds[p].end for p in requests & bounds.keys()}
        if requests:
            self._start_controller()
        else:
            self._stop_controller()
        _log.info("partitions assigned", extra={"partitions": len(partitions), "controller": bool(requests)})
        return starts

    async def _check_logs(self) -> None:
        """Look at the topics of all indexes, owned here or by nobody: the group soon forgets one that was deleted."""
        topics = sorted({index.topic for index in self.applier.topology.indexes.values()})
        found = await self._admin.identify(topics) if topics else {}
        await self.applier.check_logs({topic: identity.topic_id for topic, identity in found.items()})

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Own nothing until the next assignment."""
        del partitions
        self.applier.disown()
        self._stop_controller()

    async def stopped(self, partition: TopicPartition, error: LogError) -> None:
        """A live stream cannot go on."""
        _log.error("live stream stopped", extra={"topic": partition.topic, "reason": str(error)})
        await self.applier.stopped(partition, error)
        if isinstance(error, AnotherLogError):
            with contextlib.suppress(LogError):
                await self._check_logs()

    def _start_controller(self) -> None:
        assert self._group is not None, "the controller lives in the worker's task group"
        if self._controller is None or self._controller.done():
            self._controller = self._group.create_task(self._control())

    def _stop_controller(self) -> None:
        if self._controller is not None:
            self._controller.cancel()
            self._controller = None

    async def _control(self) -> None:
        """Be the controller until the requests partition goes to another worker."""
        given = self._ports
        admin = given.admin()
        ports = ControllerPorts(
            reader=given.patient_reader,
            transactions=given.transactions,
            admin=admin,
            node=given.node_admin,
            clock=given.now_s,
            now_ms=given.now_ms,
            draw=given.draw,
            draw_uid=given.draw_uid,
        )
        try:
            cluster = await self._cluster_name(admin)
            health = HealthLimits(self._settings.node_failed_after_s, self._settings.node_return_after_s)
            created = self._settings.kafka_create_topics
            await Controller(ports, cluster=cluster, topics_created=created, health=health).run()
        except asyncio.CancelledError:
            _log.info("this worker is not the controller any more")
        finally:
            await admin.close()

    async def _cluster_name(self, admin: LogAdmin) -> str:
        """Return what tells this cluster from others, and its log from an earlier one; waits for a broker."""
        while True:
            try:
                if (identity := (await admin.identify([CLUSTER])).get(CLUSTER)) is not None:
                    return f"{self._settings.kafka_group}@{identity.topic_id or identity.cluster_id}"
            except LogUnavailableError as error:
                _log.warning("the controller waits for the log", extra={"reason": str(error)})
            await asyncio.sleep(LOG_RETRY_S)

    # --- running ---

    async def run(self) -> None:
        """Run until cancelled."""
        await self._prepare_topics()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                started = asyncio.Event()
                group.create_task(self.applier.run(started=started))
                await started.wait()
                group.create_task(self._follow_cluster())
                group.create_task(self._follow_dead())
                group.create_task(self._follow_progress())
                group.create_task(self._sync())
                group.create_task(self._publish())
                group.create_task(self._watch_ends())
                await self._cluster_read.wait()
                await self.applier.set_topology(self._topology)
                # Faust waits at its start until it has an agent.
                await self._sync_agents()
                await self._stream.start()
                group.create_task(self._stream.wait_crashed())
                self._changed.set()
        finally:
            await self._stream.stop()
            await self._bounds.close()
            await self._admin.close()
            await self._ports.log.close()

    def health(self) -> Mapping[str, object]:
        """Return what it is doing, for people and probes; ``status`` is "starting" before its group has let it in."""
        return {
            "status": "available" if self._stream.has_joined else "starting",
            "worker": self.id,
            "epoch": self._topology.epoch,
            "partitions": len(self.applier.partitions()),
            "controller": self._controller is not None and not self._controller.done(),
        }

    async def _prepare_topics(self) -> None:
        if not self._settings.kafka_create_topics:
            return
        admin = self._ports.admin()
        try:
            await admin.create(own_topics())
        finally:
            await admin.close()

    async def _follow_cluster(self) -> None:
        def take(batch: LogBatch) -> None:
            self._topology = fold_cluster(self._topology, [batch])
            self._changed.set()

        await follow(self._ports.reader(), CLUSTER, take, caught_up=self._cluster_read)

    async def _follow_progress(self) -> None:
        def take(batch: LogBatch) -> None:
            fold = partial(fold_progress, self.applier.progress)
            self.applier.progress, skipped = fold_readable([batch], fold)
            self._note_skipped(skipped)

        await follow(self._ports.reader(), PROGRESS, take, caught_up=self._progress_read)

    async def _follow_dead(self) -> None:
        def take(batch: LogBatch) -> None:
            readable, skipped = split_readable([batch])
            records = [record for each in readable for record in each.records]
            self.applier.dead.note([parse_dead_letter(each.value) for each in records if each.value is not None])
            self._note_skipped(skipped)

        await follow(self._ports.reader(), DEAD, take, caught_up=self._dead_read)

    def _note_skipped(self, skipped: Sequence[Skipped]) -> None:
        for topic, records in count_topics(skipped).items():
            self.metrics.skipped.labels(topic=topic).inc(records)
        tell_skipped(skipped)

    async def _sync(self) -> None:
        """Let feeders and agents follow the topology."""
        await self._cluster_read.wait()
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.applier.set_topology(self._topology)
            if self._stream.started:
                await self._sync_agents()

    async def _sync_agents(self) -> None:
        wanted = {index.topic for index in self._topology.indexes.values()} | {REQUESTS}
        for topic in wanted - self._agents:
            await self._stream.add(topic, self._ignore if topic == REQUESTS else self.applier.receive)
        for topic in self._agents - wanted:
            await self._stream.remove(topic)
        self._agents = wanted

    async def _ignore(self, batch: LogBatch) -> None:
        """Requests are read by the controller itself, from where it stopped: here only their ownership counts."""

    async def _publish(self) -> None:
        # Else the first word on a node that is away would be that it was never seen.
        await self._progress_read.wait()
        while True:
            await asyncio.sleep(self._settings.progress_interval_s)
            try:
                await self.applier.publish_progress()
            except LogUnavailableError as error:
                _log.warning("progress is not published", extra={"reason": str(error)})
                await asyncio.sleep(LOG_RETRY_S)

    async def _watch_ends(self) -> None:
        reader = self._ports.reader()
        try:
            while True:
                await asyncio.sleep(ENDS_S)
                partitions = self.applier.partitions()
                with contextlib.suppress(LogError):
                    bounds = await known_bounds(reader, partitions)
                    self.applier.note_ends({partition: bound.end for partition, bound in bounds.items()})
                with contextlib.suppress(LogError):
                    await self._check_logs()
                if self._controller is not None:
                    with contextlib.suppress(LogError):
                        await self.applier.forget_progress()
                self.applier.find_stalled()
                await self.applier.mend()
                await self.applier.look_for_stale()
        finally:
            await reader.close()
