"""``miroir demo``: the main job, as a script sees it."""

import json
import os
from pathlib import Path

import pytest

from tests.integration.real_kafka import RealKafka
from tests.miroir.local_stack import Ran, run_miroir

STEPS = {"start", "create", "produce", "search", "kill", "rebuild", "verify"}


def check(ran: Ran) -> None:
    """Assert that the last line is the one object, and that all is as it must be."""
    assert ran.code == 0, ran
    result = json.loads(ran.out.splitlines()[-1])
    assert result["documents"] == 3201
    assert result["searches"] > 0
    assert result["failed_searches"] == 0
    assert result["incomplete_searches"] == 0
    assert result["rebuilt_documents"] > 0
    assert result["verified"] is True
    assert result["seconds"].keys() == STEPS


@pytest.mark.slow
def test_demo_embedded_loses_a_node_and_no_search() -> None:
    """On embedded parts a node is lost and rebuilt, and no search fails or is incomplete."""
    check(run_miroir("demo", "--json"))


@pytest.mark.meilisearch
@pytest.mark.slow
def test_demo_real_nodes_loses_a_node_and_no_search() -> None:
    """The same on real Meilisearch processes."""
    binary = os.environ.get("MEILISEARCH_BIN")
    if not binary or not Path(binary).exists():
        pytest.skip("MEILISEARCH_BIN names no program")
    check(run_miroir("demo", "--json", "--node-binary", binary))


@pytest.mark.kafka
@pytest.mark.slow
def test_demo_real_kafka_loses_a_node_and_no_search(own_kafka: RealKafka) -> None:
    """The same on a real Kafka, with producers and a controller as in production."""
    check(run_miroir("demo", "--json", "--kafka", own_kafka.address))
