"""A recorded conversation with one node, played to a query service over a cluster."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from bench.parity_fixtures import CONVERSATION, FIXTURES, Conversation, read_conversation
from query.http.app import kafka_parts, make_app
from tests.integration.cluster import Cluster
from tests.integration.conversation import Client, Played, Player, answers_of
from tests.integration.conversation_reasons import unexplained
from tests.integration.waiting import until
from tests.miroir.node.process import NodeProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no recordings at {FIXTURES}"),
]

EQUAL_SHARE_MIN = 0.85

SET_ASIDE = [{"id": 777, "_geo": "bad"}]
"""The body of a step that is left out: a node takes this document, and fails every later change of settings because of
it; here it is set aside when it comes, and settings succeed. All steps after it would differ for this one reason."""


@pytest.fixture
def conversation() -> Conversation:
    """The recorded steps."""
    return read_conversation(FIXTURES / f"{CONVERSATION}.json.gz")


@pytest_asyncio.fixture
async def client(tmp_path: Path, conversation: Conversation) -> AsyncIterator[Client]:
    """A service over three nodes, ready, with the recording's master key."""
    settings = {"MIROIR_MASTER_KEY": conversation.master_key}
    async with Cluster(tmp_path, settings=settings) as cluster:
        app = make_app(cluster.settings, lambda: kafka_parts(cluster.settings))
        async with TestClient(TestServer(app, host="127.0.0.1")) as running:

            async def is_ready() -> bool:
                async with running.get("/health") as response:
                    return response.status == 200

            await until(is_ready, "the service")
            yield running


async def test_conversation_with_a_cluster_equals_one_with_a_node(
    tmp_path: Path, conversation: Conversation, client: Client
) -> None:
    """Steps get the status, body and task that one node gives; what differs is listed in ``docs/http-api.md``."""
    steps = {place: step for place, step in enumerate(conversation.steps) if step.get("body") != SET_ASIDE}
    with NodeProcess(tmp_path / "one", master_key=conversation.master_key) as node:
        answered = await asyncio.to_thread(answers_of, node, list(steps.values()))
    player = Player(client, conversation.master_key)
    played: list[Played] = [await player.play(place, step) for place, step in zip(steps, answered, strict=True)]

    differing = [each for each in played if each.difference]
    listed = "\n".join(f"{each.place} {each.name}: {each.difference}" for each in differing)
    assert 1 - len(differing) / len(played) >= EQUAL_SHARE_MIN, listed
    assert unexplained(differing) == []
