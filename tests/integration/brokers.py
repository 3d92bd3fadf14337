"""Either broker for a module's cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.kafka import KafkaConfig
from tests.integration.real_kafka import RealKafka, RealKafkaMissingError

BROKERS = [pytest.param("embedded"), pytest.param("kafka", marks=pytest.mark.kafka)]
"""Parameters of a fixture; its cluster makes the embedded one itself."""


@contextmanager
def running_broker(kind: str, directory: Path) -> Iterator[KafkaConfig | None]:
    """Yield how to reach a real Kafka of one's own, or None for the embedded one; skips where there is none."""
    if kind == "embedded":
        yield None
        return
    directory.mkdir(parents=True, exist_ok=True)
    kafka = RealKafka(directory)
    try:
        kafka.start()
    except RealKafkaMissingError as error:
        pytest.skip(f"no real kafka: {error}")
    try:
        yield kafka.config
    finally:
        kafka.stop()
