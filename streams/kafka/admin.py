"""Topics on a Kafka: made, looked at, deleted, and told apart.

What always holds: creating twice and deleting twice are no errors. Who calls it: controller, command line. It must not
know: which topics we have and why.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import CoordinationType
from aiokafka.conn import create_conn
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    for_code,
)

from schemas.kafka import KafkaConfig
from streams.kafka.connection import client_arguments, connecting, tell, to_log_error, translated
from streams.kafka.metadata import ClusterMetadata, fetch_metadata, fetch_topic_configs
from streams.log import LogIdentity, TopicFound, TopicSpec


class KafkaLogAdmin:
    """``LogAdmin`` over a Kafka cluster. Connects at first use, and again after a failure."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        self._client: AIOKafkaAdminClient | None = None
        self._starting = asyncio.Lock()

    async def describe(self, names: Sequence[str]) -> Mapping[str, TopicFound]:
        """Return those that exist; see ``LogAdmin``."""
        with translated("describe topics"):
            metadata = await self._metadata(names, operations=True)
            configs = await self._configs(list(metadata.topics))
        return {
            name: TopicFound(name, topic.partitions, topic.replication, configs.get(name, {}), topic.operations)
            for name, topic in metadata.topics.items()
        }

    async def names(self, prefixes: tuple[str, ...]) -> Sequence[str]:
        """Return the names, in order, of all topics that this user may see and whose name begins with one of these.

        Raises:
            LogUnavailableError: no broker answers.
        """
        with translated("list topics"):
            return sorted(name for name in await (await self._started()).list_topics() if name.startswith(prefixes))

    async def identify(self, names: Sequence[str]) -> Mapping[str, LogIdentity]:
        """Return which log stands behind each of the names that exist.

        Raises:
            LogUnavailableError: no broker answers.
        """
        with translated("identify topics"):
            metadata = await self._metadata(names)
        return {name: LogIdentity(metadata.cluster_id, topic.id) for name, topic in metadata.topics.items()}

    async def cluster_id(self) -> str:
        """Return the cluster's id.

        Raises:
            LogUnavailableError: no broker answers.
        """
        with translated("ask for the cluster's id"):
            return (await self._metadata(())).cluster_id

    async def may_join(self, group: str) -> bool:
        """Return whether this user may look for the group's coordinator, which whoever may read as it may do.

        Raises:
            LogUnavailableError: no broker answers.
        """
        return await self._may_look_up(CoordinationType.GROUP, group)

    async def may_transact(self, transactional_id: str) -> bool:
        """Return whether this user may look for the coordinator of the transactional id, as whoever may write as it.

        Raises:
            LogUnavailableError: no broker answers.
        """
        return await self._may_look_up(CoordinationType.TRANSACTION, transactional_id)

    async def _may_look_up(self, kind: CoordinationType, name: str) -> bool:
        with translated(f"look for the coordinator of {name}"):
            client = (await self._started())._client  # noqa: SLF001 - the admin client's own asks about groups only
            try:
                await client.coordinator_lookup(kind, name)
            except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed):
                return False
            except GroupCoordinatorNotAvailableError:
                # The first question makes Kafka make the topic that it is kept in; it was allowed.
                return True
            return True

    async def explain_silence(self) -> str:
        """Return why brokers cannot be connected to, one by one: the library says only that none can be."""
        try:
            arguments = client_arguments(self._config)
        except OSError as error:
            return f"certificates: {error}"
        servers = str(arguments.pop("bootstrap_servers")).split(",")
        return "; ".join(filter(None, await asyncio.gather(*(_connection_fault(each, arguments) for each in servers))))

    async def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create those that do not exist; see ``LogAdmin``."""
        if not specs:
            return
        with translated("create topics"):
            client = await self._started()
            brokers = (await self._metadata(())).brokers
            # Kafka knows "the broker's default" (-1) only in a version of the request newer than the library's.
            replication = max(1, min(self._config.replication_factor, brokers))
            answer = await client.create_topics(
                [NewTopic(spec.name, spec.partitions, replication, topic_configs=dict(spec.configs)) for spec in specs]
            )
        for name, code, *message in answer.topic_errors:
            error = for_code(code)
            if error not in (NoError, TopicAlreadyExistsError):
                detail = message[0] if message and message[0] else error.description
                raise to_log_error(error(detail), f"create topic {name}")

    async def delete(self, names: Sequence[str]) -> None:
        """Delete those that exist; see ``LogAdmin``."""
        if not names:
            return
        with translated("delete topics"):
            client = await self._started()
            answer = await client.delete_topics(list(names))
        for name, code in answer.topic_error_codes:
            error = for_code(code)
            if error not in (NoError, UnknownTopicOrPartitionError):
                raise to_log_error(error(), f"delete topic {name}")

    async def close(self) -> None:
        """Leave. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _started(self) -> AIOKafkaAdminClient:
        async with self._starting:
            if self._client is None:
                client = AIOKafkaAdminClient(**client_arguments(self._config))
                try:
                    with connecting(self._config):
                        await client.start()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    async def _metadata(self, names: Sequence[str], *, operations: bool = False) -> ClusterMetadata:
        client = await self._started()
        # The admin client has no question that tells ids; its connection does.
        return await fetch_metadata(client._client, names, operations=operations)  # noqa: SLF001

    async def _configs(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        client = await self._started()
        return await fetch_topic_configs(client._client, names)  # noqa: SLF001 - its own asks only one broker


async def _connection_fault(server: str, arguments: Mapping[str, Any]) -> str:
    host, _, port = server.rpartition(":")
    try:
        connection = await create_conn(host.strip("[]"), int(port), **arguments)
    except (KafkaError, OSError, TimeoutError) as error:
        return f"{server}: {tell(error)}"
    connection.close()
    return ""
