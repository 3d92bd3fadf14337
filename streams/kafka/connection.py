"""What every Kafka client of ours shares: its arguments, and one table from the library's errors to ours.

What always holds: asking about a topic never creates it (the library asks so by default, and Kafka's own default is to
obey: a deleted index's topic would come back with one partition). Who calls it: the other files of this folder, and the
worker's consumer. It must not know: what is read or written.
"""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiokafka.client
from aiokafka import AIOKafkaConsumer, errors
from aiokafka.protocol.metadata import MetadataRequest

from schemas.errors import FencedError, LogError, LogUnavailableError, NoBrokerError
from schemas.kafka import KafkaConfig

_UNAVAILABLE: tuple[type[BaseException], ...] = (
    errors.KafkaTimeoutError,
    errors.KafkaUnavailableError,
    errors.BrokerNotAvailableError,
    errors.ReplicaNotAvailableError,
    errors.ConsumerStoppedError,
    errors.ProducerClosed,
    # The broker lost what it knew of this producer, or an append before this one failed: a new producer cures it.
    errors.OutOfOrderSequenceNumber,
    errors.DuplicateSequenceNumber,
    errors.UnknownProducerId,
    errors.InvalidProducerIdMapping,
    errors.InvalidTxnState,
    errors.ConcurrentTransactions,
    OSError,
    TimeoutError,
)
"""Errors the library does not call retriable although the same call may succeed later."""


class InvalidRecordError(errors.BrokerResponseError):  # type: ignore[misc]  # the library ships no types
    """The broker refuses a record's form; a compacted topic refuses one without a key, and its whole batch."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The broker refuses a record (a compacted topic: one without a key) and all of its batch."


class ProducerFencedError(errors.BrokerResponseError):  # type: ignore[misc]  # the library ships no types
    """There is a newer producer with the same transactional id."""

    errno = 90
    message = "PRODUCER_FENCED"
    description = "There is a newer producer with the same transactional id."


# Codes younger than the library, which calls what it does not know "unknown".
errors.kafka_errors.update({each.errno: each for each in (InvalidRecordError, ProducerFencedError)})

_FENCED: tuple[type[BaseException], ...] = (
    errors.ProducerFenced,
    errors.InvalidProducerEpoch,
    errors.TransactionCoordinatorFenced,
    ProducerFencedError,
)
"""Somebody else has made a producer of the same transactional id."""


class _AskOnly(MetadataRequest):  # type: ignore[misc]  # the library ships no types
    """The library's metadata request, with its permission to create topics taken away."""

    def __init__(self, topics: list[str] | None = None) -> None:
        super().__init__(topics, allow_auto_topic_creation=False)


# The library offers no setting for it (Java's is allow.auto.create.topics). A test watches that it works.
aiokafka.client.MetadataRequest = _AskOnly


def client_arguments(config: KafkaConfig) -> dict[str, Any]:
    """Return the keyword arguments that reader, writer and admin clients have in common.

    Raises:
        OSError: a certificate file cannot be read.
        ssl.SSLError: it holds no certificate.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": config.bootstrap_servers,
        "client_id": config.client_id,
        "request_timeout_ms": config.request_timeout_ms,
        "security_protocol": config.security_protocol,
    }
    if config.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = config.sasl_mechanism
        arguments["sasl_plain_username"] = config.sasl_username
        arguments["sasl_plain_password"] = config.sasl_password
    if config.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = ssl_context(config)
    return arguments


def ssl_context(config: KafkaConfig) -> ssl.SSLContext:
    """Return a context that trusts the configured authorities, with the client's certificate where there is one."""
    for path in filter(None, (config.ssl_cafile, config.ssl_certfile, config.ssl_keyfile)):
        # The library's own error does not name the file.
        Path(path).open("rb").close()
    context = ssl.create_default_context(cafile=config.ssl_cafile)
    context.check_hostname = config.ssl_check_hostname
    if config.ssl_certfile is not None:
        context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)
    return context


def tell(error: BaseException) -> str:
    """Return an error's name and text, the name once: the library's own errors begin their text with it."""
    return str(error) if isinstance(error, errors.KafkaError) else f"{type(error).__name__}: {error}"


def to_log_error(error: BaseException, action: str) -> LogError:
    """Return our error for the library's ``error``, met while doing ``action``."""
    text = f"{action}: {tell(error)}"
    if isinstance(error, _FENCED):
        return FencedError(text)
    if isinstance(error, _UNAVAILABLE) or getattr(error, "retriable", False):
        return LogUnavailableError(text)
    return LogError(text)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn errors of the library and of the network into ours; ``action`` begins their text.

    Raises:
        FencedError: another producer has taken over the transactional id.
        LogUnavailableError: the same call may succeed later.
        LogError: anything else a broker or the library refuses.
    """
    try:
        yield
    except (errors.KafkaError, errors.ConsumerStoppedError, errors.IllegalOperation, OSError, TimeoutError) as error:
        raise to_log_error(error, action) from error
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise LogUnavailableError(f"{action}: the library gave up what was under way") from error


@contextmanager
def connecting(config: KafkaConfig) -> Iterator[None]:
    """Name the brokers where a client that starts reaches none: the library lists its own form of their addresses.

    Raises:
        NoBrokerError: none can be connected to.
    """
    try:
        yield
    except errors.KafkaConnectionError as error:
        raise NoBrokerError(config.bootstrap_servers) from error


def is_cancelled() -> bool:
    """Return whether somebody has cancelled the present task.

    Where a broker goes away, futures that the library has cancelled for itself raise the same error in whoever waits
    for them. Taken for a request to end, it would end a task for good of which nobody knows.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, whether its brokers answer or not.

    Where a fetch has just failed, the library's ``stop`` lets its own cancellation of it escape, and leaves its
    connections open.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if is_cancelled():
            raise
    finally:
        await consumer._client.close()  # noqa: SLF001 - no public way
