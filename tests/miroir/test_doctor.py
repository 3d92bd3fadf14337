"""The doctor on a whole small cluster: embedded broker, embedded node, and a controller that is at work or not."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from agents.decision import build_puts
from agents.nodes.admin import HttpNodeAdmin
from agents.worker.control import Controller, ControllerPorts
from miroir.broker import EmbeddedBroker
from miroir.doctor import examine
from miroir.findings import Finding, Level
from miroir.ports import free_port
from miroir.processes import end_with_parent
from schemas.config import Settings, parse_settings
from schemas.events import NodeRecord
from schemas.ids import IndexUid, NodeId, Partition
from schemas.kafka import KafkaConfig
from schemas.requests import AddNode, CreateIndex, Request, build_request
from streams.kafka.admin import KafkaLogAdmin
from streams.kafka.reader import KafkaLogReader
from streams.kafka.transactions import KafkaTransactions
from streams.kafka.writer import KafkaLogWriter
from streams.log import Append
from streams.topics import REQUESTS, docs_topic, own_topics

NODE_KEY = "master-key-of-the-nodes"
WAIT_S = 60.0
EMBEDDED = {"setting kafka_idempotence", "setting kafka_transactions", "setting kafka_replication_factor"}
"""What is always said of a cluster on the embedded broker."""

pytestmark = [pytest.mark.slow]


def settings_of(kafka: str) -> Settings:
    """Return the settings of the small cluster."""
    return parse_settings(
        {
            "MIROIR_KAFKA": kafka,
            "MIROIR_KAFKA_IDEMPOTENCE": "false",
            "MIROIR_KAFKA_TRANSACTIONS": "false",
            "MIROIR_KAFKA_REPLICATION_FACTOR": "1",
            "MIROIR_MASTER_KEY": "master-key-of-the-api",
            "MIROIR_NODE_MASTER_KEY": NODE_KEY,
        }
    )


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker of the test's own."""
    made = EmbeddedBroker(tmp_path / "broker.log")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.meilisearch)])
async def node_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A node of the test's own: the embedded one, and a real one where there is a binary."""
    program = [sys.executable, "-m", "miroir.node"]
    if request.param == "real":
        if "MEILISEARCH_BIN" not in os.environ:
            pytest.skip("MEILISEARCH_BIN names no binary")
        program = [os.environ["MEILISEARCH_BIN"], "--no-analytics", "--max-indexing-memory", "256MiB"]
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *program,
        *("--http-addr", address, "--db-path", str(tmp_path / "node"), "--master-key", NODE_KEY),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=end_with_parent(),
    )
    try:
        await _until_healthy(f"http://{address}")
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def _until_healthy(url: str) -> None:
    async with asyncio.timeout(WAIT_S), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"{url}/health")).is_success:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def controlled(config: KafkaConfig) -> AsyncIterator[None]:
    """Run a controller meanwhile."""
    admin = KafkaLogAdmin(config)
    ports = ControllerPorts(
        reader=lambda: KafkaLogReader(config),
        transactions=lambda: KafkaTransactions(config, "miroir-controller"),
        admin=admin,
        node=lambda node: HttpNodeAdmin(node.id, node.url, NODE_KEY),
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Controller(ports, cluster="test").run())
        yield
        task.cancel()
    await admin.close()


async def ask(config: KafkaConfig, *requests: Request) -> None:
    """Append requests."""
    writer = KafkaLogWriter(config)
    await writer.append([Append(REQUESTS, Partition(0), None, build_request(request)) for request in requests])
    await writer.close()


async def make_topics(config: KafkaConfig) -> None:
    """Make the topics that every cluster needs."""
    admin = KafkaLogAdmin(config)
    await admin.create(own_topics())
    await admin.close()


async def examined(settings: Settings, enough: Callable[[list[Finding]], bool]) -> list[Finding]:
    """Return the findings once they are as wanted."""
    deadline_s = time.monotonic() + WAIT_S
    while not enough(findings := await examine(settings)):
        assert time.monotonic() < deadline_s, amiss(findings)
    return findings


def amiss(findings: list[Finding]) -> dict[str, str]:
    """Return what is not well, by subject, without what is always said of an embedded broker."""
    return {f.subject: f.found for f in findings if f.level is not Level.OK and f.subject not in EMBEDDED}


async def test_cluster_at_work_is_well(broker: EmbeddedBroker, node_url: str) -> None:
    """Broker, topics, index and node are looked at; once the controller has done its work nothing is amiss."""
    settings = settings_of(broker.address)
    await make_topics(broker.config)
    async with controlled(broker.config):
        await ask(broker.config, AddNode(NodeId("n1"), node_url))
        await examined(settings, lambda findings: "node n1" not in amiss(findings) and _named(findings, "node n1"))
        await ask(broker.config, CreateIndex(IndexUid("movies"), "id", shards=2, replication=1))

        findings = await examined(
            settings, lambda findings: not amiss(findings) and _named(findings, "topic miroir.docs.movies")
        )

    assert {"kafka", "topic miroir.cluster", "topic miroir.docs.movies", "node n1"} <= {f.subject for f in findings}


def _named(findings: list[Finding], subject: str) -> bool:
    return any(finding.subject == subject for finding in findings)


async def test_node_that_nobody_takes_in_asks_for_a_worker(broker: EmbeddedBroker, node_url: str) -> None:
    """The topics are there and a node answers, but no controller runs; another member cannot be reached."""
    settings = settings_of(broker.address)
    await make_topics(broker.config)
    async with controlled(broker.config):
        await ask(broker.config, AddNode(NodeId("n1"), node_url))
        await examined(settings, lambda findings: _named(findings, "node n1") and "node n1" not in amiss(findings))
    writer = KafkaLogWriter(broker.config)
    await writer.append(build_puts(NodeRecord(NodeId("n2"), "http://127.0.0.1:9")))
    await writer.close()
    admin = HttpNodeAdmin(NodeId("n1"), node_url, NODE_KEY)
    for key in await admin.fetch_keys():
        await admin.delete_key(key.uid)
    await admin.close()

    found = amiss(await examine(settings))

    assert "lost disk" in found["node n1"]
    assert "127.0.0.1:9" in found["node n2"]


async def test_kafka_that_holds_no_cluster_yet_lacks_its_topics(broker: EmbeddedBroker) -> None:
    """The first start: every topic is named, and a node is missing."""
    found = amiss(await examine(settings_of(broker.address)))

    assert found.keys() == {*(f"topic {spec.name}" for spec in own_topics()), "cluster"}


async def test_topic_of_a_creation_that_was_cut_off_is_told(broker: EmbeddedBroker) -> None:
    """It holds nothing and no index names it; topics that are not ours are nobody's business here."""
    admin = KafkaLogAdmin(broker.config)
    left = docs_topic("miroir.docs.cut", 2)
    await admin.create([*own_topics(), left, docs_topic("somebody.elses", 1)])
    await admin.close()

    found = amiss(await examine(settings_of(broker.address)))

    assert found.keys() == {f"topic {left.name}", "cluster"}


async def test_kafka_that_is_away_is_one_finding() -> None:
    """The rest of the settings are looked at all the same."""
    findings = await examine(settings_of("127.0.0.1:9"))

    assert amiss(findings).keys() == {"kafka"}
    assert any(finding.subject in EMBEDDED for finding in findings)


async def test_wrong_master_key_of_nodes_names_the_setting(broker: EmbeddedBroker, node_url: str) -> None:
    """A node that refuses the key is told from one that is away."""
    settings = settings_of(broker.address)
    await make_topics(broker.config)
    async with controlled(broker.config):
        await ask(broker.config, AddNode(NodeId("n1"), node_url))
        await examined(settings, lambda findings: "node n1" not in amiss(findings) and _named(findings, "node n1"))
    wrong = parse_settings({"MIROIR_KAFKA": broker.address, "MIROIR_NODE_MASTER_KEY": "another-key-altogether"})

    (finding,) = [f for f in await examine(wrong) if f.subject == "node n1"]

    assert (finding.level, "node_master_key" in finding.cure) == (Level.FAULT, True)


async def test_missing_certificate_is_a_fault(tmp_path: Path) -> None:
    """A path that leads nowhere is named before a broker is asked."""
    settings = settings_of("127.0.0.1:9").model_copy(update={"kafka_ssl_cafile": str(tmp_path / "none.pem")})

    findings = await examine(settings)

    assert "none.pem" in amiss(findings)["setting kafka_ssl_cafile"]
