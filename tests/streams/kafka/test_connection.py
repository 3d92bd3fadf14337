"""What all Kafka clients share: their arguments, and the table of errors."""

import asyncio
import re
import ssl
from dataclasses import replace
from pathlib import Path

import aiokafka.client
import pytest
from aiokafka import errors

from miroir.ports import HOST, free_port
from schemas.errors import FencedError, LogError, LogUnavailableError, NoBrokerError
from schemas.ids import Partition
from schemas.kafka import KafkaConfig
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.connection import (
    InvalidRecordError,
    ProducerFencedError,
    client_arguments,
    to_log_error,
    translated,
)
from streams.kafka.reader import KafkaLogReader
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append, TopicPartition


def test_plain_arguments_hold_nothing_secret() -> None:
    """Without TLS and SASL neither a context nor a user is passed on."""
    arguments = client_arguments(KafkaConfig("one:9092,two:9092", sasl_username="u", sasl_password="p"))

    assert arguments == {
        "bootstrap_servers": "one:9092,two:9092",
        "client_id": "miroir",
        "request_timeout_ms": 10_000,
        "security_protocol": "PLAINTEXT",
    }


def test_sasl_arguments_carry_mechanism_and_user() -> None:
    """User and password go where the library looks for them, and TLS comes with SASL_SSL."""
    config = KafkaConfig(
        "one:9092",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="u",
        sasl_password="secret",
        ssl_check_hostname=False,
    )

    arguments = client_arguments(config)

    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("u", "secret")
    assert arguments["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert not arguments["ssl_context"].check_hostname


@pytest.mark.parametrize("setting", ["ssl_cafile", "ssl_certfile"])
def test_missing_certificate_file_is_an_os_error_with_its_name(tmp_path: Path, setting: str) -> None:
    """A file that is not there is told by its own error, before any broker is asked."""
    file = str(tmp_path / "none.pem")
    config = KafkaConfig("one:9092", security_protocol="SSL")
    config = replace(config, ssl_cafile=file) if setting == "ssl_cafile" else replace(config, ssl_certfile=file)
    with pytest.raises(OSError, match=re.escape(file)):
        client_arguments(config)


def test_password_shows_in_no_text() -> None:
    """Neither a log line nor a traceback shows it."""
    assert "secret" not in repr(KafkaConfig("one:9092", sasl_username="u", sasl_password="secret"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.ProducerFenced(), FencedError),
        (ProducerFencedError(), FencedError),
        (errors.InvalidProducerEpoch(), FencedError),
        (errors.KafkaConnectionError("gone"), LogUnavailableError),
        (errors.NotLeaderForPartitionError(), LogUnavailableError),
        (errors.UnknownTopicOrPartitionError(), LogUnavailableError),
        (errors.KafkaTimeoutError(), LogUnavailableError),
        (errors.OutOfOrderSequenceNumber(), LogUnavailableError),
        (TimeoutError(), LogUnavailableError),
        (ConnectionResetError(), LogUnavailableError),
        (errors.TopicAuthorizationFailedError("t"), LogError),
        (InvalidRecordError(), LogError),
        (errors.InvalidConfigurationError(), LogError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_library_error_becomes_ours(error: BaseException, kind: type[LogError]) -> None:
    """Fenced, to be tried again, or refused: by one table, with what was done and the library's own name for it."""
    found = to_log_error(error, "append")

    assert type(found) is kind
    assert str(found).startswith("append: ")
    assert str(found).count(type(error).__name__) == 1


def test_translated_keeps_the_cause() -> None:
    """The library's error stays visible behind ours."""
    with pytest.raises(LogUnavailableError) as caught, translated("read"):
        raise errors.KafkaConnectionError("gone")

    assert isinstance(caught.value.__cause__, errors.KafkaConnectionError)


@pytest.mark.parametrize("client", ["reader", "writer", "admin"])
async def test_broker_that_nobody_reaches_is_named_once(client: str) -> None:
    """Whichever client starts: the brokers stand in the text as they were given, and nothing secret does."""
    servers = f"{HOST}:{free_port()}"
    config = KafkaConfig(servers, sasl_username="u", sasl_password="secret")
    reader, writer, admin = KafkaLogReader(config), KafkaLogWriter(config), KafkaLogAdmin(config)
    place = TopicPartition("t", Partition(0))
    calls = {
        "reader": lambda: reader.bounds([place]),
        "writer": lambda: writer.append([Append(*place, b"k", b"v")]),
        "admin": admin.cluster_id,
    }

    with pytest.raises(NoBrokerError) as caught:
        await calls[client]()

    assert str(caught.value) == f"Kafka {servers} does not answer"


@pytest.mark.parametrize(("code", "kind"), [(87, InvalidRecordError), (90, ProducerFencedError)])
def test_codes_younger_than_the_library_have_names(code: int, kind: type) -> None:
    """They would be "unknown" otherwise."""
    assert errors.for_code(code) is kind


def test_metadata_request_of_the_library_creates_no_topic() -> None:
    """Every client of the library, Faust's included, asks without the permission to create."""
    asked = aiokafka.client.MetadataRequest(["topic"]).prepare({3: (0, 5)})

    assert asked.to_object() == {"topics": ["topic"], "allow_auto_topic_creation": False}


async def test_cancelling_of_the_library_itself_is_an_absent_log_and_ours_is_ours() -> None:
    """A future that the library gave up must not look like a request to end; a request to end must."""

    async def wait(given_up: asyncio.Future[None]) -> None:
        with translated("read"):
            await given_up

    futures = [asyncio.get_running_loop().create_future() for _ in range(2)]
    theirs, ours = (asyncio.create_task(wait(future)) for future in futures)
    await asyncio.sleep(0)
    futures[0].cancel()
    ours.cancel()
    await asyncio.wait([theirs, ours])

    assert isinstance(theirs.exception(), LogUnavailableError)
    assert ours.cancelled()
