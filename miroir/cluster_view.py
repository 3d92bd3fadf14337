"""The cluster and its progress, folded from the log by a command for itself.

What always holds: nothing here believes a process: what it says follows from the log alone. Who calls it: the local
stack while it waits, ``verify``, ``produce``. It must not know: the query service.
"""

from functools import partial
from types import TracebackType
from typing import Self

from schemas.errors import LogUnavailableError
from schemas.ids import Partition, Position
from schemas.kafka import KafkaConfig
from streams.kafka.reader import KafkaLogReader
from streams.log import TopicPartition
from streams.process.skipped import tell_skipped
from streams.readable import ProgressView, fold_progress
from streams.skipping import fold_readable
from streams.topics import CLUSTER, PROGRESS
from streams.topology import Topology, fold_cluster

READ_S = 0.2
"""How long one read waits for something new."""

RECORDS_MAX = 10_000
"""Of one read; cluster and progress records are small."""

STUCK_READS_MAX = 150
"""So many reads without a record before the end (30 s) say that the broker does not answer."""

_CLUSTER = TopicPartition(CLUSTER, Partition(0))
_PROGRESS = TopicPartition(PROGRESS, Partition(0))


class ClusterView:
    """A fold of cluster and progress that is brought up to date on demand. For one task at a time."""

    def __init__(self, kafka: KafkaConfig) -> None:
        self.topology = Topology()
        self.progress = ProgressView()
        self._reader = KafkaLogReader(kafka)
        self._positions: dict[TopicPartition, Position] = {}

    async def __aenter__(self) -> Self:
        """Nothing is read before the first ``refresh``."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        await self._reader.close()

    async def refresh(self) -> None:
        """Fold everything that stood in both topics when this was called.

        Raises:
            LogUnavailableError: no broker answers, or there is no such topic: no cluster lives on this Kafka.
        """
        bounds = await self._reader.bounds([_CLUSTER, _PROGRESS])
        if not self._positions:
            beginnings = {each: found.beginning for each, found in bounds.items()}
            await self._reader.assign(beginnings)
            self._positions = beginnings
        stuck = 0
        while any(self._positions[each] < found.end for each, found in bounds.items()):
            stuck = 0 if await self.follow() else stuck + 1
            if stuck > STUCK_READS_MAX:
                raise LogUnavailableError("fold the cluster: the broker tells of records and does not send them")

    async def follow(self) -> bool:
        """Fold what arrives within a moment; return whether anything did."""
        batches = await self._reader.read(timeout_s=READ_S, records_max=RECORDS_MAX)
        self.topology = fold_cluster(self.topology, [each for each in batches if each.topic == CLUSTER])
        progress = [each for each in batches if each.topic == PROGRESS]
        self.progress, skipped = fold_readable(progress, partial(fold_progress, self.progress))
        tell_skipped(skipped)
        for batch in batches:
            self._positions[TopicPartition(batch.topic, batch.partition)] = batch.end
        return bool(batches)
