"""Faust agents whose streams carry whole record batches of one partition, started where we say.

Faust costs about 0.2 ms an event; one event a fetched batch makes that nothing. Beside it stands what Faust does not
offer: ``read_committed``, start positions that somebody decides (never a reset policy, never the group's committed
offsets), and a promise to the handler: **after each assignment or seek the batches of a partition follow one another
without a gap, from the position that was decided**; what was fetched before, or for an earlier assignment, is dropped.

What always holds: nothing is committed unless ``commit_positions`` is called; the committed offset is a hint for
people. Who calls it: the worker process. It must not know: what records mean.

It reaches into Faust, and ``batch_consumer`` into aiokafka; their tests fail where the insides change.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import faust
from faust.types import TP

from agents.worker.batch_consumer import BatchHandler, BatchTransport, PartitionOwner
from schemas.errors import LogUnavailableError
from schemas.ids import Position
from schemas.kafka import KafkaConfig
from streams.log import TopicPartition

__all__ = [
    "BatchHandler",
    "PartitionOwner",
    "RecordBatchApp",
    "add_index_agent",
    "make_app",
    "remove_index_agent",
    "wait_crashed",
]

FAUST_TESTED = "0.15.3"
"""The version whose insides this file knows."""

AIOKAFKA_TESTED = "0.14.0"
"""The same for the client library."""

HEARTBEATS = 5
"""Chances within a session: a takeover takes about as long as one, so it is chosen short (``session_timeout_s``)."""

RECORDS_MAX = 4000
"""Records of one poll: at 1 KB each 4 MB, and the loop is free again after some 30 ms."""

STREAM_BATCHES_MAX = 8
"""Batches between the consumer and an agent, which never waits: it hands over and pauses partitions instead."""

RESUBSCRIBE_S = 0.5
"""How long a new agent waits for company before the group is rebalanced for it; Faust's own 45 s are for no one."""


UNSUBSCRIBE_S = 30.0
"""How long leaving a topic may take: a rebalance that is under way comes first."""

POLL_S = 0.02
"""How often it is looked at meanwhile."""


class RecordBatchApp(faust.App):  # type: ignore[misc]  # the library ships no types
    """A Faust app whose agents get record batches; made by ``make_app``; ``await app.start()``, ``await app.stop()``.

    Attributes:
        kafka: how to reach the cluster.
        owner: who decides where partitions are read from.
    """

    kafka: KafkaConfig
    owner: PartitionOwner

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Make none: nothing is kept on disk."""

    async def _wait_for_table_recovery_completed(self) -> bool:
        # There are no tables. Faust would wait for the first assignment, which without an agent never comes.
        return False

    def on_rebalance_end(self) -> None:
        """Subscribe again where agents came or went during the rebalance."""
        super().on_rebalance_end()
        # Faust forgets such a change.
        wanted = {name for channel in self.topics for name in channel.topics}
        if wanted != self.consumer._thread.subscribed:  # noqa: SLF001 - our own class
            self.topics._flag_changes()  # noqa: SLF001 - no public name

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Deliver no more of these; what is under way (at most a poll and ``STREAM_BATCHES_MAX`` batches) still comes.

        A rebalance ends every pause, but asks for start positions first.
        """
        self.consumer.pause_partitions([TP(*each) for each in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Go on with these, where they stood. Those not assigned any more are passed over."""
        assigned = self.consumer.assignment()
        self.consumer.resume_partitions({TP(*each) for each in partitions} & assigned)

    async def seek(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Read on from there, and resume; batches fetched before never come."""
        assigned = {TopicPartition(*each) for each in self.consumer.assignment()}
        held = {each: position for each, position in positions.items() if each in assigned}
        self.resume(held)
        await self.consumer.start_at(held)

    async def commit_positions(self, positions: Mapping[TopicPartition, Position]) -> None:
        """Commit to the group, for people and their lag monitors; passes over partitions not assigned any more."""
        await self.consumer._commit({TP(*each): position for each, position in positions.items()})  # noqa: SLF001

    def assigned(self) -> frozenset[TopicPartition]:
        """Return the partitions this worker has now."""
        return frozenset(TopicPartition(*each) for each in self.consumer.assignment())


def make_app(group: str, *, config: KafkaConfig, owner: PartitionOwner) -> RecordBatchApp:
    """Return an app of the consumer group ``group``, without agents yet; ``await app.start()`` and ``app.stop()``.

    It runs on the event loop that is running when it is started, beside any other tasks: no web server, no tables, no
    topics of its own, no Faust worker around it.
    """
    app = RecordBatchApp(
        group,
        broker=[f"kafka://{server.strip()}" for server in config.bootstrap_servers.split(",")],
        broker_session_timeout=config.session_timeout_s,
        broker_heartbeat_interval=config.session_timeout_s / HEARTBEATS,
        broker_max_poll_records=RECORDS_MAX,
        broker_request_timeout=max(config.session_timeout_s + 1, config.request_timeout_ms / 1000),
        store="memory://",
        stream_buffer_maxsize=STREAM_BATCHES_MAX,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
    )
    app.kafka = config
    app.owner = owner
    app.topics._resubscribe_sleep_lock_seconds = RESUBSCRIBE_S  # noqa: SLF001 - Faust offers no setting
    return app


async def wait_crashed(app: RecordBatchApp) -> None:
    """Wait until the app has crashed, and raise why; to stand beside the program's other tasks.

    Raises:
        Exception: a handler's error, or one the library could not go on after.
    """
    await app._crashed.wait()  # noqa: SLF001 - no public name
    raise app.crash_reason


async def add_index_agent(app: RecordBatchApp, topic: str, handler: BatchHandler) -> None:
    """Let an agent hand every batch of the topic to ``handler``, from now on; the topic must exist.

    The group is rebalanced for it: reading begins within about two seconds.
    """

    async def hand_over(stream: Any) -> None:
        async for fetched in stream:
            try:
                await app.consumer.deliver(fetched, handler)
            except Exception as error:  # noqa: BLE001 - Faust would restart the agent and skip the batch
                await app.crash(error)

    # Without acknowledgements Faust commits nothing, and keeps no list of every offset since the last commit.
    channel = app.topic(topic, key_serializer="raw", value_serializer="raw", acks=False)
    agent = app.agent(channel, name=topic)(hand_over)
    if app.started:
        await app.agents.add_runtime_dependency(agent)
        app.agents.update_topic_index()


async def remove_index_agent(app: RecordBatchApp, topic: str) -> None:
    """Stop the topic's agent, and return when the group is told, about a second later. Does nothing without an agent.

    Not before: an agent added again at once would leave the subscription as it was, and a topic that was deleted and
    made again between the two would be read on as if it were the same.

    Raises:
        LogUnavailableError: the group cannot be told in time.
    """
    agent = app.agents.data.pop(topic, None)
    if agent is None:
        return
    await agent.stop()
    app.agents._by_topic.pop(topic, None)  # noqa: SLF001 - no public name
    for channel in [channel for channel in app.topics if topic in channel.topics]:
        app.topics.discard(channel)
    try:
        async with asyncio.timeout(UNSUBSCRIBE_S):
            while topic in app.consumer._thread.subscribed:  # noqa: ASYNC110, SLF001 - Faust tells nobody
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise LogUnavailableError(f"the consumer group was not told to leave {topic}") from error
