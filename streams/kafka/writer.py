"""Appends to a Kafka, to partitions of our choice.

What always holds: an offset that was returned is on all in-sync copies (``acks=all``); with idempotence no retry
appends twice; records of one partition are appended in the order given. Who calls it: producing shells. It must not
know: how a partition is chosen.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError
from aiokafka.structs import RecordMetadata

from schemas import errors
from schemas.ids import Offset
from schemas.kafka import KafkaConfig
from streams.kafka.connection import client_arguments, connecting, is_cancelled, to_log_error, translated
from streams.kafka.metadata import fetch_topic_configs
from streams.log import Append

BATCH_BYTES_MAX = 128 * 1024
"""What one partition gathers for one request. Far below Kafka's default limit of 1 MiB a batch, so that a record that
is too large always stands alone in its batch and takes no other down."""

LINGER_MS = 2
"""How long a batch waits for company: far below what a node needs to index it."""

RECORD_BYTES_MAX = 64 * 1024 * 1024
"""The library's own limit on a record; the broker's, which is lower, decides."""

RECORD_OVERHEAD_BYTES = 61 + 21
"""A batch's header and at most a record's own (https://kafka.apache.org/documentation/#recordbatch)."""

STOP_S = 5.0
"""How long closing waits for what is buffered."""

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)

_log = logging.getLogger(__name__)


class KafkaLogWriter:
    """``LogWriter`` over a Kafka cluster. For any number of tasks; connects at first use, and again after a failure."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._limits: dict[str, int] = {}

    async def append(self, appends: Sequence[Append]) -> Sequence[Offset]:
        """Append all, in order a partition; see ``LogWriter``.

        A cancelled append may have appended any part.
        """
        timeout_s = self._config.request_timeout_ms / 1000
        await self._require_small(appends)
        with translated("append"):
            producer = await self._started()
            await require_partitions(producer, appends, timeout_s=timeout_s)
        try:
            return await send_all(producer, appends, timeout_s=timeout_s)
        except errors.LogError:
            # After a failure the library's order of sequence numbers has a hole, and what it still holds would be
            # appended long after the caller was told that it was not.
            await self._discard(producer)
            raise

    async def close(self) -> None:
        """Send what is buffered and leave. Safe to call twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await start_producer(self._config, enable_idempotence=self._config.idempotence)
            return self._producer

    async def _discard(self, producer: AIOKafkaProducer) -> None:
        """Drop a producer and what it holds; the next append makes another."""
        if self._producer is producer:
            self._producer = None
        await kill_producer(producer)

    async def _require_small(self, appends: Sequence[Append]) -> None:
        """Raise ``RecordTooLargeError`` before anything is sent, where the broker tells its limit.

        A refusal by the broker would cost every other append under way its producer.
        """
        for append in appends:
            size_bytes = len(append.key or b"") + len(append.value or b"")
            batch_bytes = size_bytes + RECORD_OVERHEAD_BYTES
            if size_bytes > BATCH_BYTES_MAX and batch_bytes > self._limits.get(append.topic, 0):
                # Not known yet, or raised since: nobody tells, so a refusal is always the broker's latest word.
                self._limits[append.topic] = await self._limit(append.topic)
                if batch_bytes > self._limits[append.topic]:
                    raise errors.RecordTooLargeError(append.topic, size_bytes)

    async def _limit(self, topic: str) -> int:
        with translated("ask for max.message.bytes"):
            admin = AIOKafkaAdminClient(**client_arguments(self._config))
            try:
                with connecting(self._config):
                    await admin.start()
                configs = await fetch_topic_configs(admin._client, [topic])  # noqa: SLF001 - its own asks only one broker
            finally:
                await admin.close()
        return int(configs.get(topic, {}).get("max.message.bytes") or RECORD_BYTES_MAX)


async def start_producer(config: KafkaConfig, **arguments: Any) -> AIOKafkaProducer:
    """Return a producer that is connected and, where idempotent, has its producer id.

    Raises:
        TimeoutError: not within the configured time-out; the library would try for ever.
        NoBrokerError: no broker can be connected to.
        aiokafka.errors.KafkaError: a broker answers, and refuses.
    """
    producer = AIOKafkaProducer(
        **client_arguments(config),
        acks="all",
        linger_ms=LINGER_MS,
        max_batch_size=BATCH_BYTES_MAX,
        max_request_size=RECORD_BYTES_MAX,
        **arguments,
    )
    try:
        async with asyncio.timeout(config.request_timeout_ms / 1000):
            with connecting(config):
                await producer.start()
    except BaseException:
        await kill_producer(producer)
        raise
    return producer


async def send_all(producer: AIOKafkaProducer, appends: Sequence[Append], *, timeout_s: float) -> Sequence[Offset]:
    """Send all and return their offsets in the order given; at most ``timeout_s`` seconds without any progress.

    Raises:
        LogUnavailableError: not all were acknowledged in time; some may be in the log.
        FencedError: another producer has taken over the transactional id.
        RecordTooLargeError: the first that the broker does not take.
        LogError: the broker refuses.
    """
    sent: list[asyncio.Future[RecordMetadata]] = []
    try:
        for topic, partition, key, value in appends:
            if producer.client.cluster.partitions_for_topic(topic) is None:
                # A look at the cluster has lost it since; to wait for it is all that a send does without a bound.
                await _partitions_of(producer, topic, timeout_s)
            sent.append(await producer.send(topic, key=key, value=value, partition=partition))
        return [Offset((await _acknowledged(future, timeout_s)).offset) for future in sent]
    except _TOO_LARGE as error:
        append = appends[next((at for at, future in enumerate(sent) if _failed(future)), len(sent))]
        size_bytes = len(append.key or b"") + len(append.value or b"")
        raise errors.RecordTooLargeError(append.topic, size_bytes) from error
    except (KafkaError, TimeoutError) as error:
        raise to_log_error(error, "append") from error
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise errors.LogUnavailableError("append: the library gave up what was under way") from error
    finally:
        for future in sent:
            future.cancel()
            _look_at(future)


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Send what is buffered, within ``STOP_S`` seconds, and leave."""
    try:
        async with asyncio.timeout(STOP_S):
            await producer.stop()
    except TimeoutError:
        _log.warning("records were still buffered when the producer was closed")
        await kill_producer(producer)
    except asyncio.CancelledError:
        # The library's own, of a sender that has failed; else ours, and connections are closed all the same.
        await kill_producer(producer)
        if is_cancelled():
            raise


async def kill_producer(producer: AIOKafkaProducer) -> None:
    """Leave at once; what is buffered is lost, and its senders are told. Safe to call twice."""
    # Its own stop() would wait for the broker, for ever where it is away.
    producer._closed = True  # noqa: SLF001 - no public way
    task = producer._sender.sender_task  # noqa: SLF001 - the same
    if task is not None:
        task.cancel()
        await asyncio.wait([task], timeout=STOP_S)
        _look_at(task)
    producer._message_accumulator.fail_all(TimeoutError("the producer was closed"))  # noqa: SLF001 - the same
    if producer._txn_manager is not None:  # noqa: SLF001 - the same
        _look_at(producer._txn_manager.wait_for_transaction_end())  # noqa: SLF001 - the same
    await producer.client.close()


async def require_partitions(producer: AIOKafkaProducer, appends: Sequence[Append], *, timeout_s: float) -> None:
    """Raise where a partition does not exist: the library asserts it.

    Args:
        producer: one that is connected.
        appends: what is to be sent.
        timeout_s: how long to wait for each topic that the producer has not seen. The library bounds this wait only
            between two answers, and where another append's failure closes the producer meanwhile, none ever comes.

    Raises:
        LogError: it does not.
        TimeoutError: not within ``timeout_s``.
        aiokafka.errors.KafkaError: the topic does not, or no broker answers.
    """
    known: dict[str, Any] = {}
    for topic, partition, *_ in appends:
        if topic not in known:
            known[topic] = await _partitions_of(producer, topic, timeout_s)
        if partition not in known[topic]:
            raise errors.LogError(f"{topic}: no partition {partition}, found {len(known[topic])}")


async def _partitions_of(producer: AIOKafkaProducer, topic: str, timeout_s: float) -> Any:
    try:
        async with asyncio.timeout(timeout_s):
            return await producer.partitions_for(topic)
    except TimeoutError as error:
        msg = f"nobody told the partitions of {topic} within {timeout_s:g} s"
        raise TimeoutError(msg) from error


def _look_at(future: "asyncio.Future[Any] | None") -> None:
    """Take note of a future's error: one nobody waits for any more would complain that nobody did."""
    if future is not None and future.done() and not future.cancelled():
        future.exception()


async def _acknowledged(future: "asyncio.Future[RecordMetadata]", timeout_s: float) -> RecordMetadata:
    if not future.done():
        async with asyncio.timeout(timeout_s):
            await asyncio.wait([future])
    return future.result()


def _failed(future: "asyncio.Future[RecordMetadata]") -> bool:
    return future.done() and not future.cancelled() and isinstance(future.exception(), _TOO_LARGE)
