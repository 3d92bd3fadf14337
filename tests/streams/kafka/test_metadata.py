"""Questions that any broker can answer, while one is away; what brokers say of topics: conformance/test_log."""

import pytest
from aiokafka.errors import NodeNotReadyError

from streams.kafka.metadata import fetch_topic_configs
from tests.fakes.kafka_client import LeadingClient

CONFIGS = {"max.message.bytes": "1048588"}
OFTEN = 20
"""Whom is asked first is drawn: that the broker which is away never is has a chance of 2^-20."""


async def test_configurations_are_told_by_whichever_broker_is_there() -> None:
    """One that was killed is named until the cluster misses it; a topic that does not exist has none."""
    client = LeadingClient({"films": 1}, away=[2], configs=CONFIGS)

    for _ in range(OFTEN):
        assert await fetch_topic_configs(client, ["films", "gone"]) == {"films": CONFIGS}


async def test_configurations_without_a_broker_are_an_error() -> None:
    """Nobody tells them; where none are wanted nobody is asked."""
    client = LeadingClient({"films": 1}, away=[1, 2])

    assert await fetch_topic_configs(client, []) == {}
    with pytest.raises(NodeNotReadyError):
        await fetch_topic_configs(client, ["films"])
