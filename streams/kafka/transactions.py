"""Transactions on a Kafka for the one writer of the cluster topic.

What always holds: after a failed commit nothing is known, and nothing more can be committed before fencing again.
Kafka answers a commit before readers may see it: the last stable offset follows some milliseconds later. After a fence
it has caught up with every commit of the writers before. Who calls it: the controller. It must not know: what it
commits.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from schemas.errors import LogUnavailableError
from schemas.kafka import KafkaConfig
from streams.kafka.connection import translated
from streams.kafka.writer import kill_producer, require_partitions, send_all, start_producer, stop_producer
from streams.log import Append

TRANSACTION_SPARE_MS = 10_000
"""What a transaction may take beyond its two waits of a request time-out each, for the records and for the commit.

Past the sum the broker aborts it, and fences a writer that is still at it. One whose writer has died ends sooner: the
next to fence aborts it, and only until then do its topic's readers stand before it.
"""


class KafkaTransactions:
    """``LogTransactions`` over a Kafka cluster. For one task at a time.

    Args:
        config: how to reach the cluster; with ``transactions=False`` commits are plain ordered appends and nobody is
            ever fenced.
        name: the transactional id: of all writers of one name only the last to fence can commit.
    """

    def __init__(self, config: KafkaConfig, name: str) -> None:
        self._config = config
        self._name = name
        self._producer: AIOKafkaProducer | None = None

    async def fence(self) -> None:
        """Shut out every earlier writer of the same name; see ``LogTransactions``."""
        await self._drop()
        with translated("fence"):
            if self._config.transactions:
                timeout_ms = 2 * self._config.request_timeout_ms + TRANSACTION_SPARE_MS
                self._producer = await start_producer(
                    self._config, transactional_id=self._name, transaction_timeout_ms=timeout_ms
                )
            else:
                self._producer = await start_producer(self._config, enable_idempotence=self._config.idempotence)

    async def commit(self, appends: Sequence[Append]) -> None:
        """Append all in one transaction; see ``LogTransactions``."""
        if self._producer is None:
            raise LogUnavailableError("commit: fence first, and again after a failure")
        timeout_s = self._config.request_timeout_ms / 1000
        try:
            if self._config.transactions:
                await self._commit(self._producer, appends, timeout_s)
            else:
                with translated("commit"):
                    await require_partitions(self._producer, appends, timeout_s=timeout_s)
                await send_all(self._producer, appends, timeout_s=timeout_s)
        except BaseException:
            await self._drop()
            raise

    async def close(self) -> None:
        """Leave. Safe to call twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)

    async def _commit(self, producer: AIOKafkaProducer, appends: Sequence[Append], timeout_s: float) -> None:
        with translated("commit"):
            await require_partitions(producer, appends, timeout_s=timeout_s)
            await producer.begin_transaction()
            await send_all(producer, appends, timeout_s=timeout_s)
            async with asyncio.timeout(timeout_s):
                await producer.commit_transaction()

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await kill_producer(producer)
