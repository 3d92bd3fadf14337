"""Appends that wait while another append's failure closes the producer that they share."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from miroir.broker import EmbeddedBroker
from schemas.errors import LogUnavailableError
from schemas.ids import Partition
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append, TopicSpec
from tests.integration.waiting import DEADLINE_S, freeze

REQUEST_S = 1.5
BOUND_S = 15.0
"""Some request time-outs, and the time to let go of a producer: the machine may be busy."""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A broker with a topic ``known``."""
    made = EmbeddedBroker(tmp_path / "broker.log")
    try:
        await made.start()
        await _create(made, "known")
        yield made
    finally:
        await made.stop()


async def test_append_to_a_new_topic_ends_though_another_closes_the_producer(broker: EmbeddedBroker) -> None:
    """While no broker answers, one append waits for the partitions of its topic, and the other gives up first."""
    writer = KafkaLogWriter(replace(broker.config, request_timeout_ms=int(REQUEST_S * 1000)))
    known, new = (Append(topic, Partition(0), b"k", b"v") for topic in ("known", "new"))
    await _put(writer, known)
    # Made only now: a producer looks at all the topics that are there when it starts.
    await _create(broker, "new")
    assert broker.pid is not None
    freeze(broker.pid)
    try:
        async with asyncio.timeout(BOUND_S), asyncio.TaskGroup() as group:
            first = group.create_task(_error_of(writer, known))
            # The question about the new topic must be open when the first one's time is over.
            await asyncio.sleep(REQUEST_S / 2)
            second = group.create_task(_error_of(writer, new))
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert isinstance(first.result(), LogUnavailableError)
    assert isinstance(second.result(), LogUnavailableError)
    assert "partitions of new" in str(second.result())
    await _put(writer, new)
    await writer.close()


async def _create(broker: EmbeddedBroker, topic: str) -> None:
    admin = KafkaLogAdmin(broker.config)
    try:
        await admin.create([TopicSpec(topic, 1, {})])
    finally:
        await admin.close()


async def _error_of(writer: KafkaLogWriter, append: Append) -> Exception | None:
    try:
        await writer.append([append])
    except LogUnavailableError as error:
        return error
    return None


async def _put(writer: KafkaLogWriter, append: Append) -> None:
    """Append until it succeeds."""
    async with asyncio.timeout(DEADLINE_S):
        while await _error_of(writer, append) is not None:  # noqa: ASYNC110 - a broker has no events
            await asyncio.sleep(0.1)
