"""Wiring only: options, marks, and the servers that many tests share."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from schemas.kafka import KafkaConfig
from tests.integration.real_kafka import RealKafka, RealKafkaMissingError
from tests.integration.shared_kafka import share_kafka

# An example may take as long as a busy machine takes: no test measures time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our own options."""
    parser.addoption("--long", action="store_true", help="the long runs too: many seeds, big loads")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: run last, they would keep one process while the others have none.

    Those are the ones whose tests may take longer than others, then the others with slow tests.
    """
    longest_s: dict[Path, float] = {}
    for item in items:
        slow, limit = item.get_closest_marker("slow"), item.get_closest_marker("timeout")
        own_s = 0.0 if slow is None else float(limit.args[0]) if limit is not None else 1.0
        longest_s[item.path] = max(longest_s.get(item.path, 0.0), own_s)
    items.sort(key=lambda item: -longest_s[item.path])


@pytest.fixture(scope="session")
def real_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaConfig]:
    """One real Kafka for all processes of the run; never killed by a test. Skips where it cannot be brought."""
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    with ExitStack() as stack:
        try:
            config = stack.enter_context(share_kafka(directory / "shared-kafka"))
        except RealKafkaMissingError as error:
            pytest.skip(f"no real kafka: {error}")
        yield config


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """A real Kafka of the test's own, to be killed and started again. Skips where it cannot be brought."""
    kafka = RealKafka(tmp_path_factory.mktemp("own-kafka"))
    try:
        kafka.start()
    except RealKafkaMissingError as error:
        pytest.skip(f"no real kafka: {error}")
    yield kafka
    kafka.stop()
