"""What a worker needs of the world: the log, a group's streams, nodes, clocks.

Production gives it Kafka, Faust and HTTP (``kafka_ports``); the simulation gives it a log, a group and nodes in memory
on a clock of its own. Who calls it: the worker's app. It must not know: what a worker does with them.
"""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agents.node_admin import NodeAdmin
from agents.nodes.admin import HttpNodeAdmin
from agents.nodes.writer import HttpNodeWriter
from agents.ports import NodeWriter
from agents.worker.batch_consumer import BatchHandler, PartitionOwner
from agents.worker.control import draw_uid, now_ms
from agents.worker.feed import LiveStream
from agents.worker.record_batches import RecordBatchApp, add_index_agent, make_app, remove_index_agent, wait_crashed
from schemas.config import Settings
from schemas.events import NodeRecord
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter
from streams.log import LogAdmin, LogReader, LogTransactions, LogWriter

REPLAY_FETCH_BYTES_MAX = 8 * 1024 * 1024
"""What one answer of a broker to a node's replay may hold."""


class GroupStream(LiveStream, Protocol):
    """The worker's membership in the group: batches of the topics it was told to read, and of its partitions only."""

    @property
    def started(self) -> bool:
        """Whether ``start`` has returned."""

    @property
    def has_joined(self) -> bool:
        """Whether the group has ever let it in and given it its share, which may be nothing."""

    async def start(self) -> None:
        """Join."""

    async def stop(self) -> None:
        """Leave. Safe before ``start``, and twice."""

    async def add(self, topic: str, handler: BatchHandler) -> None:
        """Hand every batch of the topic to the handler from now on; the group is rebalanced for it."""

    async def remove(self, topic: str) -> None:
        """Read the topic no more, and return when the group knows."""

    async def wait_crashed(self) -> None:
        """Wait until the stream cannot go on, and raise why."""


@dataclass(frozen=True, slots=True)
class WorkerPorts:
    """What a worker needs of the world.

    Attributes:
        worker: its id; unique among all worker processes that ever were.
        log: appends; the worker closes it.
        reader: makes a new reader of the log.
        patient_reader: the same, of one that waits for leaders that are being chosen: the controller's, whose word on a
            request is the last.
        admin: makes a new way to topics.
        transactions: makes a new writer of the cluster topic, the controller's.
        stream: makes the membership in the group; asked once.
        node_admin: makes a way to a node with the master key.
        node_writer: makes a way to a node with a worker's key.
        now_s: monotonic seconds.
        now_ms: milliseconds since 1970.
        draw: a number in [0, 1).
        draw_uid: a fresh random UUID.
    """

    worker: str
    log: LogWriter
    reader: Callable[[], LogReader]
    patient_reader: Callable[[], LogReader]
    admin: Callable[[], LogAdmin]
    transactions: Callable[[], LogTransactions]
    stream: Callable[[PartitionOwner], GroupStream]
    node_admin: Callable[[NodeRecord], NodeAdmin]
    node_writer: Callable[[NodeRecord, str], NodeWriter]
    now_s: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = now_ms
    draw: Callable[[], float] = random.random
    draw_uid: Callable[[], str] = draw_uid


class FaustStream:
    """``GroupStream`` over Faust.

    Args:
        app: not started.
    """

    def __init__(self, app: RecordBatchApp) -> None:
        self._app = app
        self.pause = app.pause
        self.resume = app.resume
        self.seek = app.seek

    @property
    def started(self) -> bool:
        """Whether it has been started."""
        return bool(self._app.started)

    @property
    def has_joined(self) -> bool:
        """Whether the group has ever let it in; see ``GroupStream``."""
        return self.started and self._app.consumer.has_joined is True

    async def start(self) -> None:
        """Start the app."""
        await self._app.start()

    async def stop(self) -> None:
        """Stop the app."""
        await self._app.stop()

    async def add(self, topic: str, handler: BatchHandler) -> None:
        """Add an agent; see ``GroupStream``."""
        await add_index_agent(self._app, topic, handler)

    async def remove(self, topic: str) -> None:
        """Remove the topic's agent; see ``GroupStream``."""
        await remove_index_agent(self._app, topic)

    async def wait_crashed(self) -> None:
        """Wait for the app's end; see ``GroupStream``."""
        await wait_crashed(self._app)


def kafka_ports(settings: Settings) -> WorkerPorts:
    """Return what production has."""
    worker = f"w{uuid.uuid4().hex[:12]}"
    kafka = settings.kafka_config(f"miroir-{worker}")
    secret = settings.node_master_key.get_secret_value()
    return WorkerPorts(
        worker=worker,
        log=KafkaLogWriter(kafka),
        # All that a worker asks it asks again within seconds.
        reader=lambda: KafkaLogReader(kafka, fetch_bytes_max=REPLAY_FETCH_BYTES_MAX, election_s=0.0),
        patient_reader=lambda: KafkaLogReader(kafka, fetch_bytes_max=REPLAY_FETCH_BYTES_MAX),
        admin=lambda: KafkaLogAdmin(kafka),
        transactions=lambda: KafkaTransactions(kafka, settings.kafka_transactional_id),
        stream=lambda owner: FaustStream(make_app(settings.kafka_group, config=kafka, owner=owner)),
        node_admin=lambda node: HttpNodeAdmin(node.id, node.url, secret),
        node_writer=lambda node, key: HttpNodeWriter(node.id, node.url, key, timeout_s=settings.node_timeout_s),
    )
