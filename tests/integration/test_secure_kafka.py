"""A company's Kafka: TLS with client certificates, users, permissions, and topics that only its operators make."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from miroir.doctor import examine
from miroir.findings import Finding, Level
from schemas.config import parse_settings
from streams.kafka.admin import KafkaLogAdmin
from streams.topics import OWN_PREFIX, docs_topic, own_topics
from tests.integration.api import running_service
from tests.integration.cluster import Cluster
from tests.integration.node import NODE_MASTER_KEY
from tests.integration.real_kafka import RealKafkaMissingError
from tests.integration.secure_kafka import SecureKafka
from tests.integration.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

DOCUMENTS = 50
READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE


@pytest.fixture
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker of the test's own. Skips where it cannot be brought."""
    try:
        secure = SecureKafka(tmp_path_factory.mktemp("secure-kafka"))
        secure.start()
    except RealKafkaMissingError as error:
        pytest.skip(f"no real kafka: {error}")
    yield secure
    secure.stop()


def faults(findings: list[Finding]) -> dict[str, str]:
    """Return what does not work, by subject."""
    return {each.subject: each.found for each in findings if each.level is Level.FAULT}


async def test_everything_works_with_no_more_than_the_permissions_that_are_documented(
    kafka: SecureKafka, tmp_path: Path
) -> None:
    """What is missing is named by ``doctor`` and by the worker, which goes on by itself once it is granted."""
    environment = {**kafka.settings, "MIROIR_KAFKA_CREATE_TOPICS": "false", "MIROIR_NODE_MASTER_KEY": NODE_MASTER_KEY}
    settings = parse_settings(environment)
    wrong = parse_settings({**environment, "MIROIR_KAFKA_SASL_PASSWORD": "another"})
    operators = KafkaLogAdmin(kafka.config)
    await operators.create([*own_topics(), docs_topic("miroir.docs.films", 2)])
    await operators.close()

    kafka.grant(ResourceType.TOPIC, OWN_PREFIX, [READ, WRITE, DESCRIBE], prefixed=True)
    refused, lacking = faults(await examine(wrong)), faults(await examine(settings))
    cluster = Cluster(tmp_path, nodes=1, kafka=kafka.config, settings=environment)
    async with asyncio.TaskGroup() as group:
        group.create_task(_grant_the_rest(kafka, tmp_path / "worker-1.log"))
        await cluster.__aenter__()
    try:
        await cluster.create_index("films", shards=2, replication=1)
        async with running_service(cluster.settings) as api:
            documents = [{"id": number, "title": "film"} for number in range(DOCUMENTS)]
            task = await api.finished(await api.write("POST", "/indexes/films/documents", documents))
            found = await api.total("films", q="film")
        left = faults(await examine(cluster.settings))
    finally:
        await cluster.__aexit__()

    assert "SaslAuthenticationFailed" in refused["kafka"]
    assert lacking.keys() == {"group miroir", "transactional id miroir-controller"}
    assert (task["status"], found, left) == ("succeeded", DOCUMENTS, {})


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def _grant_the_rest(kafka: SecureKafka, log: Path) -> None:
    async def is_told() -> bool:
        return "GroupAuthorizationFailed" in _text(log)

    await until(is_told, "the worker to say that it may not join", logs=[log])
    kafka.grant(ResourceType.GROUP, "miroir", [READ], prefixed=False)
    kafka.grant(ResourceType.TRANSACTIONAL_ID, "miroir-controller", [WRITE, DESCRIBE], prefixed=False)
